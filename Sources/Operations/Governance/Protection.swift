import FoundationEssentials
package import ObjectDatabase
import ProllyTree
package import Versioning

extension Repository {
    private static let rulesKey = "rules"

    static func protectionRef() throws -> RefName { try RefName(.rules, "protection") }

    /// The protection rules, and the ref that holds them; none when they were never set. Throws `.corrupt`.
    package func protectionRules() throws -> (rules: ProtectionRules, snapshot: RefSnapshot?) {
        guard let snapshot = try database.readRef(Self.protectionRef()), let id = snapshot.commit else {
            return (ProtectionRules(), nil)
        }
        guard let text = try database.commit(id).metadata[Self.rulesKey] else {
            throw ObjectDatabaseError.corrupt(object: ObjectKeys.commit(id), reason: "it has no protection rules")
        }
        let rules: ProtectionRules = try decodeObject(Array(text.utf8), key: ObjectKeys.commit(id))
        return (rules, snapshot)
    }

    /// Changes the rules: a commit of the ref `rules/protection`, and so a ref update in the audit trail.
    ///
    /// - Parameter change: answers the rules to set from those there are; called again when somebody else sets some first.
    package func changeProtection(
        who: String, why: String, _ change: (ProtectionRules) throws -> ProtectionRules
    ) throws -> ProtectionRules {
        try database.refuseIfMirror()
        let tree = try emptyTree()
        return try database.writing(on: [], trees: [tree], copiesLocations: false) {
            try setProtection(tree, who: who, why: why, change)
        }
    }

    private func setProtection(
        _ tree: NodeID, who: String, why: String, _ change: (ProtectionRules) throws -> ProtectionRules
    ) throws -> ProtectionRules {
        let ref = try Self.protectionRef()
        return try updating(ref) {
            let (old, snapshot) = try protectionRules()
            let new = try change(old)
            let parent = try snapshot?.commit.map { ($0, try self.database.commit($0)) }
            let text = String(decoding: encodeRecord(new), as: UTF8.self)
            let made = makeCommit(
                tree: tree, parents: parent.map { [$0] } ?? [], counts: Commit.Counts(directories: 1),
                CommitInfo(author: who, message: why, metadata: [Self.rulesKey: text]))
            try database.flush()
            let move = RefUpdateRequest(
                ref: ref, operation: .protect, old: snapshot?.commit, new: try database.saveCommit(made), who: who,
                why: why)
            _ = try perform(authorize(move), from: snapshot ?? database.readRef(ref))
            return new
        }
    }

    /// The tree that a repository begins with; in the bucket after `flush`.
    private func emptyTree() throws -> NodeID {
        let root = LocatedEntry(Entry(kind: .directory, mode: 0o755, modified: database.config.created))
        return try SnapshotTree.build([root.item(at: .root)], in: database.nodes).root
    }
}
