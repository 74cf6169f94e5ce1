package import ObjectStorage
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
    /// The newest change of the retention rules by then; absent when there never was any. Whoever finds the data missing
    /// holds the record against these rules: anybody may have put it there.
    package var rules: RefUpdateID?

    /// The record of a tree; `nil` when nothing of it was collected.
    package static func load(_ tree: NodeID, from store: any ObjectStore) throws -> CollectedTree? {
        let key = ObjectKeys.collected(tree)
        return try store.find(key).map { try decodeObject($0.bytes, key: key) }
    }
}

extension ObjectDatabase {
    /// Throws `.collected` when the commit's data is gone or about to go. To be sure that it stays, take a lease first.
    package func refuseIfCollected(_ commit: CommitID, tree: NodeID) throws {
        guard let record = try CollectedTree.load(tree, from: store), record.commits.contains(commit) else {
            return
        }
        throw ObjectDatabaseError.collected(tree: tree, record: record)
    }

    /// Notes that the data of `commits`, whose tree is `tree`, is about to be deleted. Adds to what is noted already.
    package func recordCollected(
        _ tree: NodeID, _ commits: [CommitID], rule: String, rules: RefUpdateID?, when: Timestamp
    ) throws {
        let key = ObjectKeys.collected(tree)
        try store.update(key) { found in
            var record =
                try found.map { try decodeObject($0.bytes, key: key) }
                ?? CollectedTree(commits: [], when: when, rule: rule, rules: rules)
            let new = commits.filter { !record.commits.contains($0) }
            if new.isEmpty { return nil }
            record.commits = (record.commits + new).sorted()
            // All of them went by the rules of now: what went by those before is as gone by these, or is kept again.
            (record.when, record.rule, record.rules) = (when, rule, rules)
            return encodeRecord(record)
        }
    }

    /// The trees of which a record says that they are collected.
    package func collectedTrees() throws -> Set<NodeID> {
        Set(try listKeys(ObjectKeys.collected).compactMap { NodeID(hex: $0.key.dropFirst(ObjectKeys.collected.count)) })
    }
}
