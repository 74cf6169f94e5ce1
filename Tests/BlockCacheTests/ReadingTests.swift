import BlockCache
import Foundation
import Synchronization
import Testing

@Suite struct ReadingTests {
    let scratch: Scratch
    let cache: BlockCache

    init() throws {
        scratch = try Scratch()
        cache = try scratch.open()
    }

    @Test func aBlockIsFetchedOnceAndThenServedFromDisk() {
        let block = Lake.block(1, 12_345, 100_000)
        #expect(!cache.contains(block))
        let first = cache.readLake(block)
        #expect(first.outcome == .fetched && first.bytes == Lake.bytes(block))
        #expect(cache.contains(block))
        #expect(cache.isCached(block))
        let status = cache.status()
        #expect(status.hits == 1 && status.misses == 1 && status.bytesFetched == 100_000 && status.segments == 1)
    }

    @Test func anyRangeOfABlockCanBeRead() {
        let block = Lake.block(1, 777, 50_000)
        for range in [0..<1, 49_999..<50_000, 4_000..<9_000, 0..<50_000, 10..<10] {
            #expect(cache.servesRight(block, range))
            #expect(cache.servesRight(block, range))
        }
        #expect(cache.status().misses == 1)
    }

    @Test func aStoredBlockIsNotFetched() {
        let block = Lake.block(2, 0, 4 << 20)
        cache.storeLake(block)
        #expect(cache.isCached(block))
    }

    @Test func verifiedBlocksAreNotVerifiedAgain() {
        let block = Lake.block(3, 0, 5_000)
        cache.storeLake(block)
        var buffer = [UInt8](repeating: 0, count: 10)
        let outcome = buffer.withUnsafeMutableBytes { buffer in
            cache.read(block, within: 4_000, into: buffer) { _ in
                Issue.record("verified again")
                return true
            } fetch: {
                Issue.record("fetched")
                return []
            }
        }
        #expect(outcome == .cached && buffer == Lake.bytes(block.key, 4_000, 10))
    }

    @Test(arguments: [0, 4_999, 5_001, 5_000])
    func wrongFetchedBytesAreNeitherServedNorKept(count: Int) {
        let block = Lake.block(4, 0, 5_000)
        var wrong = Array(Lake.bytes(block).prefix(count))
        wrong += [UInt8](repeating: 1, count: count - wrong.count)
        if count == 5_000 { wrong[4_321] ^= 4 }
        var buffer = [UInt8](repeating: 0xAA, count: 5_000)
        let outcome = buffer.withUnsafeMutableBytes { buffer in
            cache.read(block, within: 0, into: buffer) {
                Lake.isRight(block, $0)
            } fetch: {
                wrong
            }
        }
        #expect(outcome == .fetchedBytesDoNotVerify)
        #expect(buffer.allSatisfy { $0 == 0xAA })
        #expect(!cache.contains(block) && cache.status().usedBytes == 0)
        #expect(cache.readLake(block).outcome == .fetched)
    }

    @Test func theErrorOfAFetchComesOutWithItsType() {
        let block = Lake.block(5, 0, 100)
        #expect(cache.failure(block) { StoreIsAway(attempt: 7) } == StoreIsAway(attempt: 7))
        #expect(cache.servesRight(block))
    }

    /// Locations are in no hash: one that is wrong may point at a block that is here and verified.
    @Test func aWrongLocationIsNotServedTheBlockThatLiesThere() {
        let here = Lake.block(6, 0, 8_000)
        cache.storeLake(here)
        let other = BlockAddress(
            key: here.key, offset: 0, length: 8_000, proof: BlockProof(high: here.proof.high, low: here.proof.low ^ 1))
        var buffer = [UInt8](repeating: 0, count: 100)
        let outcome = buffer.withUnsafeMutableBytes { buffer in
            cache.read(other, within: 0, into: buffer) { _ in
                false
            } fetch: {
                Lake.bytes(here)
            }
        }
        #expect(outcome == .fetchedBytesDoNotVerify)
    }

    @Test func neighboursThatShareAPageAreToldApart() {
        let blocks = (0..<20).map { Lake.block(7, UInt64($0) * 300, 300) }
        for block in blocks where block.offset / 300 % 2 == 0 { cache.storeLake(block) }
        for block in blocks {
            #expect(cache.readLake(block).outcome == (block.offset / 300 % 2 == 0 ? .cached : .fetched))
        }
        for block in blocks { #expect(cache.isCached(block)) }
        #expect(cache.status().corruptBlocks == 0)
        // The blocks, and their table.
        #expect(scratch.bytesOnDisk() == 8_192 + 4_096)
    }

    @Test func aBlockThatReachesIntoTheNextSegmentIsServedWhole() {
        let segment: UInt64 = 8 << 20
        let blocks = [
            Lake.block(8, segment - 5_000, 3 << 20), Lake.block(8, segment - 5_000 + 3 << 20, 10_000),
            Lake.block(8, 2 * segment - 1, 1), Lake.block(8, 2 * segment, 4 << 20),
        ]
        for block in blocks { #expect(cache.readLake(block).outcome == .fetched) }
        for block in blocks { #expect(cache.isCached(block)) }
        #expect(cache.status().segments == 3)
    }

    @Test func aBlockLargerThanTheLimitIsServedUncached() throws {
        let small = try Scratch()
        let cache = try small.open(limit: 1 << 20)
        let block = Lake.block(9, 0, 2 << 20)
        #expect(cache.servesRight(block) && cache.servesRight(block))
        #expect(cache.status().misses == 2 && small.bytesOnDisk() == 0)
    }

    @Test func moreFilesThanDescriptors() throws {
        let many = try Scratch()
        let cache = try many.open(files: 16)
        let blocks = (0..<200).map { Lake.block(1_000 + $0, 100, 5_000) }
        onThreads(8) { _ in for block in blocks { #expect(cache.servesRight(block)) } }
        for block in blocks { #expect(cache.isCached(block)) }
    }

    /// Its neighbours share its first and its last page.
    @Test func aBlockBetweenTwoThatAreHereIsNotTakenToBeHere() throws {
        let cache = try scratch.open()
        let blocks = (0..<3).map { Lake.block(1, UInt64($0) * 35_000, 35_000) }
        #expect(cache.servesRight(blocks[0]) && cache.servesRight(blocks[2]))
        #expect(cache.contains(blocks[0]) && !cache.contains(blocks[1]) && cache.contains(blocks[2]))
    }
}
