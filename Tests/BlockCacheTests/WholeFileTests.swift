import BlockCache
import Foundation
import Testing

/// M11: a file that is read past the cache keeps its bytes and its length while it is held.
@Suite struct WholeFileTests {
    let scratch: Scratch

    init() throws {
        scratch = try Scratch()
    }

    /// A file of 20 blocks of 100,000 bytes: three segments' worth would be 8 MiB each, so all in one.
    private let file = (0..<20).map { Lake.block(1, UInt64($0) * 100_000, 100_000) }

    private func bytes(_ held: WholeFile) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 4 << 20)
        let count = bytes.withUnsafeMutableBytes { buffer in
            held.withDescriptor { pread($0, buffer.baseAddress, buffer.count, 0) }
        }
        return Array(bytes.prefix(max(0, count)))
    }

    private var expected: [UInt8] { file.flatMap { Lake.bytes($0) } }

    @Test func onlyWhatIsWholeAndVerifiedHereIsHandedOut() throws {
        let cache = try scratch.open()
        for block in file.dropLast() { #expect(cache.servesRight(block)) }
        #expect(cache.wholeFile(file) == nil)
        #expect(cache.servesRight(file[19]))
        #expect(bytes(try #require(cache.wholeFile(file))) == expected)
        // Another process has verified nothing yet.
        let other = try scratch.open()
        #expect(other.wholeFile(file) == nil)
        for block in file { #expect(other.isCached(block)) }
        #expect(other.wholeFile(file) != nil)
        // The first part of a longer file, and blocks that leave a gap.
        #expect(cache.wholeFile(Array(file.prefix(10))) == nil)
        #expect(cache.wholeFile(file.filter { $0.offset != 500_000 }) == nil)
    }

    @Test func neitherEvictionNorClearTakesBytesOfAHeldFile() throws {
        let cache = try scratch.open(limit: 4 << 20)
        for block in file { #expect(cache.servesRight(block)) }
        var held = cache.wholeFile(file)
        let evictor = try scratch.open(limit: 4 << 20)
        for number in 2..<30 as Range<UInt64> { #expect(evictor.servesRight(Lake.block(number, 0, 1 << 20))) }
        #expect(evictor.status().evictions > 20)
        #expect(bytes(try #require(held)) == expected)
        #expect(file.allSatisfy(cache.isCached))
        // Nothing else fits beside it: served all the same.
        #expect(evictor.servesRight(Lake.block(50, 0, 3 << 20)))

        try evictor.clear()
        #expect(bytes(try #require(held)) == expected)
        #expect(!cache.isCached(file[0]))
        held = nil
        #expect(scratch.bytesOnDisk() < 1 << 20)
    }

    @Test func whatIsLetGoOfIsEvicted() throws {
        let cache = try scratch.open(limit: 4 << 20)
        for block in file { #expect(cache.servesRight(block)) }
        var held = cache.wholeFile(file)
        for number in 2..<9 as Range<UInt64> { #expect(cache.servesRight(Lake.block(number, 0, 1 << 20))) }
        #expect(held != nil)
        held = nil
        for number in 10..<30 as Range<UInt64> { #expect(cache.servesRight(Lake.block(number, 0, 1 << 20))) }
        #expect(cache.wholeFile(file) == nil)
        #expect(scratch.bytesOnDisk() <= 4 << 20 + 1 << 20)
    }

    /// The pack goes on behind the file: its reader must not read on.
    @Test func aHeldFileDoesNotGrow() throws {
        let cache = try scratch.open()
        for block in file { #expect(cache.servesRight(block)) }
        let held = try #require(cache.wholeFile(file))
        let behind = Lake.block(1, 2_000_000, 50_000)
        #expect(cache.servesRight(behind))
        #expect(bytes(held) == expected)
    }

    @Test func manyThreadsHoldAndEvict() throws {
        let caches = try (0..<2).map { _ in try scratch.open(limit: 6 << 20) }
        let wrong = Counter()
        let found = Counter()
        onThreads(4) { thread in
            for round in 0..<300 {
                if thread < 2 {
                    for block in file where !caches[thread].servesRight(block) { wrong.increase() }
                    if let held = caches[thread].wholeFile(file) {
                        found.increase()
                        if bytes(held) != expected { wrong.increase() }
                    }
                } else {
                    let block = Lake.block(UInt64(2 + round % 40), 0, 1 << 20)
                    if !caches[thread - 2].servesRight(block) { wrong.increase() }
                }
            }
        }
        #expect(wrong.value == 0)
        #expect(found.value > 10)
    }
}
