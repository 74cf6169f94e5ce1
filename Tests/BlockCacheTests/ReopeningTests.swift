import BlockCache
import Foundation
import Logging
import Testing

@Suite struct ReopeningTests {
    let scratch: Scratch

    init() throws {
        scratch = try Scratch()
    }

    /// Stores `count` blocks of 100,000 bytes and closes the cache.
    private func filled(_ count: UInt64) throws -> [BlockAddress] {
        let cache = try scratch.open()
        let blocks = (0..<count).map { Lake.block($0 / 5, $0 % 5 * 100_000, 100_000) }
        for block in blocks { cache.storeLake(block) }
        return blocks
    }

    @Test func whatWasCachedIsStillThere() throws {
        let blocks = try filled(20)
        let cache = try scratch.open()
        #expect(cache.status().usedBytes == scratch.bytesOnDisk())
        for block in blocks { #expect(cache.isCached(block)) }
    }

    @Test func aFlippedBitIsNoticedAndTheBlockFetchedAgain() throws {
        let block = try filled(3)[1]
        let old = Lake.bytes(block)
        scratch.overwrite(scratch.file(block.key), at: block.offset + 54_321, with: [old[54_321] ^ 0x10])
        let cache = try scratch.open()
        #expect(cache.readLake(block, 0..<10).outcome == .fetched)
        #expect(cache.status().corruptBlocks == 1)
        #expect(cache.isCached(block))
        let again = try scratch.open()
        #expect(again.isCached(block) && again.status().corruptBlocks == 0)
    }

    @Test(arguments: ["garbage", "magic", "version", "short", "slots", "empty", "directory"])
    func anUnreadableIndexIsWipedWithEverything(damage: String) throws {
        let blocks = try filled(20)
        let index = scratch.cache + "/index"
        switch damage {
        case "garbage": scratch.overwrite(index, at: 0, with: Lake.bytes(Lake.key(9), 0, 4 << 20))
        case "magic": scratch.overwrite(index, at: 0, with: [1])
        case "version": scratch.overwrite(index, at: 8, with: [99])
        case "short": truncate(index, 100_000)
        case "slots": scratch.overwrite(index, at: 4_096, with: Lake.bytes(Lake.key(9), 0, 65_536))
        case "empty": truncate(index, 0)
        default:
            try FileManager.default.removeItem(atPath: index)
            try FileManager.default.createDirectory(atPath: index, withIntermediateDirectories: false)
        }
        let cache = try scratch.open()
        #expect(cache.status().usedBytes == 0 && scratch.bytesOnDisk() == 0)
        for block in blocks { #expect(cache.readLake(block).outcome == .fetched) }
        for block in blocks { #expect(cache.isCached(block)) }
    }

    /// Sums of what slots say would overflow.
    @Test func aSlotThatIsChargedWithTooMuchIsNotBelieved() throws {
        let blocks = try filled(20)
        let index = scratch.cache + "/index"
        let bytes = try Data(contentsOf: URL(fileURLWithPath: index))
        for slot in stride(from: 4_096, to: bytes.count, by: 64) where bytes[slot] != 0 {
            scratch.overwrite(index, at: UInt64(slot) + 32, with: [UInt8](repeating: 0xff, count: 8))
        }
        let cache = try scratch.open()
        #expect(cache.status().usedBytes == 0 && scratch.bytesOnDisk() == 0)
        for block in blocks { #expect(cache.readLake(block).outcome == .fetched) }
    }

    @Test func anUnreadableIndexThatIsInUseIsLeftAlone() throws {
        let first = try scratch.open()
        first.storeLake(Lake.block(1, 0, 1_000))
        scratch.overwrite(scratch.cache + "/index", at: 8, with: [0xFF])
        #expect(throws: BlockCacheError.inUseWithUnreadableIndex(path: scratch.cache)) { try scratch.open() }
        #expect(first.isCached(Lake.block(1, 0, 1_000)))
    }

    @Test func aDirectoryOfSomebodyElseIsNotTouched() throws {
        let precious = scratch.cache + "/data/precious"
        try FileManager.default.createDirectory(atPath: scratch.cache + "/data", withIntermediateDirectories: true)
        try Data("mine".utf8).write(to: URL(fileURLWithPath: precious))
        #expect(throws: BlockCacheError.notACacheDirectory(path: scratch.cache)) { try scratch.open() }
        #expect(scratch.exists(precious) && !scratch.exists(scratch.cache + "/index"))
    }

    @Test func aDirectoryThatCannotBeMadeIsAnError() {
        #expect(throws: BlockCacheError.system(operation: "mkdir", path: "/proc/none/cache", errno: ENOENT)) {
            try BlockCache(directory: "/proc/none/cache", limitBytes: 1, logger: .init(label: "test"))
        }
    }

    /// What processes that were killed left behind.
    @Test func filesAndSlotsAreReconciled() throws {
        let blocks = try filled(20)
        let lost = blocks[0].key
        try FileManager.default.removeItem(atPath: scratch.file(lost))
        let stray = scratch.cache + "/data/ab/ab345678901234567890123456789012"
        try FileManager.default.createDirectory(atPath: scratch.cache + "/data/ab", withIntermediateDirectories: true)
        try Data(count: 100_000).write(to: URL(fileURLWithPath: stray))
        try Data(count: 100_000).write(to: URL(fileURLWithPath: scratch.cache + "/objects/new"))
        // More on disk than was charged.
        scratch.overwrite(scratch.file(blocks[5].key), at: 3 << 20, with: Lake.bytes(lost, 0, 1 << 20))
        let cache = try scratch.open()
        #expect(!scratch.exists(stray) && !scratch.exists(scratch.cache + "/objects/new"))
        #expect(cache.status().usedBytes == scratch.bytesOnDisk() && cache.status().segments == 3)
        for block in blocks { #expect(cache.servesRight(block)) }
        #expect(cache.status().misses == 5)
    }

    /// A slot with an odd generation: its process was killed while evicting.
    @Test(arguments: [true, false])
    func anEvictionThatWasBegunIsFinished(alone: Bool) throws {
        let blocks = try filled(5)
        let other = alone ? nil : try scratch.open()
        try hideSlots()
        let cache = try scratch.open()
        if alone { #expect(cache.status().usedBytes == 0 && scratch.bytesOnDisk() == 0) }
        for block in blocks { #expect(cache.readLake(block).outcome == .fetched) }
        for block in blocks { #expect(cache.isCached(block)) }
        #expect(cache.status().segments == 1 && cache.status().usedBytes == scratch.bytesOnDisk())
        _ = other
    }

    /// Makes every generation in the index odd.
    private func hideSlots() throws {
        let index = scratch.cache + "/index"
        let bytes = try Data(contentsOf: URL(fileURLWithPath: index))
        for slot in stride(from: 4_096, to: bytes.count, by: 64) where bytes[slot] != 0 {
            scratch.overwrite(index, at: UInt64(slot), with: [bytes[slot] | 1])
        }
    }

    @Test func clearingRemovesEverything() throws {
        let blocks = try filled(20)
        let cache = try scratch.open()
        for block in blocks { #expect(cache.isCached(block)) }
        try cache.clear()
        #expect(cache.status().usedBytes == 0 && scratch.bytesOnDisk() == 0 && cache.status().segments == 0)
        for block in blocks { #expect(!cache.contains(block)) }
        for block in blocks { #expect(cache.readLake(block).outcome == .fetched) }
        for block in blocks { #expect(cache.isCached(block)) }
    }
}
