package import ObjectDatabase
import ProllyTree
package import Versioning

extension Repository {
    /// Makes `branch`, or `paths` of it with what is below them, equal to `revision`, by a commit of its own. What the revision
    /// does not have at a path is removed. Throws `.nothingToCommit`, `.pathNotFound` for a path that neither has,
    /// `.notADirectory` when a path lies in what is a file on the branch, and what `authorize` does.
    package func restore(
        _ revision: ResolvedRevision, _ paths: [TreePath] = [], on branch: RefName, _ info: CommitInfo
    ) throws -> Published {
        try refuseIfProtected(branch, .restore)
        var info = info
        info.metadata["restores"] = revision.commitID.hex
        return try database.writing(on: [(revision.commitID, revision.commit.tree)]) {
            try publish(on: branch, .restore, info, source: revision.commitID) { head, headCommit in
                let own = database.tree(headCommit.tree)
                let (tree, counts) =
                    paths.isEmpty || paths.contains(.root)
                    ? (database.tree(revision.commit.tree), revision.commit.counts)
                    : try restored(paths, of: revision, in: own, headCommit.counts)
                if tree.root == own.root { throw RepositoryError.nothingToCommit }
                return makeCommit(tree: tree.root, parents: [(head, headCommit)], counts: counts, info)
            }
        }
    }

    private func restored(
        _ paths: [TreePath], of revision: ResolvedRevision, in own: SnapshotTree, _ counts: Commit.Counts
    ) throws -> (SnapshotTree, Commit.Counts) {
        let earlier = database.tree(revision.commit.tree)
        var edits: [[UInt8]: Edit] = [:]
        for path in paths {
            let wanted = try earlier.entry(at: path)
            if try wanted == nil && own.entry(at: path) == nil {
                throw ObjectDatabaseError.pathNotFound(path: path, revision: revision.commitID.hex)
            }
            if wanted != nil {
                for edit in try missingDirectories(above: path, in: own, entry: earlier.entry) {
                    edits[edit.key] = edit
                }
            }
            try own.pathChanges(to: earlier, atOrBelow: path) { change in
                edits[change.path.key] = change.new.map { .put($0.item(at: change.path)) } ?? .remove(change.path.key)
                return true
            }
        }
        let ordered = edits.values.sorted { compareBytes($0.key, $1.key) < 0 }
        let tree = try own.applying(ordered)
        return (tree, try own.difference(to: tree, from: counts).counts)
    }
}
