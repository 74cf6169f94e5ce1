import BlockCache
import Foundation
import Testing

/// Two blocks that claim the same bytes of a pack, both what they should be: one of the locations is forged. SEMANTICS: B1.
@Suite struct ClaimTests {
    let scratch: Scratch
    let pack = Lake.key(1)

    init() throws {
        scratch = try Scratch()
    }

    /// A block with bytes of its own, wherever it claims to lie.
    struct Claimed {
        let address: BlockAddress
        let bytes: [UInt8]

        init(_ key: CacheKey, _ offset: UInt64, _ bytes: [UInt8]) {
            var hash: UInt64 = 0xcbf2_9ce4_8422_2325
            for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
            address = BlockAddress(
                key: key, offset: offset, length: bytes.count, proof: BlockProof(high: hash, low: UInt64(bytes.count)))
            self.bytes = bytes
        }

        func store(in cache: BlockCache) { bytes.withUnsafeBytes { cache.store(address, bytes: $0) } }

        func read(from cache: BlockCache) -> (isRight: Bool, isCached: Bool) {
            var buffer = [UInt8](repeating: 0xAA, count: bytes.count)
            let outcome = buffer.withUnsafeMutableBytes { buffer in
                cache.read(address, within: 0, into: buffer) { found in
                    found.elementsEqual(bytes)
                } fetch: {
                    bytes
                }
            }
            return (buffer == bytes, outcome == .cached)
        }
    }

    /// Bytes with zeros in the middle: what claims those changes no byte that is not zero.
    static func holed(_ count: Int) -> [UInt8] {
        (0..<count).map { $0 < count / 4 || $0 >= count * 3 / 4 ? UInt8(truncatingIfNeeded: $0 % 251 + 1) : 0 }
    }

    /// Where the forged block begins, how long it is, and how long the honest one at byte 300 is.
    static let overlaps: [(start: UInt64, length: Int, honest: Int)] = [
        (300, 2_000, 2_000), (300, 100, 2_000), (1_000, 10, 2_000), (0, 301, 2_000), (2_299, 500, 2_000),
        (0, 9_000, 2_000),
        (50_000, 4_096, 100_000), (40_000, 3, 100_000), (300, 100_000, 100_000), (99_000, 20_000, 100_000),
    ]

    @Test(arguments: overlaps, [true, false])
    func aForgedBlockChangesNoVerifiedByte(
        _ forgery: (start: UInt64, length: Int, honest: Int), sameProcess: Bool
    ) throws {
        let cache = try scratch.open()
        let other = sameProcess ? cache : try scratch.open()
        let honest = Claimed(pack, 300, Self.holed(forgery.honest))
        let forged = Claimed(pack, forgery.start, [UInt8](repeating: 0x66, count: forgery.length))
        #expect(honest.read(from: cache) == (true, false))
        #expect(honest.read(from: cache) == (true, true))
        for _ in 0..<3 {
            forged.store(in: other)
            #expect(honest.read(from: cache).isRight)
            #expect(forged.read(from: other).isRight)
            #expect(honest.read(from: cache).isRight)
        }
        // What was kept last is kept, so that a forgery costs an honest reader one fetch.
        #expect(honest.read(from: cache) == (true, true))
        let reader = try scratch.open()
        #expect(honest.read(from: reader) == (true, true))
        #expect(forged.read(from: reader).isRight && honest.read(from: reader).isRight)
    }

    @Test func aClaimThatReachesIntoTheNextSegmentIsSeenThere() throws {
        let cache = try scratch.open()
        let edge: UInt64 = 8 << 20
        let honest = Claimed(pack, edge + 100, Self.holed(10_000))
        let forged = Claimed(pack, edge - 50, [UInt8](repeating: 0x66, count: 6_000))
        for _ in 0..<2 {
            #expect(honest.read(from: cache).isRight)
            #expect(forged.read(from: cache).isRight)
            #expect(honest.read(from: cache).isRight)
        }
    }

    @Test func aFileThatIsReadWholeIsNotClaimed() throws {
        let cache = try scratch.open()
        let honest = Claimed(pack, 0, Self.holed(300_000))
        honest.store(in: cache)
        let file = try #require(cache.wholeFile([honest.address]))
        let forged = Claimed(pack, 150_000, [UInt8](repeating: 0x66, count: 5_000))
        forged.store(in: try scratch.open())
        #expect(!forged.read(from: cache).isCached)
        var bytes = [UInt8](repeating: 0, count: 300_000)
        #expect(file.withDescriptor { pread($0, &bytes, bytes.count, 0) } == bytes.count)
        #expect(bytes == honest.bytes)
    }

    /// Power loss may leave anything in a table. What is not noted is fetched; what contradicts itself is begun anew.
    @Test(arguments: ["cut", "zeros", "noise", "gone"])
    func aDamagedTableCostsFetches(_ damage: String) throws {
        let blocks = (0..<40).map { Claimed(pack, UInt64($0) * 2_000, Self.holed(2_000)) }
        try {
            let cache = try scratch.open()
            for block in blocks { block.store(in: cache) }
        }()
        let table = try #require(
            FileManager.default.enumerator(atPath: scratch.cache + "/tables")?.compactMap { $0 as? String }.first {
                $0.contains("-")
            })
        let path = scratch.cache + "/tables/" + table
        switch damage {
        case "cut": #expect(truncate(path, 20 * 32 + 7) == 0)
        case "zeros": scratch.overwrite(path, at: 320, with: [UInt8](repeating: 0, count: 640))
        case "noise": scratch.overwrite(path, at: 320, with: (0..<640).map { _ in UInt8.random(in: 0...255) })
        default: #expect(unlink(path) == 0)
        }
        let cache = try scratch.open()
        for _ in 0..<2 {
            for block in blocks { #expect(block.read(from: cache).isRight) }
        }
        for block in blocks { #expect(block.read(from: cache) == (true, true)) }
        #expect(cache.status().usedBytes == scratch.bytesOnDisk())
    }

    @Test func tablesHoldWhatWasInsertedInAnyOrder() {
        var random = SeededGenerator.announced("tables")
        var table = SegmentTable()
        var model: [SegmentTable.Record] = []
        for _ in 0..<3_000 {
            let record = SegmentTable.Record(
                BlockAddress(
                    key: pack, offset: UInt64.random(in: 0..<60_000, using: &random),
                    length: Int.random(in: 1...60, using: &random), proof: BlockProof(high: random.next() % 3, low: 0)))
            let overlapping = model.filter { $0.offset < record.end && record.offset < $0.end }
            #expect(table.conflicts(with: record) == overlapping.contains { $0 != record })
            #expect(table.holds(record) == overlapping.contains(record))
            let isFree = overlapping.allSatisfy { $0 == record }
            #expect(table.insert(record) == isFree)
            if isFree, overlapping.isEmpty { model.append(record) }
        }
        #expect(model.count > 500)
    }
}
