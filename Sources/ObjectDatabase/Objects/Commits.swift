import BlockingIO
import ObjectStorage
package import ProllyTree
import Synchronization
package import Versioning

extension ObjectDatabase {
    /// The commit with this id, checked against it. Throws `.missingObject`, `.corrupt`, `.newerFormat`.
    package func commit(_ id: CommitID) throws -> Commit {
        if let known = history.withLock({ $0.commit(id) }) { return known }
        let commit: Commit = try record(ObjectKeys.commit(id), id: id, neededBy: "the history")
        history.withLock { $0.note(commit, id) }
        return commit
    }

    /// Uploads a commit and answers its id.
    package func saveCommit(_ commit: Commit) throws -> CommitID {
        try saveRecord(commit, key: ObjectKeys.commit)
    }

    package func refUpdate(_ id: RefUpdateID) throws -> RefUpdate {
        if let known = history.withLock({ $0.refUpdate(id) }) { return known }
        let refUpdate: RefUpdate = try record(ObjectKeys.refUpdate(id), id: id, neededBy: "the history")
        history.withLock { $0.note(refUpdate, id) }
        return refUpdate
    }

    package func saveRefUpdate(_ refUpdate: RefUpdate) throws -> RefUpdateID {
        try saveRecord(refUpdate, key: ObjectKeys.refUpdate)
    }

    /// Uploads a record below the key of its id, and its signature.
    private func saveRecord<Kind>(_ record: some Encodable, key: (Identifier<Kind>) -> String) throws -> Identifier<
        Kind
    > {
        let bytes = encodeRecord(record)
        let id = Identifier<Kind>(hashing: bytes)
        _ = try store.put(key(id), bytes, .none)
        try signRecord(bytes, id: id.hex)
        return id
    }

    /// A JSON object whose id is the SHA-256 of its bytes, checked against it. Throws `.missingObject`, `.corrupt`,
    /// `.newerFormat`. Blocks.
    package func record<Record: Decodable, Kind>(
        _ key: String, id: Identifier<Kind>, neededBy user: String
    ) throws -> Record {
        try decodeObject(recordBytes(key, id: id, neededBy: user), key: key)
    }

    /// The bytes of such an object, likewise.
    package func recordBytes<Kind>(_ key: String, id: Identifier<Kind>, neededBy user: String) throws -> [UInt8] {
        guard let bytes = try storedBytes(key) else {
            throw ObjectDatabaseError.missingObject(object: key, neededBy: user)
        }
        guard Identifier<Kind>(hashing: bytes) == id else {
            throw ObjectDatabaseError.corrupt(object: key, reason: "its bytes do not have the SHA-256 that is its name")
        }
        return bytes
    }

    /// Bytes of every pack in the bucket.
    package func packSizes() throws -> [PackID: UInt64] {
        var sizes: [PackID: UInt64] = [:]
        try store.forEachPage(ObjectKeys.packs) { objects in
            for object in objects {
                if let id = ObjectKeys.packID(key: object.key) { sizes[id] = object.sizeBytes }
            }
        }
        return sizes
    }

    package func mergeBase(_ left: CommitID, _ right: CommitID) throws -> CommitID? {
        try Versioning.mergeBase(left, right) { id in try self.commit(id) }
    }

    package func isAncestor(_ ancestor: CommitID, of descendant: CommitID) throws -> Bool {
        try Versioning.isAncestor(ancestor, of: descendant) { id in try self.commit(id) }
    }
}

/// Commits and ref updates that were read and verified: they never change.
struct KnownHistory: Sendable {
    private var commits = BoundedCache<CommitID, Commit>(limit: 16_384)
    private var refUpdates = BoundedCache<RefUpdateID, RefUpdate>(limit: 16_384)

    mutating func commit(_ id: CommitID) -> Commit? { commits.value(for: id) }

    mutating func refUpdate(_ id: RefUpdateID) -> RefUpdate? { refUpdates.value(for: id) }

    mutating func note(_ commit: Commit, _ id: CommitID) { commits.insert(commit, for: id) }

    mutating func note(_ update: RefUpdate, _ id: RefUpdateID) { refUpdates.insert(update, for: id) }
}
