package import ObjectDatabase
import ProllyTree
package import Versioning

/// How a merge settles paths that both sides changed: `.current` is the destination's version, `.incoming` the one that is
/// brought in.
package struct MergeStrategy: Sendable {
    /// The first pattern that matches a path decides.
    package var patterns: [(glob: Glob, resolution: Resolution)] = []
    /// What decides where no pattern does; `nil` reports a conflict.
    package var otherwise: Resolution?

    package init(otherwise: Resolution? = nil) {
        self.otherwise = otherwise
    }

    func decide(_ conflict: Conflict) -> Resolution? {
        patterns.first { $0.glob.matches(conflict.path.bytes) }?.resolution ?? otherwise
    }
}

package struct MergeOptions: Sendable {
    package var strategy = MergeStrategy()
    /// Only move the branch, when it has no commit of its own.
    package var fastForwardOnly = false
    /// A commit with one parent: the source's own commits are not part of the branch's history.
    package var squash = false

    package init() {}
}

/// What a merge would come to.
package struct MergePreview: Sendable {
    package let head: CommitID
    package let changes: [PathChange]
    package let conflicts: [Conflict]
}

extension Repository {
    /// Merges `source` into the branch `destination` by a merge commit, or moves the branch (`fastForwardOnly`).
    ///
    /// Throws `.conflicts` (nothing is changed), `.nothingToMerge`, `.noCommonHistory`, `.contended`, and what `authorize`
    /// does.
    package func merge(
        _ source: ResolvedRevision, named sourceName: String, into destination: RefName, _ info: CommitInfo,
        options: MergeOptions = MergeOptions()
    ) throws -> Published {
        if options.fastForwardOnly { return try fastForward(destination, to: source, named: sourceName, info) }
        // What the merge base has may be taken over, too.
        let bases = try mergeBases(source.commitID, database.liveRef(destination).commit) { id in
            try self.database.commit(id)
        }
        let read = [(source.commitID, source.commit.tree)] + (try bases.map { ($0, try database.commit($0).tree) })
        return try database.writing(on: read) {
            try mergeCommit(source, named: sourceName, into: destination, info, options)
        }
    }

    private func mergeCommit(
        _ source: ResolvedRevision, named sourceName: String, into destination: RefName, _ info: CommitInfo,
        _ options: MergeOptions
    ) throws -> Published {
        var info = info
        if options.squash { info.metadata["squashed-from"] = source.commitID.hex }
        return try publish(on: destination, .merge, info, source: source.commitID) { head, headCommit in
            let parents = [(head, headCommit)] + (options.squash ? [] : [(source.commitID, source.commit)])
            let base = try mergeBase(source, sourceName, destination, head)
            if base.root == headCommit.tree {
                // Nothing but the source's changes: its tree is the result.
                return makeCommit(tree: source.commit.tree, parents: parents, counts: source.commit.counts, info)
            }
            let result = try mergeTrees(base, source, headCommit, options.strategy)
            guard result.conflicts.isEmpty else {
                throw RepositoryError.conflicts(result.conflicts, head: head, seenFrom: .current)
            }
            let merged = try database.tree(headCommit.tree).applying(result.edits)
            return makeCommit(tree: merged.root, parents: parents, counts: result.counts, info)
        }
    }

    /// What `merge` would do now; nothing is changed.
    package func previewMerge(
        _ source: ResolvedRevision, named sourceName: String, into destination: RefName, _ strategy: MergeStrategy
    ) throws -> MergePreview {
        try database.refreshCacheTrust()
        let (_, head) = try database.liveRef(destination)
        let headCommit = try database.commit(head)
        let result = try mergeTrees(
            mergeBase(source, sourceName, destination, head), source, headCommit, strategy)
        let own = database.tree(headCommit.tree)
        // Not by a tree with the edits: its nodes would be uploaded.
        let changes = try result.conflicts.isEmpty ? result.edits.compactMap { try own.change($0) } : []
        return MergePreview(head: head, changes: changes, conflicts: result.conflicts)
    }

    /// Throws `.noCommonHistory`, `.nothingToMerge`.
    private func mergeBase(
        _ source: ResolvedRevision, _ sourceName: String, _ destination: RefName, _ head: CommitID
    ) throws -> SnapshotTree {
        guard let base = try mergeBaseTree(source.commitID, head) else {
            throw RepositoryError.noCommonHistory(source: sourceName, destination: destination.name)
        }
        if try database.isAncestor(source.commitID, of: head) {
            throw try nothingToMerge(source, sourceName, destination, head)
        }
        return base
    }

    /// With the commit on the branch's own line (its first parents) that brought the source in.
    private func nothingToMerge(
        _ source: ResolvedRevision, _ sourceName: String, _ destination: RefName, _ head: CommitID
    ) throws -> RepositoryError {
        var commit = head
        for _ in 0..<Self.maximumLine {
            guard let parent = try database.commit(commit).parents.first,
                try database.isAncestor(source.commitID, of: parent)
            else { break }
            commit = parent
        }
        return .nothingToMerge(source: sourceName, destination: destination.name, commit: commit)
    }

    /// Commits that are looked at for the one that brought a source in.
    private static let maximumLine = 10_000

    private func mergeTrees(
        _ base: SnapshotTree, _ source: ResolvedRevision, _ headCommit: Commit, _ strategy: MergeStrategy
    ) throws -> MergeResult {
        try Versioning.mergeTrees(
            base: base, incoming: database.tree(source.commit.tree), current: database.tree(headCommit.tree),
            currentCounts: headCommit.counts,
            resolve: strategy.decide)
    }

    private func fastForward(
        _ destination: RefName, to source: ResolvedRevision, named sourceName: String, _ info: CommitInfo
    ) throws -> Published {
        let (snapshot, head) = try database.liveRef(destination)
        if try database.isAncestor(source.commitID, of: head) {
            throw try nothingToMerge(source, sourceName, destination, head)
        }
        guard try database.isAncestor(head, of: source.commitID) else {
            throw RepositoryError.notFastForward(source: sourceName, destination: destination.name)
        }
        try updateOnce(
            RefUpdateRequest(
                ref: destination, operation: .fastForward, old: head, new: source.commitID, who: info.author,
                why: info.message, source: source.commitID), from: snapshot)
        return Published(commitID: source.commitID, commit: source.commit, previous: head)
    }

    // MARK: Merge base

    private static let maximumMergeBaseDepth = 16

    /// The tree that a three-way merge compares both sides with: that of the nearest common commit; of several (criss-cross
    /// histories) their own merge, in which a path that they disagree on is as in the base of theirs (as git's recursive
    /// strategy does). `nil` without common history.
    private func mergeBaseTree(_ left: CommitID, _ right: CommitID, depth: Int = 0) throws -> SnapshotTree? {
        let bases = try mergeBases(left, right) { id in try self.database.commit(id) }
        guard let first = bases.first else { return nil }
        var merged = database.tree(try database.commit(first).tree)
        if depth == Self.maximumMergeBaseDepth { return merged }
        for other in bases.dropFirst() {
            guard let base = try mergeBaseTree(first, other, depth: depth + 1) else { continue }
            let result = try Versioning.mergeTrees(
                base: base, incoming: database.tree(database.commit(other).tree), current: merged,
                currentCounts: Commit.Counts()
            ) { _ in .base }
            merged = try merged.applying(result.edits)
        }
        return merged
    }
}
