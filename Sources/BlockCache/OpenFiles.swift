import Glibc
import Synchronization

/// An open pack file; the descriptor is closed when the last thread that uses it lets go.
final class OpenFile: Sendable {
    private let descriptor: Int32

    init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    deinit {
        close(descriptor)
    }

    /// The descriptor is open while `body` runs, and may not be after.
    func withDescriptor<Result, Failure: Error>(
        _ body: (Int32) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        defer { withExtendedLifetime(self) {} }
        return try body(descriptor)
    }

    /// The file has a name: what is written to it can be found again.
    var isLinked: Bool { status.map { $0.st_nlink > 0 } ?? false }

    /// fstat(2); `nil` when it fails.
    var status: stat? {
        var information = stat()
        return withDescriptor { fstat($0, &information) } == 0 ? information : nil
    }

    /// Runs `body` while nobody, in any process, holds a `WholeFile` of this file; nil if somebody does. Under the
    /// exclusive lock of the cache.
    func unlessHeld<T>(_ body: () -> T) -> T? {
        withDescriptor { descriptor in
            guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { return nil }
            defer { flock(descriptor, LOCK_UN) }
            return body()
        }
    }
}

/// A pack's file for readers who go past the cache: one whole file of the caller's, every byte of it verified. While
/// this object lives (or whoever got the descriptor from it keeps the file open), no process takes a byte out of the
/// file or makes it longer.
///
/// The hold is a shared `flock`, which belongs to the open file and not to the process: when the kernel has taken the
/// descriptor over, it outlives us.
package final class WholeFile: Sendable {
    private let descriptor: Int32

    init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    deinit {
        close(descriptor)
    }

    /// The descriptor is open while `body` runs, and may not be after.
    package func withDescriptor<Result, Failure: Error>(
        _ body: (Int32) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        defer { withExtendedLifetime(self) {} }
        return try body(descriptor)
    }
}

/// The pack files this process has open, the least recently used closed first.
///
/// A file is opened under the lock of its shard, so for one key later answers never give an older file. Whoever
/// verified a block through `current` can therefore go on with `any` for as long as the slot's generation stands.
final class OpenFiles: Sendable {
    private static let shardCount = 16

    private struct Entry {
        let file: OpenFile
        var lastUse: UInt64
    }

    private struct State {
        var entries: [CacheKey: Entry] = [:]
        var clock: UInt64 = 0
    }

    private final class Shard: Sendable {
        let state = Mutex(State())
    }

    private let directory: KeyedDirectory<CacheKey>
    private let filesPerShard: Int
    private let shards = (0..<shardCount).map { _ in Shard() }

    init(directory: KeyedDirectory<CacheKey>, limit: Int) {
        self.directory = directory
        filesPerShard = max(1, limit / Self.shardCount)
    }

    /// The file of `key`, perhaps one that was unlinked since; nil if there is none or it cannot be opened.
    func any(_ key: CacheKey) -> OpenFile? {
        // An unreadable file is as good as none: the block is fetched again.
        try? open(key, create: false, linkedOnly: false)
    }

    /// The file that bears the name now; nil if there is none.
    func current(_ key: CacheKey, create: Bool = false) throws(DiskFailure) -> OpenFile? {
        try open(key, create: create, linkedOnly: true)
    }

    func forget(_ key: CacheKey) {
        shard(key).state.withLock { state in _ = state.entries.removeValue(forKey: key) }
    }

    func forgetAll() {
        for shard in shards { shard.state.withLock { $0.entries.removeAll() } }
    }

    private func open(_ key: CacheKey, create: Bool, linkedOnly: Bool) throws(DiskFailure) -> OpenFile? {
        try shard(key).state.withLock { state throws(DiskFailure) -> OpenFile? in
            state.clock += 1
            if let file = state.entries[key]?.file {
                if !linkedOnly || file.isLinked {
                    state.entries[key]?.lastUse = state.clock
                    return file
                }
                state.entries[key] = nil
            }
            guard let descriptor = try directory.open(key, create ? O_RDWR | O_CREAT : O_RDWR) else { return nil }
            let file = OpenFile(descriptor: descriptor)
            if state.entries.count >= filesPerShard,
                let oldest = state.entries.min(by: { $0.value.lastUse < $1.value.lastUse })
            {
                state.entries[oldest.key] = nil
            }
            state.entries[key] = Entry(file: file, lastUse: state.clock)
            return file
        }
    }

    private func shard(_ key: CacheKey) -> Shard {
        shards[Int(truncatingIfNeeded: key.low ^ key.high >> 7) & (Self.shardCount - 1)]
    }
}
