package import BlockCache
package import ObjectStorage
package import ProllyTree
import Versioning

/// Tree nodes in the bucket: `ContentAddressedStore` as a tree wants it, with nodes loaded ahead.
package final class TreeNodeStore: NodeStore {
    private let store: any ObjectStore
    private let contents: ContentAddressedStore<Node>
    private let prefetcher: NodePrefetcher

    /// - Parameter cacheSalt: as for `ContentAddressedStore`.
    package init(
        store: any ObjectStore, diskCache: BlockCache?, cacheSalt: UInt64, memoryLimitBytes: Int, uploadThreads: Int
    ) {
        self.store = store
        contents = ContentAddressedStore(
            store: store, diskCache: diskCache, cacheSalt: cacheSalt, memoryLimitBytes: memoryLimitBytes,
            uploadThreads: uploadThreads)
        prefetcher = NodePrefetcher(threads: uploadThreads)
    }

    package func load(_ id: NodeID) throws(TreeError) -> Node {
        if let node = contents.cached(id) { return node }
        prefetcher.wait(for: id)
        return try found(id) { () throws(ContentFailure) in try contents.load(id) }
    }

    package func prefetch(_ ids: [NodeID]) {
        for id in ids where contents.cached(id) == nil {
            // Who needs the node meets the error itself.
            prefetcher.submit(id) { [weak self] in _ = try? self?.contents.read(id) }
        }
    }

    /// Reads the node's location part again from the bucket, past every cache: after a repack it names other packs.
    package func reload(_ id: NodeID) throws(TreeError) -> Node {
        try found(id) { () throws(ContentFailure) in try contents.reload(id) }
    }

    package func save(_ encoded: EncodedNode) throws(TreeError) {
        do {
            contents.save(try Node(id: encoded.id, logical: encoded.logical, location: encoded.location))
        } catch {
            preconditionFailure("a node just encoded must decode: \(error.reason)")
        }
    }

    /// Uploads a node now.
    package func put(_ encoded: EncodedNode) throws {
        try put(Node(id: encoded.id, logical: encoded.logical, location: encoded.location))
    }

    func put(_ node: Node) throws { try contents.put(node) }

    func dropCached() { contents.dropCached() }

    /// Waits until every saved node is in the bucket; throws the first upload that failed.
    package func flush() throws { try contents.flush() }

    private func found(_ id: NodeID, _ body: () throws(ContentFailure) -> Node) throws(TreeError) -> Node {
        do throws(ContentFailure) {
            return try body()
        } catch {
            switch error {
            case .missing: throw missing(id)
            case .corrupt(let reason): throw .corrupt(id, reason: reason)
            case .unreadable(let reason): throw .unreadable(id, reason: reason)
            }
        }
    }

    /// Whoever looks for the tree of a commit whose data was collected is told so.
    private func missing(_ id: NodeID) -> TreeError {
        guard let record = try? CollectedTree.load(id, from: store) else { return .missing(id) }
        return .unreadable(id, reason: ObjectDatabaseError.collected(tree: id, record: record))
    }
}

extension Node: StoredContent {
    static var objectKind: TwoPartObject.Kind { .node }

    static func key(_ id: NodeID) -> String { ObjectKeys.node(id) }

    static func decode(_ id: NodeID, logical: [UInt8], location: [UInt8]) throws(DecodingFault) -> Node {
        try Node(id: id, logical: logical, location: location)
    }

    /// Of all inline blocks, in the order of items.
    func extents() throws -> [Extent] {
        isLeaf ? try (0..<count).flatMap { try LocatedEntry(item: item($0)).extents } : []
    }

    func encoded(at extents: [Extent]) throws -> (logical: [UInt8], location: [UInt8]) {
        var rest = extents[...]
        let encoded = relocated(
            try (0..<count).map { index in
                let item = item(index)
                let number = isLeaf ? try LocatedEntry(item: item).extents.count : 0
                guard number > 0 else { return item }
                defer { rest = rest.dropFirst(number) }
                return Item(key: item.key, value: item.value, location: encodeExtents(Array(rest.prefix(number))))
            })
        return (encoded.logical, encoded.location)
    }
}
