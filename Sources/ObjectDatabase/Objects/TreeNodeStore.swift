package import BlockCache
package import ObjectStorage
package import ProllyTree
import Synchronization
import Versioning

/// Tree nodes in the bucket, behind a memory cache and the host's disk cache.
///
/// `save` queues the upload and returns; `flush` waits for all, tries failed ones once more and throws the first
/// failure. A node that is still on its way is found by `load`. Loads of one node by several threads may fetch it more
/// than once; the bytes are the same.
package final class TreeNodeStore: NodeStore {
    private let store: any ObjectStore
    private let diskCache: BlockCache?
    private let memory: NodeCache
    private let uploads: UploadQueue
    private let pending = Mutex<[NodeID: Node]>([:])
    private let unconfirmed = Mutex<[NodeID: EncodedNode]>([:])
    private let preparation: NodePrefetcher
    private let cacheSalt: UInt64

    /// - Parameter cacheSalt: keeps the copies of this repository apart from those of its mirrors, which have the same nodes in
    ///   other places.
    package init(
        store: any ObjectStore, diskCache: BlockCache?, cacheSalt: UInt64, memoryLimitBytes: Int, uploadThreads: Int
    ) {
        self.store = store
        self.cacheSalt = cacheSalt
        self.diskCache = diskCache
        memory = NodeCache(limitBytes: memoryLimitBytes)
        uploads = UploadQueue(threads: uploadThreads, waiting: uploadThreads * 4, isShared: true)
        preparation = NodePrefetcher(threads: uploadThreads)
    }

    package func load(_ id: NodeID) throws(TreeError) -> Node {
        if let node = memory[id] ?? pending.withLock({ $0[id] }) { return node }
        preparation.wait(for: id)
        if let node = memory[id] { return node }
        return try read(id)
    }

    package func prefetch(_ ids: [NodeID]) {
        let missing = pending.withLock { pending in ids.filter { pending[$0] == nil } }
        for id in missing where memory[id] == nil {
            // Who needs the node meets the error itself.
            preparation.submit(id) { [weak self] in _ = try? self?.read(id) }
        }
    }

    private func read(_ id: NodeID) throws(TreeError) -> Node {
        let epoch = memory.epoch
        let bytes = try fetch(id)
        let node = try decode(id, bytes)
        memory.insert(node, ifStill: epoch)
        return node
    }

    /// What is in memory is read again, from the cache or the bucket.
    func dropCached() { memory.removeAll() }

    /// Reads the node's location part again from the bucket, past every cache: after a repack it names other packs.
    package func reload(_ id: NodeID) throws(TreeError) -> Node {
        memory.remove(id)
        diskCache?.discardObject(cacheKey(id))
        return try load(id)
    }

    package func save(_ encoded: EncodedNode) throws(TreeError) {
        let node: Node
        do {
            node = try Node(id: encoded.id, logical: encoded.logical, location: encoded.location)
        } catch {
            preconditionFailure("a node just encoded must decode: \(error.reason)")
        }
        pending.withLock { $0[encoded.id] = node }
        unconfirmed.withLock { $0[encoded.id] = encoded }
        uploads.submit { [self] in
            try put(encoded)
            memory.insert(node)
            pending.withLock { $0[encoded.id] = nil }
        }
    }

    /// Uploads a node now.
    package func put(_ encoded: EncodedNode) throws {
        let node = try Node(id: encoded.id, logical: encoded.logical, location: encoded.location)
        let stored = try LocationRewriter(store: store).put(ObjectKeys.node(encoded.id), node.extents()) { bytes in
            // A damaged object is replaced.
            guard let object = try? TwoPartObject(decoding: bytes, kind: .node, id: encoded.id) else { return nil }
            return try? Node(id: encoded.id, logical: object.logical, location: object.location).extents()
        } encode: { extents in
            let placed = try node.placing(extents)
            return TwoPartObject.encode(kind: .node, logical: placed.logical, location: placed.location)
        }
        diskCache?.keepObject(cacheKey(encoded.id), stored)
    }

    /// What was saved since the last call.
    func takeUnconfirmed() -> [NodeID: EncodedNode] {
        unconfirmed.withLock { nodes in
            defer { nodes = [:] }
            return nodes
        }
    }

    func giveBack(_ nodes: [NodeID: EncodedNode]) {
        unconfirmed.withLock { $0.merge(nodes) { newer, _ in newer } }
    }

    /// Waits until every saved node is in the bucket; throws the first upload that failed.
    package func flush() throws {
        try uploads.flush()
    }

    private func fetch(_ id: NodeID) throws(TreeError) -> [UInt8] {
        let key = ObjectKeys.node(id)
        do {
            guard let diskCache else { return try store.get(key, range: nil, ifMatch: nil).bytes }
            let cached = try diskCache.object(cacheKey(id)) { bytes in
                (try? TwoPartObject(decoding: Array(bytes), kind: .node, id: id)) != nil
            } fetch: { () throws(StoreError) -> [UInt8] in
                try store.get(key, range: nil, ifMatch: nil).bytes
            }
            // What does not verify is not cached; fetched once more, it is decoded and named below.
            return try cached ?? store.get(key, range: nil, ifMatch: nil).bytes
        } catch StoreError.notFound {
            throw missing(id)
        } catch {
            throw .unreadable(id, reason: error)
        }
    }

    /// Whoever looks for the tree of a commit whose data was collected is told so.
    private func missing(_ id: NodeID) -> TreeError {
        guard let record = try? CollectedTree.load(id, from: store) else { return .missing(id) }
        return .unreadable(id, reason: ObjectDatabaseError.collected(tree: id, record: record))
    }

    private func decode(_ id: NodeID, _ bytes: [UInt8]) throws(TreeError) -> Node {
        do {
            let object = try TwoPartObject(decoding: bytes, kind: .node, id: id)
            return try Node(id: id, logical: object.logical, location: object.location)
        } catch {
            throw .corrupt(id, reason: error.reason)
        }
    }

    private func cacheKey(_ id: NodeID) -> CacheKey {
        CacheKey(high: id.prefixWord, low: id.secondWord ^ cacheSalt)
    }
}

extension Node {
    /// The locations of all inline blocks, in the order of items.
    func extents() throws -> [Extent] {
        isLeaf ? try (0..<count).flatMap { try LocatedEntry(item: item($0)).extents } : []
    }

    /// The node with these places in the same order.
    func placing(_ extents: [Extent]) throws -> EncodedNode {
        var rest = extents[...]
        return relocated(
            try (0..<count).map { index in
                let item = item(index)
                let number = isLeaf ? try LocatedEntry(item: item).extents.count : 0
                guard number > 0 else { return item }
                defer { rest = rest.dropFirst(number) }
                return Item(key: item.key, value: item.value, location: encodeExtents(Array(rest.prefix(number))))
            })
    }
}
