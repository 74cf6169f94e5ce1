import ObjectStorage
package import ProllyTree
package import Versioning

extension ObjectDatabase {
    /// A node as the bucket has it now, past every cache; `nil` when it is not there.
    package func storedNode(_ id: NodeID) throws -> Node? {
        let key = ObjectKeys.node(id)
        guard let bytes = try storedBytes(key) else { return nil }
        do {
            let object = try TwoPartObject(decoding: bytes, kind: .node, id: id)
            return try Node(id: id, logical: object.logical, location: object.location)
        } catch {
            throw ObjectDatabaseError.corrupt(object: key, reason: error.reason)
        }
    }

    /// A block list, likewise.
    package func storedList(_ id: ContentID) throws -> BlockList? {
        let key = ObjectKeys.list(id)
        guard let bytes = try storedBytes(key) else { return nil }
        do {
            let object = try TwoPartObject(decoding: bytes, kind: .blockList, id: id)
            return try BlockList(logical: object.logical, location: object.location)
        } catch {
            throw ObjectDatabaseError.corrupt(object: key, reason: error.reason)
        }
    }

    package func storedBytes(_ key: String) throws -> [UInt8]? {
        try store.find(key)?.bytes
    }
}
