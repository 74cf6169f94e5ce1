package import BlockCache
import BlockingIO
import FoundationEssentials
import Glibc
package import Logging
package import ObjectStorage
package import ProllyTree
import Synchronization
import Versioning

/// The tree of one commit.
package typealias SnapshotTree = Tree<TreeNodeStore>

/// An opened repository's objects: commits, refs, tree nodes, block lists and blocks, each verified where it enters.
///
/// Everything blocks; call from threads of our own. Safe to use from many threads.
package final class ObjectDatabase: Sendable {
    package let store: any ObjectStore
    package let config: RepositoryConfig
    package let nodes: TreeNodeStore
    package let blocks: BlockReader
    package let lists: BlockListStore
    package let logger: Logger
    let history = Mutex(KnownHistory())
    package let writeLease = WriteLease()
    let cacheTrust = Mutex(CacheTrust())
    /// Threads for uploads and downloads.
    package let ioThreads: Int
    /// Threads that fetch blocks ahead of readers: as many as the store may be sent requests at once, so that its own
    /// limit decides. A directory, which has no such limit, is asked by as many as `ioThreads`.
    package let readThreads: Int
    let signer: (any RecordSigner)?
    /// Why there is no cache though one was asked for: a `BlockCacheError`.
    package let cacheFailure: (any Error)?

    package struct Options: Sendable {
        /// Where the host's block cache lies; `nil` for none.
        package var cacheDirectory: String?
        /// A cache that cannot be opened is an error. Otherwise the database goes on without one (`cacheFailure`).
        package var needsCache = false
        /// `nil` keeps the limit that the cache has.
        package var cacheLimitBytes: UInt64?
        package var nodeCacheLimitBytes = 96 << 20
        /// `nil`: 32 where the store limits its requests itself, else 16.
        package var ioThreads: Int?
        /// Signs the commits and ref updates that are made.
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
        readThreads = store.traffic == nil ? ioThreads : PacerMetrics.maximumLimit
        signer = options.signer
        let cache: BlockCache?
        do {
            cache = try Self.openCache(config, options, logger)
            cacheFailure = nil
        } catch {
            if options.needsCache { throw error }
            if case BlockCacheError.limitBeyondDisk = error { throw error }
            cache = nil
            cacheFailure = error
        }
        // A mirror has the same id, and the same nodes with other locations.
        let identity = "\(store.location) \(config.mirror.map { "\($0.source) \($0.since.rfc3339)" } ?? "")"
        let salt = NodeID(hashing: Array(identity.utf8)).prefixWord
        nodes = TreeNodeStore(
            store: store, diskCache: cache, cacheSalt: salt, memoryLimitBytes: options.nodeCacheLimitBytes,
            uploadThreads: ioThreads)
        lists = BlockListStore(store: store, diskCache: cache, cacheSalt: salt)
        blocks = BlockReader(store: store, cache: cache)
    }

    private static func openCache(_ config: RepositoryConfig, _ options: Options, _ logger: Logger) throws
        -> BlockCache?
    {
        guard let directory = options.cacheDirectory else { return nil }
        let path = directory + "/" + config.id.uuidString.lowercased()
        do throws(SystemFailure) {
            try makeDirectories(path)
        } catch {
            throw BlockCacheError.system(operation: "mkdir", path: error.path, errno: error.errno)
        }
        if let limit = options.cacheLimitBytes { try BlockCache.checkLimit(limit, in: path) }
        return try BlockCache(directory: path, limitBytes: options.cacheLimitBytes, logger: logger)
    }

    package var cache: BlockCache? { blocks.cache }

    /// What blocks may take in the host's cache, leaving room for tree nodes; `nil` without a cache.
    package var blockCacheRoomBytes: UInt64? {
        cache.map { $0.limitBytes - $0.limitBytes / 32 }
    }

    package func tree(_ id: NodeID) -> SnapshotTree {
        Tree(root: id, store: nodes)
    }

    /// Waits until all nodes and lists saved so far are in the bucket. No sweep removes them: each has a version that no
    /// collector has seen before the lease that it was written under.
    package func flush() throws {
        try nodes.flush()
        try lists.flush()
    }
}
