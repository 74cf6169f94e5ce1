import BlockCache
import FUSEServer
import FoundationEssentials
import Glibc
import ObjectDatabase
import ObjectStorage
import Operations
import Versioning

/// What a mount has done so far: the value of `user.tarn.stats`.
struct MountStatistics: Codable {
    struct Cache: Codable {
        var hits: UInt64
        var misses: UInt64
        var bytesFetched: UInt64
        var evictions: UInt64
        var corruptBlocks: UInt64
        var usedBytes: UInt64
        var limitBytes: UInt64
    }

    struct Memory: Codable {
        var residentBytes: UInt64
        var peakBytes: UInt64
    }

    var mountPoint: String
    /// Where its control socket is now, if it has one.
    var socket: String?
    var seconds: Double
    /// Messages from the kernel, by kind.
    var messages: [String: UInt64]
    /// How often a file was opened so that the kernel reads it from the block cache by itself; absent where it cannot.
    var passthroughOpens: UInt64?
    var cache: Cache?
    var store: StoreMetrics
    var memory: Memory

    init(
        _ repository: Repository, _ mountPoint: String, socket: String?, since started: Timestamp,
        _ session: FUSEServer.Statistics
    ) {
        self.mountPoint = mountPoint
        self.socket = socket
        let now = now()
        seconds = Double(now.seconds - started.seconds) + (Double(now.nanoseconds) - Double(started.nanoseconds)) / 1e9
        messages = session.messages
        passthroughOpens = session.passthroughOpens
        cache = repository.database.cache.map { cache in
            let status = cache.status()
            return Cache(
                hits: status.hits, misses: status.misses, bytesFetched: status.bytesFetched,
                evictions: status.evictions, corruptBlocks: status.corruptBlocks, usedBytes: status.usedBytes,
                limitBytes: status.limitBytes)
        }
        store = (repository.database.store as? MeteredStore)?.metrics ?? StoreMetrics()
        memory = Memory(residentBytes: Self.memory("VmRSS:"), peakBytes: Self.memory("VmHWM:"))
    }

    /// From proc(5) status, which counts in KiB.
    private static func memory(_ name: String) -> UInt64 {
        guard let data = FileManager.default.contents(atPath: "/proc/self/status") else { return 0 }
        let line = String(decoding: data, as: UTF8.self).split(separator: "\n").first { $0.hasPrefix(name) }
        let words = line?.split(whereSeparator: { $0 == " " || $0 == "\t" }) ?? []
        return words.count > 1 ? (UInt64(words[1]) ?? 0) * 1024 : 0
    }
}
