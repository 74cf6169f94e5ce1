package import BlockCache
import FoundationEssentials
import Glibc
package import Logging
package import ObjectStorage
package import ProllyTree
import Synchronization
package import Versioning

/// An opened repository: the store, its nodes and blocks. The use cases are extensions, one file each.
///
/// Everything blocks; call from threads of our own. Safe to use from many threads.
package final class Repository: Sendable {
    package typealias SnapshotTree = Tree<RepositoryNodeStore>

    package let store: any ObjectStore
    package let config: RepositoryConfig
    package let nodes: RepositoryNodeStore
    package let blocks: BlockReader
    package let lists: BlockListStore
    package let logger: Logger
    let history = Mutex(KnownHistory())
    let writeLease = WriteLease()
    let confirmation = UploadConfirmation()
    let copyTrust = Mutex(CopyTrust())
    /// Threads for uploads and downloads.
    package let ioThreads: Int
    /// Threads that fetch blocks ahead of readers: as many as the store may be sent requests at once, so that its own
    /// limit decides. A directory, which has no such limit, is asked by as many as `ioThreads`.
    package let readThreads: Int
    /// Without one, moves that meet hooks are refused.
    let hookRunner: (any HookRunner)?
    let signer: (any RecordSigner)?

    package struct Options: Sendable {
        /// Where the host's block cache lies; `nil` for none.
        package var cacheDirectory: String?
        /// `nil` keeps the limit that the cache has.
        package var cacheLimitBytes: UInt64?
        package var nodeCacheLimitBytes = 96 << 20
        /// `nil`: 32 where the store limits its requests itself, else 16.
        package var ioThreads: Int?
        package var hookRunner: (any HookRunner)?
        /// Signs the commits and movements that are made.
        package var signer: (any RecordSigner)?

        package init() {}
    }

    /// Opens the repository that lies in `store`. Throws `.notARepository`, `.newerFormat`, `.corrupt`.
    package convenience init(
        opening store: any ObjectStore, options: Options = Options(), logger: Logger
    ) throws {
        let config = try RepositoryConfig.load(from: store)
        try self.init(store: store, config: config, options: options, logger: logger)
    }

    /// - Parameter config: as `RepositoryConfig.load` read it from this store.
    package init(store: any ObjectStore, config: RepositoryConfig, options: Options, logger: Logger) throws {
        self.store = store
        self.config = config
        self.logger = logger
        let ioThreads = options.ioThreads ?? (store.traffic == nil ? 16 : 32)
        self.ioThreads = ioThreads
        readThreads = store.traffic == nil ? ioThreads : TrafficMetrics.maximumLimit
        hookRunner = options.hookRunner
        signer = options.signer
        let cache = try options.cacheDirectory.map { directory in
            let path = directory + "/" + config.id.uuidString.lowercased()
            try makeDirectories(path)
            return try BlockCache(directory: path, limitBytes: options.cacheLimitBytes, logger: logger)
        }
        // A mirror has the same id, and the same nodes with other places.
        let place = "\(store.location) \(config.mirror.map { "\($0.source) \($0.since.rfc3339)" } ?? "")"
        let salt = NodeID(hashing: Array(place.utf8)).prefixWord
        nodes = RepositoryNodeStore(
            store: store, diskCache: cache, cacheSalt: salt, memoryLimitBytes: options.nodeCacheLimitBytes,
            uploadThreads: ioThreads)
        lists = BlockListStore(store: store, diskCache: cache, cacheSalt: salt)
        blocks = BlockReader(store: store, cache: cache)
    }

    package var cache: BlockCache? { blocks.cache }

    /// What blocks may take in the host's cache, leaving room for tree nodes; `nil` without a cache.
    package var blockCacheRoomBytes: UInt64? {
        cache.map { $0.limitBytes - $0.limitBytes / 32 }
    }

    package func tree(_ id: NodeID) -> SnapshotTree {
        Tree(root: id, store: nodes)
    }

    /// Waits until all nodes and lists saved so far are in the bucket, where no sweep removes them.
    func flush() throws {
        try confirmation.confirm(in: self)
    }
}

/// The wall clock.
package func now() -> Timestamp {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Timestamp(seconds: Int64(time.tv_sec), nanoseconds: UInt32(time.tv_nsec))
}

/// Makes a directory and those above it, for this user only; one that exists is left as it is.
package func makeDirectories(_ path: String) throws(RepositoryError) {
    var prefix = ""
    for part in path.split(separator: "/") {
        prefix += (prefix.isEmpty && !path.hasPrefix("/") ? "" : "/") + part
        guard mkdir(prefix, 0o700) == 0 || lastErrno() == EEXIST else { throw localFailure(prefix) }
    }
}
