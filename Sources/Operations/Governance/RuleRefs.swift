import FoundationEssentials
import ObjectDatabase
import ProllyTree
package import Versioning

/// Rules that the newest commit of a ref holds in its metadata, so that the audit trail has every change of them.
package protocol StoredRules: Codable, Sendable {
    /// The ref's name below `rules/`.
    static var name: String { get }
    /// What a change of them is called in the audit trail.
    static var operation: RefUpdate.Operation { get }
    /// None.
    init()
}

extension ProtectionRules: StoredRules {
    package static var name: String { "protection" }
    package static var operation: RefUpdate.Operation { .protect }

    package init() { self.init([]) }
}

extension RetentionRules: StoredRules {
    package static var name: String { "retention" }
    package static var operation: RefUpdate.Operation { .retain }
}

extension Repository {
    private static let rulesKey = "rules"

    static func rulesRef<Rules: StoredRules>(_: Rules.Type) throws -> RefName { try RefName(.rules, Rules.name) }

    /// The rules, and the ref that holds them; none when they were never set. Throws `.corrupt`.
    func storedRules<Rules: StoredRules>(_ type: Rules.Type) throws -> (rules: Rules, snapshot: RefSnapshot?) {
        guard let snapshot = try database.readRef(Self.rulesRef(type)) else { return (Rules(), nil) }
        return (try rules(type, in: snapshot.commit), snapshot)
    }

    /// The rules that a commit of their ref holds; none for a ref that is deleted. Throws `.corrupt`.
    func rules<Rules: StoredRules>(_: Rules.Type, in id: CommitID?) throws -> Rules {
        guard let id else { return Rules() }
        guard let text = try database.commit(id).metadata[Self.rulesKey] else {
            throw ObjectDatabaseError.corrupt(object: ObjectKeys.commit(id), reason: "it has no rules")
        }
        return try decodeObject(Array(text.utf8), key: ObjectKeys.commit(id))
    }

    /// Changes the rules: a commit of their ref, and so a ref update in the audit trail.
    ///
    /// - Parameter change: answers the rules to set from those there are; called again when somebody else sets some first.
    func changeRules<Rules: StoredRules>(
        who: String, why: String, _ change: (Rules) throws -> Rules
    ) throws -> Rules {
        try database.refuseIfMirror()
        let tree = try emptyTree()
        return try database.writing(on: [], trees: [tree], copiesLocations: false) {
            try setRules(tree, who: who, why: why, change)
        }
    }

    private func setRules<Rules: StoredRules>(
        _ tree: NodeID, who: String, why: String, _ change: (Rules) throws -> Rules
    ) throws -> Rules {
        let ref = try Self.rulesRef(Rules.self)
        return try updating(ref) {
            let (old, snapshot) = try storedRules(Rules.self)
            let new = try change(old)
            let parent = try snapshot?.commit.map { ($0, try self.database.commit($0)) }
            let text = String(decoding: encodeRecord(new), as: UTF8.self)
            let made = makeCommit(
                tree: tree, parents: parent.map { [$0] } ?? [], counts: Commit.Counts(directories: 1),
                CommitInfo(author: who, message: why, metadata: [Self.rulesKey: text]))
            try database.flush()
            let move = RefUpdateRequest(
                ref: ref, operation: Rules.operation, old: snapshot?.commit, new: try database.saveCommit(made),
                who: who, why: why)
            _ = try perform(authorize(move), from: snapshot)
            return new
        }
    }

    /// The tree that a repository begins with; in the bucket after `flush`.
    private func emptyTree() throws -> NodeID {
        let root = LocatedEntry(Entry(kind: .directory, mode: 0o755, modified: database.config.created))
        return try SnapshotTree.build([root.item(at: .root)], in: database.nodes).root
    }
}
