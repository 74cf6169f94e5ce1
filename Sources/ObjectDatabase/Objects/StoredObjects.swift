import ObjectStorage
package import ProllyTree
package import Versioning

extension ObjectDatabase {
    /// A node as the bucket has it now, past every cache; `nil` when it is not there.
    package func storedNode(_ id: NodeID) throws -> Node? { try stored(id) }

    /// A block list, likewise.
    package func storedList(_ id: ContentID) throws -> BlockList? { try (stored(id) as FileMap?)?.list }

    package func storedBytes(_ key: String) throws -> [UInt8]? {
        try store.find(key)?.bytes
    }

    private func stored<Content: StoredContent>(_ id: Identifier<Content.Kind>) throws -> Content? {
        let key = Content.key(id)
        guard let bytes = try storedBytes(key), !TwoPartObject.isTombstone(bytes) else { return nil }
        do {
            return try Content.decode(id, object: bytes)
        } catch {
            throw ObjectDatabaseError.corrupt(object: key, reason: error.reason)
        }
    }
}
