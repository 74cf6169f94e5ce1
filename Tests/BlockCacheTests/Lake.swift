import BlockCache
import Foundation
import Logging
import Synchronization

/// The data the tests cache: every pack has a byte for every offset, made from its key.
enum Lake {
    static func bytes(_ block: BlockAddress) -> [UInt8] {
        bytes(block.key, block.offset, block.length)
    }

    /// Copied out of one table of random bytes: builds without optimisation are too slow to make them anew.
    static func bytes(_ key: CacheKey, _ offset: UInt64, _ length: Int) -> [UInt8] {
        precondition(length <= period)
        let start = Int((offset + key.low >> 20) % UInt64(period))
        return Array(table[start..<start + length])
    }

    static func isRight(_ block: BlockAddress, _ bytes: UnsafeRawBufferPointer) -> Bool {
        bytes.count == block.length
            && self.bytes(block).withUnsafeBytes { memcmp($0.baseAddress!, bytes.baseAddress!, block.length) == 0 }
    }

    private static let period = 4_194_319

    /// Twice the period, so that no copy wraps.
    private static let table: [UInt8] = {
        let words = (0..<UInt64(period / 8 + 1)).map(mixed)
        let once = words.withUnsafeBytes { Array($0.prefix(period)) }
        return once + once
    }()

    /// Blocks back to back from offset 0, of random lengths.
    static func pack(
        _ number: UInt64, blocks: Int, lengths: ClosedRange<Int>, using random: inout SeededGenerator
    ) -> [BlockAddress] {
        var offset: UInt64 = 0
        return (0..<blocks).map { _ in
            let length = Int.random(in: lengths, using: &random)
            defer { offset += UInt64(length) }
            return block(number, offset, length)
        }
    }

    static func block(_ pack: UInt64, _ offset: UInt64, _ length: Int) -> BlockAddress {
        BlockAddress(
            key: key(pack), offset: offset, length: length,
            proof: BlockProof(high: mixed(pack ^ offset << 20) ^ UInt64(length), low: 0))
    }

    static func key(_ number: UInt64) -> CacheKey {
        CacheKey(high: mixed(number), low: mixed(number ^ 0xFFFF_0000))
    }

    private static func mixed(_ value: UInt64) -> UInt64 {
        var hash = value &+ 0x9E37_79B9_7F4A_7C15
        hash = (hash ^ (hash >> 30)) &* 0xBF58_476D_1CE4_E5B9
        hash = (hash ^ (hash >> 27)) &* 0x94D0_49BB_1331_11EB
        return hash ^ (hash >> 31)
    }
}

/// SplitMix64: the same numbers for the same seed.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }

    /// `TARN_TEST_SEED`, or another one every time; printed, so that a failure can be repeated.
    static func announced(_ test: String) -> SeededGenerator {
        let seed =
            ProcessInfo.processInfo.environment["TARN_TEST_SEED"].flatMap { UInt64($0) }
            ?? UInt64.random(in: 0...UInt64.max)
        print("\(test): TARN_TEST_SEED=\(seed)")
        return SeededGenerator(seed: seed)
    }
}

struct StoreIsAway: Error, Equatable {
    var attempt = 0
}

extension BlockCache {
    /// Reads from the lake, counting fetches; returns the bytes.
    func readLake(
        _ block: BlockAddress, _ range: Range<Int>? = nil, fetches: borrowing Atomic<Int> = Atomic(0)
    ) -> (bytes: [UInt8], outcome: ReadOutcome) {
        let range = range ?? 0..<block.length
        var bytes = [UInt8](repeating: 0xAA, count: range.count)
        var count = 0
        let outcome = bytes.withUnsafeMutableBytes { buffer in
            read(block, within: range.lowerBound, into: buffer) {
                Lake.isRight(block, $0)
            } fetch: {
                count += 1
                return Lake.bytes(block)
            }
        }
        fetches.add(count, ordering: .relaxed)
        return (bytes, outcome)
    }

    /// True if the bytes served are the lake's.
    func servesRight(_ block: BlockAddress, _ range: Range<Int>? = nil) -> Bool {
        let range = range ?? 0..<block.length
        return readLake(block, range).bytes
            == Lake.bytes(block.key, block.offset + UInt64(range.lowerBound), range.count)
    }

    /// Like `servesRight`, and says whether it came from the cache.
    func isCached(_ block: BlockAddress) -> Bool {
        let (bytes, outcome) = readLake(block)
        return outcome == .cached && bytes == Lake.bytes(block)
    }

    /// Reads with a fetch that fails; the error that came out of the read.
    func failure(_ block: BlockAddress, fetch: () -> StoreIsAway) -> StoreIsAway? {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: block.length, alignment: 1)
        defer { buffer.deallocate() }
        do throws(StoreIsAway) {
            _ = try read(block, within: 0, into: buffer) { _ in
                true
            } fetch: { () throws(StoreIsAway) in
                throw fetch()
            }
            return nil
        } catch {
            return error
        }
    }

    func storeLake(_ block: BlockAddress) {
        Lake.bytes(block).withUnsafeBytes { store(block, bytes: $0) }
    }
}

/// A directory of its own, removed at the end.
final class Scratch: Sendable {
    let path: String
    var cache: String { path + "/cache" }

    init() throws {
        path = FileManager.default.temporaryDirectory.path + "/tarn-blockcache-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit {
        // What cannot be removed is in the temporary directory anyway.
        try? FileManager.default.removeItem(atPath: path)
    }

    func open(limit: UInt64 = 64 << 20, slots: Int? = 4_096, files: Int = 256) throws -> BlockCache {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return try BlockCache(
            directory: cache, limitBytes: limit, logger: logger, slotCapacity: slots, openFileLimit: files)
    }

    func file(_ key: CacheKey, in kind: String = "data") -> String {
        let name = String(format: "%016lx%016lx", key.high, key.low)
        return "\(cache)/\(kind)/\(name.prefix(2))/\(name)"
    }

    /// What the files of packs, objects and tables really take.
    func bytesOnDisk() -> UInt64 {
        var sum: UInt64 = 0
        for kind in ["data", "objects", "tables"] {
            for name in FileManager.default.enumerator(atPath: "\(cache)/\(kind)") ?? .init() {
                var information = stat()
                guard let name = name as? String, lstat("\(cache)/\(kind)/\(name)", &information) == 0,
                    information.st_mode & S_IFMT == S_IFREG
                else { continue }
                sum += UInt64(information.st_blocks) * 512
            }
        }
        return sum
    }

    func overwrite(_ path: String, at offset: UInt64, with bytes: [UInt8]) {
        let file = Glibc.open(path, O_WRONLY)
        precondition(file >= 0 && pwrite(file, bytes, bytes.count, off_t(offset)) == bytes.count)
        close(file)
    }

    func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }
}

/// Runs `body` on `count` threads of their own and waits for all.
func onThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
    let group = DispatchGroup()
    for number in 0..<count {
        group.enter()
        Thread.detachNewThread {
            body(number)
            group.leave()
        }
    }
    group.wait()
}

extension SeededGenerator {
    /// One number, where a whole generator is too much.
    var first: UInt64 {
        var copy = self
        return copy.next()
    }
}
