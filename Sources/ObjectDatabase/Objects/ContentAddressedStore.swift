import BlockCache
import BlockingIO
import ObjectStorage
import ProllyTree
import Synchronization
import Versioning

/// What a `ContentAddressedStore` keeps: an object of two parts, of which the logical one gives it its name.
protocol StoredContent: Sendable {
    associatedtype Kind
    var id: Identifier<Kind> { get }
    static var objectKind: TwoPartObject.Kind { get }
    static func key(_ id: Identifier<Kind>) -> String
    /// The caller has checked that `id` is the digest of `logical`.
    static func decode(
        _ id: Identifier<Kind>, logical: [UInt8], location: [UInt8]
    ) throws(DecodingFault) -> Self
    /// Where its blocks lie, in order.
    func extents() throws -> [Extent]
    /// Its two parts with these locations for its blocks.
    func encoded(at extents: [Extent]) throws -> (logical: [UInt8], location: [UInt8])
    /// What it takes in memory, about.
    var memoryBytes: Int { get }
}

extension StoredContent {
    /// Decodes a whole object as the bucket has it, and checks it against its id.
    static func decode(_ id: Identifier<Kind>, object bytes: [UInt8]) throws(DecodingFault) -> Self {
        let object = try TwoPartObject(decoding: bytes, kind: objectKind, id: id)
        return try decode(id, logical: object.logical, location: object.location)
    }
}

/// Why an object cannot be had.
enum ContentFailure: Error {
    case missing
    case corrupt(reason: String)
    case unreadable(any Error)
}

/// Objects in the bucket that are named by their content, behind a memory cache and the host's disk cache.
///
/// `save` queues the upload and returns; `flush` waits for all, tries failed ones once more and throws the first failure.
/// What is still on its way is found by `load`. Loads of one object by several threads may fetch it more than once; the
/// bytes are the same.
final class ContentAddressedStore<Content: StoredContent>: Sendable {
    typealias ID = Identifier<Content.Kind>

    private struct Memory {
        var contents: BoundedCache<ID, Content>
        /// Raised when all are forgotten: what was begun to be read before does not come back.
        var epoch = 0
        /// Saved and not in the bucket yet.
        var pending: [ID: Content] = [:]
    }

    private let store: any ObjectStore
    private let diskCache: BlockCache?
    private let cacheSalt: UInt64
    private let memory: Mutex<Memory>
    private let uploads: UploadQueue

    /// - Parameter cacheSalt: keeps the copies of this repository apart from those of its mirrors, which have the same
    ///   objects with other locations.
    init(store: any ObjectStore, diskCache: BlockCache?, cacheSalt: UInt64, memoryLimitBytes: Int, uploadThreads: Int) {
        self.store = store
        self.diskCache = diskCache
        self.cacheSalt = cacheSalt
        memory = Mutex(Memory(contents: BoundedCache(limit: memoryLimitBytes)))
        uploads = UploadQueue(threads: uploadThreads, waiting: uploadThreads * 4, isShared: true)
    }

    /// What is in memory.
    func cached(_ id: ID) -> Content? {
        memory.withLock { $0.pending[id] ?? $0.contents.value(for: id) }
    }

    /// The object, verified: from memory, the host's cache or the bucket.
    func load(_ id: ID) throws(ContentFailure) -> Content {
        if let content = cached(id) { return content }
        return try read(id)
    }

    /// The object, from the host's cache or the bucket.
    func read(_ id: ID) throws(ContentFailure) -> Content {
        let epoch = memory.withLock { $0.epoch }
        let bytes = try fetch(id)
        let content = try decode(id, bytes)
        remember(content, id, ifStill: epoch)
        return content
    }

    private func remember(_ content: Content, _ id: ID, ifStill epoch: Int) {
        memory.withLock { memory in
            if memory.epoch == epoch { memory.contents.insert(content, for: id, cost: content.memoryBytes) }
        }
    }

    /// The object past every cache: its location part may have been rewritten.
    func reload(_ id: ID) throws(ContentFailure) -> Content {
        memory.withLock { $0.contents.remove(id) }
        diskCache?.discardObject(cacheKey(id))
        return try load(id)
    }

    /// What is in memory is read again, from the cache or the bucket. What was saved here and is on its way is right.
    func dropCached() {
        memory.withLock { memory in
            memory.epoch += 1
            memory.contents.removeAll()
        }
    }

    /// Queues the upload; `flush` waits for it.
    func save(_ content: Content) {
        let id = content.id
        memory.withLock { $0.pending[id] = content }
        uploads.submit { [self] in
            try put(content)
            memory.withLock { memory in
                memory.contents.insert(content, for: id, cost: content.memoryBytes)
                memory.pending[id] = nil
            }
        }
    }

    /// Uploads it now.
    func put(_ content: Content) throws {
        let id = content.id
        let stored = try LocationRewriter(store: store).put(Content.key(id), content.extents()) { bytes in
            // A damaged object is replaced.
            try? Content.decode(id, object: bytes).extents()
        } encode: { extents in
            let (logical, location) = try content.encoded(at: extents)
            return TwoPartObject.encode(kind: Content.objectKind, logical: logical, location: location)
        }
        diskCache?.keepObject(cacheKey(id), stored)
    }

    /// Waits until everything saved is in the bucket; throws the first upload that failed.
    func flush() throws {
        try uploads.flush()
    }

    private func fetch(_ id: ID) throws(ContentFailure) -> [UInt8] {
        let key = Content.key(id)
        do {
            guard let diskCache else { return try stored(key) }
            let cached = try diskCache.object(cacheKey(id)) { bytes in
                (try? TwoPartObject(decoding: Array(bytes), kind: Content.objectKind, id: id)) != nil
            } fetch: { () throws(StoreError) -> [UInt8] in
                try stored(key)
            }
            // What does not verify is not cached; fetched once more, it is decoded and named below.
            return try cached ?? stored(key)
        } catch StoreError.notFound {
            throw .missing
        } catch {
            throw .unreadable(error)
        }
    }

    private func stored(_ key: String) throws(StoreError) -> [UInt8] {
        let bytes = try store.get(key).bytes
        if TwoPartObject.isTombstone(bytes) { throw .notFound(key: key) }
        return bytes
    }

    private func decode(_ id: ID, _ bytes: [UInt8]) throws(ContentFailure) -> Content {
        do throws(DecodingFault) {
            return try Content.decode(id, object: bytes)
        } catch {
            throw .corrupt(reason: error.reason)
        }
    }

    private func cacheKey(_ id: ID) -> CacheKey {
        CacheKey(high: id.prefixWord, low: id.secondWord ^ cacheSalt)
    }
}
