import ObjectStorage
package import ProllyTree
package import Versioning

/// `collected/<tree>`: the garbage collector removes, or has removed, the data of these commits, which all have this
/// tree. Written before anything of them is deleted.
package struct CollectedTree: Hashable, Sendable, Codable {
    package var format = 1
    package var commits: [CommitID]
    package var when: Timestamp
    /// Why, in words: the rule that let them go.
    package var rule: String

    static func load(
        _ tree: NodeID, from store: any ObjectStore
    ) throws -> (record: CollectedTree, etag: ETag)? {
        let key = ObjectKeys.collected(tree)
        guard let object = try store.find(key) else { return nil }
        return (try decodeObject(object.bytes, key: key), object.etag)
    }
}

extension Repository {
    /// Throws `.collected` when the commit's data is gone or about to go. To be sure that it stays, take a lease first.
    package func refuseIfCollected(_ commit: CommitID, tree: NodeID) throws {
        guard let found = try CollectedTree.load(tree, from: store), found.record.commits.contains(commit) else {
            return
        }
        throw RepositoryError.collected(tree: tree, record: found.record)
    }

    /// Notes that the data of `commits`, whose tree is `tree`, is about to be deleted. Adds to what is noted already.
    func recordCollected(_ tree: NodeID, _ commits: [CommitID], rule: String, when: Timestamp) throws {
        for _ in 0..<Self.maximumPublishAttempts {
            let found = try CollectedTree.load(tree, from: store)
            var record = found?.record ?? CollectedTree(commits: [], when: when, rule: rule)
            let new = commits.filter { !record.commits.contains($0) }
            if new.isEmpty { return }
            record.commits = (record.commits + new).sorted()
            if try store.swap(ObjectKeys.collected(tree), from: found?.etag, to: encodeRecord(record)) { return }
        }
        throw RepositoryError.store(.preconditionFailed(key: ObjectKeys.collected(tree)))
    }

    /// The trees of which a record says that they are collected.
    func collectedTrees() throws -> Set<NodeID> {
        Set(try listKeys(ObjectKeys.collected).compactMap { NodeID(hex: $0.key.dropFirst(ObjectKeys.collected.count)) })
    }
}
