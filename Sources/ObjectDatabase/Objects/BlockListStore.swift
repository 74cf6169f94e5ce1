import BlockCache
import ObjectStorage
import ProllyTree
package import Versioning

/// Block lists in the bucket, the recently used ones decoded in memory.
package final class BlockListStore: Sendable {
    private let contents: ContentAddressedStore<FileMap>
    private static let memoryLimitBytes = 32 << 20
    private static let uploadThreads = 4

    /// - Parameter cacheSalt: as for `ContentAddressedStore`.
    init(store: any ObjectStore, diskCache: BlockCache?, cacheSalt: UInt64) {
        contents = ContentAddressedStore(
            store: store, diskCache: diskCache, cacheSalt: cacheSalt, memoryLimitBytes: Self.memoryLimitBytes,
            uploadThreads: Self.uploadThreads)
    }

    /// The blocks of a file. Loads the list's object when it has one; inline blocks come from the entry itself. Throws
    /// `.missingObject`, `.corrupt`, or the store's error.
    package func map(of entry: LocatedEntry) throws -> FileMap {
        guard let content = entry.entry.file else { return FileMap(.empty) }
        guard case .list(let id) = content.blocks else { return FileMap(entry.inlineList ?? .empty) }
        let map = try found(id) { () throws(ContentFailure) in try contents.load(id) }
        guard map.sizeBytes == content.sizeBytes else {
            throw ObjectDatabaseError.corrupt(
                object: ObjectKeys.list(id),
                reason: "its blocks are \(map.sizeBytes) bytes, the entry says \(content.sizeBytes)")
        }
        return map
    }

    /// The list past every cache: its location part may have been rewritten.
    package func reload(_ id: ContentID) throws -> FileMap {
        try found(id) { () throws(ContentFailure) in try contents.reload(id) }
    }

    /// Queues the upload of a list; `flush` waits for it.
    package func save(_ list: BlockList) { contents.save(FileMap(list)) }

    /// Uploads a list now.
    package func put(_ list: BlockList) throws { try put(FileMap(list)) }

    func put(_ map: FileMap) throws { try contents.put(map) }

    func dropCached() { contents.dropCached() }

    package func flush() throws { try contents.flush() }

    private func found(_ id: ContentID, _ body: () throws(ContentFailure) -> FileMap) throws -> FileMap {
        do throws(ContentFailure) {
            return try body()
        } catch {
            switch error {
            case .missing:
                throw ObjectDatabaseError.missingObject(
                    object: ObjectKeys.list(id), neededBy: "a file with content \(id)")
            case .corrupt(let reason): throw ObjectDatabaseError.corrupt(object: ObjectKeys.list(id), reason: reason)
            case .unreadable(let error): throw error
            }
        }
    }
}
