import BlockCache
import Foundation
import Logging
import Testing

/// Several openers of one directory. Two caches in one process share nothing but the directory, as two processes do.
@Suite struct SharingTests {
    let scratch: Scratch

    init() throws {
        scratch = try Scratch()
    }

    static let blocks: [BlockAddress] = {
        var random = SeededGenerator(seed: 42)
        return (1...6).flatMap {
            Lake.pack($0, blocks: 60, lengths: $0 % 2 == 0 ? 500...6_000 : 100_000...400_000, using: &random)
        }
    }()

    /// Reads random blocks; the number of those whose bytes were wrong.
    static func readRandomly(_ cache: BlockCache, _ count: Int, seed: UInt64) -> Int {
        var random = SeededGenerator(seed: seed)
        var wrong = 0
        for _ in 0..<count {
            let block = blocks.randomElement(using: &random)!
            let start = Int.random(in: 0..<block.length, using: &random)
            let end = min(block.length, start + 4_096)
            if !cache.servesRight(block, start..<end) { wrong += 1 }
        }
        return wrong
    }

    @Test func whatOneFetchedTheOtherFinds() throws {
        let one = try scratch.open()
        let two = try scratch.open()
        let block = Lake.block(1, 0, 100_000)
        #expect(one.servesRight(block) && two.isCached(block))
        #expect(two.status().misses == 0)
    }

    @Test func evictingUnderEachOtherNeverGivesWrongBytes() throws {
        let caches = try (0..<2).map { _ in try scratch.open(limit: 4 << 20, files: 16) }
        let seed = SeededGenerator.announced("sharing").first
        let wrong = Counter()
        onThreads(6) { thread in
            for _ in 0..<Self.readRandomly(caches[thread % 2], 3_000, seed: seed &+ UInt64(thread)) { wrong.increase() }
        }
        #expect(wrong.value == 0)
        #expect(caches.allSatisfy { $0.status().hits > 100 && $0.status().evictions > 10 })
        #expect(caches.map { $0.status().corruptBlocks } == [0, 0])
        #expect(scratch.bytesOnDisk() <= 6 << 20)
    }

    /// Long reads of one block that goes away all the time: the bytes turn to zeros in the middle of a read.
    @Test func aBlockEvictedWhileItIsReadIsNotServed() throws {
        let caches = try (0..<2).map { _ in try scratch.open(limit: 3 << 19, slots: 64) }
        let hot = Lake.block(1, 0, 1 << 20)
        let other = Lake.block(2, 0, 1 << 20)
        // Keeps the file: otherwise it is truncated, and a short read is noticed in any case.
        let keeper = Lake.block(1, 64 << 20, 4_096)
        let wrong = Counter()
        let done = Counter()
        onThreads(3) { thread in
            if thread == 2 {
                for _ in 0..<600 {
                    // Each time after the block was served again, however busy the machine is.
                    let hits = caches[0].status().hits
                    let deadline = Date() + 1
                    repeat { usleep(5_000) } while caches[0].status().hits == hits && Date() < deadline
                    if !caches[1].servesRight(keeper) { wrong.increase() }
                    caches[1].storeLake(other)
                }
                done.increase()
                return
            }
            while done.value == 0 { if !caches[0].servesRight(hot) { wrong.increase() } }
        }
        #expect(wrong.value == 0)
        #expect(caches[1].status().evictions > 300 && caches[0].status().hits > 300)
    }

    @Test func severalMayCreateTheCacheAtOnce() throws {
        let refused = Counter()
        for _ in 0..<300 {
            let scratch = try Scratch()
            onThreads(4) { _ in
                do {
                    _ = try scratch.open(slots: 64)
                } catch {
                    print("refused: \(error)")
                    refused.increase()
                }
            }
        }
        #expect(refused.value == 0)
    }

    /// This process still has the old file open.
    @Test func aFileRemovedAndMadeAgainByAnotherIsFound() throws {
        let one = try scratch.open()
        let two = try scratch.open()
        let block = Lake.block(1, 0, 100_000)
        #expect(one.servesRight(block))
        try two.clear()
        #expect(!one.contains(block))
        #expect(two.servesRight(block))
        #expect(one.isCached(block) && one.isCached(block))
        try two.clear()
        #expect(one.readLake(block).outcome == .fetched)
        #expect(two.isCached(block))
    }

    @Test func clearingWhileOthersReadNeverGivesWrongBytes() throws {
        let caches = try (0..<2).map { _ in try scratch.open() }
        let seed = SeededGenerator.announced("clearing").first
        let wrong = Counter()
        let done = Counter()
        onThreads(5) { thread in
            if thread == 4 {
                while done.value < 4 {
                    do { try caches[0].clear() } catch { Issue.record(error) }
                    usleep(5_000)
                }
                return
            }
            for _ in 0..<Self.readRandomly(caches[thread % 2], 2_000, seed: seed &+ UInt64(thread)) { wrong.increase() }
            done.increase()
        }
        #expect(wrong.value == 0)
        try caches[1].clear()
        #expect(scratch.bytesOnDisk() == 0 && caches[0].status().usedBytes == 0)
    }

