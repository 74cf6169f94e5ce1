import ObjectStorage
import ProllyTree
import Synchronization
package import Versioning

extension ObjectDatabase {
    /// The commit with this id, checked against it. Throws `.missingObject`, `.corrupt`, `.newerFormat`.
    package func commit(_ id: CommitID) throws -> Commit {
        if let known = history.withLock({ $0.commits[id] }) { return known }
        let commit: Commit = try record(ObjectKeys.commit(id), id: id)
        history.withLock { $0.note(commit, id) }
        return commit
    }

    /// Uploads a commit and answers its id.
    package func saveCommit(_ commit: Commit) throws -> CommitID {
        let bytes = encodeRecord(commit)
        let id = CommitID(hashing: bytes)
        _ = try store.put(ObjectKeys.commit(id), bytes, .none)
        try signRecord(bytes, id: id.hex)
        return id
    }

    package func movement(_ id: MovementID) throws -> Movement {
        if let known = history.withLock({ $0.movements[id] }) { return known }
        let movement: Movement = try record(ObjectKeys.movement(id), id: id)
        history.withLock { $0.note(movement, id) }
        return movement
    }

    package func saveMovement(_ movement: Movement) throws -> MovementID {
        let bytes = encodeRecord(movement)
        let id = MovementID(hashing: bytes)
        _ = try store.put(ObjectKeys.movement(id), bytes, .none)
        try signRecord(bytes, id: id.hex)
        return id
    }

    private func record<Record: Decodable, Kind>(_ key: String, id: Identifier<Kind>) throws -> Record {
        let bytes: [UInt8]
        do {
            bytes = try store.get(key, range: nil, ifMatch: nil).bytes
        } catch .notFound {
            throw ObjectDatabaseError.missingObject(object: key, neededBy: "the history")
        }
        guard Identifier<Kind>(hashing: bytes) == id else {
            throw ObjectDatabaseError.corrupt(object: key, reason: "its bytes do not have the SHA-256 that is its name")
        }
        return try decodeObject(bytes, key: key)
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

/// Commits and movements that were read and verified: they never change.
struct KnownHistory: Sendable {
    private(set) var commits: [CommitID: Commit] = [:]
    private(set) var movements: [MovementID: Movement] = [:]

    private static let limit = 16_384

    mutating func note(_ commit: Commit, _ id: CommitID) {
        if commits.count >= Self.limit { commits = [:] }
        commits[id] = commit
    }

    mutating func note(_ movement: Movement, _ id: MovementID) {
        if movements.count >= Self.limit { movements = [:] }
        movements[id] = movement
    }
}
