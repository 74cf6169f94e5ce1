import BlockCache
import Foundation
import Testing

@Suite struct BoundTests {
    let scratch: Scratch

    init() throws {
        scratch = try Scratch()
    }

    @Test(arguments: [4 << 20, 64 << 20] as [UInt64])
    func eightReadersOfTenTimesTheLimitStayWithinIt(limit: UInt64) throws {
        let cache = try scratch.open(limit: limit)
        var random = SeededGenerator.announced("bound")
        // A few large packs and many small ones; ten times the limit together.
        var blocks: [BlockAddress] = []
        var number: UInt64 = 0
        while blocks.reduce(0, { $0 + $1.length }) < 10 * Int(limit) {
            number += 1
            let lengths = number % 2 == 0 ? 1_000...30_000 : 256 << 10...1 << 20
            blocks += Lake.pack(number, blocks: number % 2 == 0 ? 200 : 30, lengths: lengths, using: &random)
        }
        let all = blocks
        let seed = random.next()
        let wrong = Counter()
        let running = Counter()
        onThreads(9) { [scratch] thread in
            var random = SeededGenerator(seed: seed &+ UInt64(thread))
            if thread == 8 {
                // Eight reads at once may each exceed the limit by one block, plus what the filesystem needs for maps.
                let allowed = limit + 8 << 20
                while running.value < 8 {
                    let bytes = scratch.bytesOnDisk()
                    if bytes > allowed { Issue.record("\(bytes) bytes on disk") }
                    usleep(2_000)
                }
                return
            }
            for _ in 0..<400 {
                if !cache.servesRight(all.randomElement(using: &random)!) { wrong.increase() }
            }
            running.increase()
        }
        #expect(wrong.value == 0)
        let status = cache.status()
        #expect(status.usedBytes <= limit && status.evictions > 0)
        // Evicting makes room for more than one block at a time, but not for much more.
        #expect(status.usedBytes > limit / 4)
        #expect(scratch.bytesOnDisk() <= limit + limit / 16)
        #expect(status.corruptBlocks == 0)
    }

    @Test func whatWasUsedLeastRecentlyGoesFirst() throws {
        // Room for eight blocks and their tables.
        let cache = try scratch.open(limit: (8 << 20) + 9 * 4_096)
        let blocks = (0..<8).map { Lake.block($0, 0, 1 << 20) }
        for block in blocks {
            cache.storeLake(block)
            usleep(20_000)
        }
        #expect(cache.isCached(blocks[0]) && cache.isCached(blocks[1]))
        cache.storeLake(Lake.block(100, 0, 1 << 20))
        #expect(blocks.map { cache.contains($0) } == [true, true, false, true, true, true, true, true])
    }

    @Test func evictionLeavesNoPageBehind() throws {
        let cache = try scratch.open(limit: 24 << 20)
        var random = SeededGenerator.announced("pages")
        for block in Lake.pack(1, blocks: 60, lengths: 900_000...1_000_000, using: &random) {
            #expect(cache.servesRight(block))
        }
        for block in Lake.pack(2, blocks: 24, lengths: 900_000...1_000_000, using: &random) {
            #expect(cache.servesRight(block))
        }
        #expect(!scratch.exists(scratch.file(Lake.key(1))))
        #expect(scratch.bytesOnDisk() <= cache.status().usedBytes + 64 << 10)
    }

    /// The last block of one segment, the first of the next and a page that both share.
    @Test func evictingASegmentLeavesItsNeighboursWhole() throws {
        let cache = try scratch.open(limit: 12 << 20)
        let segment: UInt64 = 8 << 20
        let first = Lake.block(1, segment - 100, 4_000)
        let second = Lake.block(1, segment + 3_900, (4 << 20) - 50)
        let third = Lake.block(1, 2 * segment + 10, 4 << 20)
        for block in [first, second, third] {
            cache.storeLake(block)
            usleep(20_000)
        }
        #expect(cache.isCached(first) && cache.isCached(third))
        usleep(20_000)
        cache.storeLake(Lake.block(2, 0, 4 << 20))
        #expect(!cache.contains(second))
        #expect(cache.isCached(first) && cache.isCached(third))
        #expect(cache.servesRight(second))
    }

    @Test func aFullTableEvicts() throws {
        let cache = try scratch.open(slots: 64)
        let blocks = (0..<300).map { Lake.block($0, 0, 4_096) }
        for block in blocks { #expect(cache.servesRight(block)) }
        let status = cache.status()
        #expect(status.slotCapacity == 64 && status.segments == 64)
        #expect(status.usedBytes == 64 * 2 * 4_096 && scratch.bytesOnDisk() == status.usedBytes)
        for block in blocks.reversed() { #expect(cache.servesRight(block)) }
    }

    /// The slot that must go may be the last one of the pack that is being written.
    @Test func aFullTableMayEvictThePackThatIsBeingWritten() throws {
        let cache = try scratch.open(slots: 64)
        for segment in 0..<200 as Range<UInt64> {
            let block = Lake.block(1, segment * 8 << 20, 5_000)
            #expect(cache.readLake(block).outcome == .fetched)
            #expect(cache.isCached(block))
        }
    }

    @Test func aSmallerLimitHoldsFromTheNextOpening() throws {
        let first = try scratch.open(limit: 32 << 20)
        for number in 0..<30 as Range<UInt64> { first.storeLake(Lake.block(number, 0, 1 << 20)) }
        let second = try scratch.open(limit: 8 << 20)
        #expect(scratch.bytesOnDisk() <= 8 << 20)
        #expect(first.status().limitBytes == 8 << 20 && second.status().usedBytes == first.status().usedBytes)
    }
}