    /// Somebody removes the directory under a running mount, and another mount makes a new one.
    @Test func aRemovedDirectoryIsAnotherCache() throws {
        let old = try scratch.open(limit: 4 << 20)
        #expect(Self.readRandomly(old, 300, seed: 1) == 0)
        try FileManager.default.removeItem(atPath: scratch.cache)
        let new = try scratch.open(limit: 4 << 20)
        let wrong = Counter()
        onThreads(2) { thread in
            for _ in 0..<Self.readRandomly(thread == 0 ? old : new, 2_000, seed: 2) { wrong.increase() }
        }
        #expect(wrong.value == 0)
        #expect(scratch.bytesOnDisk() <= 5 << 20)
    }

    @Test func aProcessThatHoldsTheLockDelaysNobodyForLong() throws {
        let cache = try scratch.open()
        let lock = Glibc.open(scratch.cache + "/lock", O_RDWR)
        defer { close(lock) }
        #expect(flock(lock, LOCK_EX) == 0)
        let start = Date()
        for number in 0..<20 as Range<UInt64> { #expect(cache.servesRight(Lake.block(number, 0, 1_000))) }
        #expect(Date().timeIntervalSince(start) < 5)
        #expect(cache.status().usedBytes == 0)
        flock(lock, LOCK_UN)
        #expect(cache.servesRight(Lake.block(1, 0, 1_000)) && cache.isCached(Lake.block(1, 0, 1_000)))
    }
}

/// The same between real processes: this test binary, started again with one test as its work.
@Suite struct ProcessTests {
    private static let directoryVariable = "TARN_TEST_BLOCKCACHE_CHILD"
    private static let seedVariable = "TARN_TEST_BLOCKCACHE_SEED"

    private static func start(_ scratch: Scratch, seed: UInt64) throws -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments = ["--testing-library", "swift-testing", "--filter", "childReads"]
        process.environment = ProcessInfo.processInfo.environment.merging(
            [directoryVariable: scratch.cache, seedVariable: "\(seed)"]) { $1 }
        process.standardOutput = Pipe()
        process.standardError = process.standardOutput
        try process.run()
        return process
    }

    private static func output(_ process: Process) -> String {
        let pipe = process.standardOutput as? Pipe
        let data = pipe?.fileHandleForReading.readDataToEndOfFile() ?? Data()
        process.waitUntilExit()
        return String(bytes: data, encoding: .utf8) ?? ""
    }

    @Test func threeProcessesEvictUnderEachOther() throws {
        let scratch = try Scratch()
        let seed = SeededGenerator.announced("processes").first
        let children = try (0..<3 as Range<UInt64>).map { try Self.start(scratch, seed: seed &+ $0) }
        for child in children {
            let output = Self.output(child)
            #expect(child.terminationStatus == 0, "\(child.terminationReason), output: \(output)")
            #expect(output.contains("child read 4000 blocks, 0 of them wrong"), "output: \(output)")
        }
        let cache = try scratch.open(limit: 4 << 20)
        #expect(cache.status().usedBytes <= 4 << 20 && cache.status().usedBytes > 1 << 20)
        #expect(scratch.bytesOnDisk() <= 5 << 20)
        #expect(SharingTests.readRandomly(cache, 1_000, seed: seed) == 0)
    }

    @Test func processesAreKilledAndTheOthersGoOn() throws {
        let scratch = try Scratch()
        let cache = try scratch.open(limit: 4 << 20)
        let seed = SeededGenerator.announced("killed").first
        for round in 0..<8 as Range<UInt64> {
            let child = try Self.start(scratch, seed: seed &+ round)
            let deadline = Date() + 0.15 + Double(round) * 0.03
            var reads: UInt64 = 0
            repeat {
                #expect(SharingTests.readRandomly(cache, 100, seed: seed ^ reads) == 0)
                reads += 1
            } while Date() < deadline
            kill(child.processIdentifier, SIGKILL)
            _ = Self.output(child)
        }
        #expect(SharingTests.readRandomly(cache, 2_000, seed: seed) == 0)
        #expect(scratch.bytesOnDisk() <= 6 << 20)
    }

    @Test(.enabled(if: ProcessInfo.processInfo.environment[directoryVariable] != nil, "work of the child processes"))
    func childReads() throws {
        let environment = ProcessInfo.processInfo.environment
        let directory = try #require(environment[Self.directoryVariable])
        let seed = try #require(environment[Self.seedVariable].flatMap { UInt64($0) })
        let cache = try BlockCache(
            directory: directory, limitBytes: 4 << 20, logger: .init(label: "child"), slotCapacity: 4_096)
        let wrong = SharingTests.readRandomly(cache, 4_000, seed: seed)
        print("child read 4000 blocks, \(wrong) of them wrong; \(cache.status())")
    }
}
