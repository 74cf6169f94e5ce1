package import ObjectStorage
package import ProllyTree
package import Versioning

/// `collected/<tree>`: the garbage collector removes, or has removed, the data of these commits, which all have this
/// tree. Written before anything of them is deleted, and never deleted: a deletion that arrives late would take away what
/// another run has noted since. One that was taken back is `{}`.
package struct CollectedTree: Hashable, Sendable, Codable {
    package var format = 1
    package var commits: [CommitID]
    package var when: Timestamp
    /// Why, in words: the rule that let them go.
    package var rule: String
    /// The newest change of the retention rules by then; absent when there never was any. Whoever finds the data missing
    /// holds the record against these rules: anybody may have put it there.
    package var rules: RefUpdateID?
    /// The runs of the collector that have noted it and not taken it back.
    package var runs: [String]?

    private static let takenBack = Array("{}".utf8)

    /// The record of a tree; `nil` when nothing of it was collected.
    package static func load(_ tree: NodeID, from store: any ObjectStore) throws -> CollectedTree? {
        let key = ObjectKeys.collected(tree)
        return try store.find(key).flatMap { try decode($0.bytes, key) }
    }

    private static func decode(_ bytes: [UInt8], _ key: String) throws -> CollectedTree? {
        bytes == takenBack ? nil : try decodeObject(bytes, key: key)
    }

    /// Changes the record of a tree by compare-and-swap; `nil` is none.
    fileprivate static func update(
        _ tree: NodeID, in store: any ObjectStore, _ change: (inout CollectedTree?) throws -> Void
    ) throws {
        let key = ObjectKeys.collected(tree)
        try store.update(key) { found in
            let before = try found.flatMap { try decode($0.bytes, key) }
            var record = before
            try change(&record)
            if record == before { return nil }
            return record.map { encodeRecord($0) } ?? takenBack
        }
    }

    fileprivate static func isTakenBack(_ info: ObjectInfo) -> Bool { info.sizeBytes == UInt64(takenBack.count) }
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
    ///
    /// - Parameter run: the run of the collector; `nil` when the data is gone, as the source of a mirror says.
    package func recordCollected(
        _ tree: NodeID, _ commits: [CommitID], rule: String, rules: RefUpdateID?, when: Timestamp, run: String?
    ) throws {
        try CollectedTree.update(tree, in: store) { found in
            var record = found ?? CollectedTree(commits: [], when: when, rule: rule, rules: rules)
            if let run, record.runs?.contains(run) != true { record.runs = (record.runs ?? []) + [run] }
            let new = commits.filter { !record.commits.contains($0) }
            if !new.isEmpty {
                record.commits = (record.commits + new).sorted()
                // All of them went by the rules of now: what went by those before is as gone by these, or is kept again.
                (record.when, record.rule, record.rules) = (when, rule, rules)
            }
            found = record
        }
    }

    /// Takes back what was noted of a tree that is there and in use. What a run has noted that may still delete it stays noted.
    ///
    /// - Parameter mayDelete: whether a run other than the caller's may.
    package func takeBackCollected(_ tree: NodeID, _ mayDelete: (_ run: String) -> Bool) throws {
        try CollectedTree.update(tree, in: store) { found in
            guard var record = found else { return }
            record.runs = record.runs?.filter(mayDelete)
            found = record.runs?.isEmpty == false ? record : nil
        }
    }

    /// The trees of which a record says that they are collected.
    package func collectedTrees() throws -> Set<NodeID> {
        Set(
            try listKeys(ObjectKeys.collected).filter { !CollectedTree.isTakenBack($0) }.compactMap {
                NodeID(hex: $0.key.dropFirst(ObjectKeys.collected.count))
            })
    }

    /// Deletes one version of a node or a list: on condition, so that nothing that was written since is hit however late the
    /// request arrives. False when there is another version now.
    package func deleteVersion(_ object: ObjectInfo) throws -> Bool {
        switch try store.delete(object.key, ifMatch: object.etag) {
        case .deleted: return true
        case .changed: return false
        case .unsupported: return try store.swap(object.key, from: object.etag, to: TwoPartObject.tombstone())
        }
    }
}
