package import ObjectDatabase
import ProllyTree
package import Versioning

extension Repository {
    /// Takes back on `branch` what `revision` changed against its first parent, by a commit of its own; what was changed
    /// there since is kept, and is a conflict where it is the same. Throws `.noParent`, `.conflicts`, `.nothingToCommit`,
    /// and what `authorize` does.
    package func revert(
        _ revision: ResolvedRevision, on branch: RefName, _ info: CommitInfo, strategy: MergeStrategy = MergeStrategy()
    ) throws -> Published {
        try withFirstParent(of: revision) { parent in
            try apply(
                from: revision.commit, to: parent, source: revision.commitID, on: branch, .revert,
                info.noting("reverts", revision.commitID), strategy)
        }
    }

    /// Does on `branch` what `revision` changed against its first parent. Throws as `revert` does.
    package func cherryPick(
        _ revision: ResolvedRevision, on branch: RefName, _ info: CommitInfo, strategy: MergeStrategy = MergeStrategy()
    ) throws -> Published {
        try withFirstParent(of: revision) { parent in
            try apply(
                from: parent, to: revision.commit, source: revision.commitID, on: branch, .cherryPick,
                info.noting("cherry-picked-from", revision.commitID), strategy)
        }
    }

    /// Runs `body` with the first parent while the collector leaves both commits alone.
    private func withFirstParent(
        of revision: ResolvedRevision, _ body: (Commit) throws -> Published
    ) throws -> Published {
        guard let id = revision.commit.parents.first else {
            throw ObjectDatabaseError.noParent(revision.commitID, number: 1)
        }
        let parent = try database.commit(id)
        return try database.writing(on: [(revision.commitID, revision.commit.tree), (id, parent.tree)]) {
            try body(parent)
        }
    }

    /// A commit on `branch` with the difference between two commits.
    private func apply(
        from old: Commit, to new: Commit, source: CommitID, on branch: RefName, _ operation: RefUpdate.Operation,
        _ info: CommitInfo, _ strategy: MergeStrategy
    ) throws -> Published {
        try refuseIfProtected(branch, operation)
        return try publish(on: branch, operation, info, source: source) { head, headCommit in
            let own = database.tree(headCommit.tree)
            let result = try mergeTrees(
                base: database.tree(old.tree), incoming: database.tree(new.tree), current: own,
                currentCounts: headCommit.counts,
                resolve: strategy.decide)
            guard result.conflicts.isEmpty else {
                throw RepositoryError.conflicts(result.conflicts, head: head, seenFrom: .current)
            }
            let changed = try own.applying(result.edits)
            if changed.root == own.root { throw RepositoryError.nothingToCommit }
            return makeCommit(tree: changed.root, parents: [(head, headCommit)], counts: result.counts, info)
        }
    }
}

extension CommitInfo {
    fileprivate func noting(_ key: String, _ id: CommitID) -> CommitInfo {
        var info = self
        info.metadata[key] = id.hex
        return info
    }
}
