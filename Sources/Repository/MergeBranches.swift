import ProllyTree
package import Versioning

/// How a merge settles what both sides changed.
package enum MergeStrategy: Sendable {
    case report
    /// The destination's version of every conflicting path.
    case ours
    /// The source's.
    case theirs

    /// In `mergeTrees` "ours" is the side that is brought in.
    fileprivate var resolution: Resolution? {
        switch self {
        case .report: nil
        case .ours: .theirs
        case .theirs: .ours
        }
    }
}

extension Repository {
    /// Merges `source` into the branch `destination` by a merge commit, or moves the branch (`fastForwardOnly`).
    ///
    /// Throws `.conflicts` (nothing is changed), `.nothingToMerge`, `.noCommonHistory`, `.contended`.
    package func merge(
        _ source: ResolvedRevision, named sourceName: String, into destination: RefName, _ info: CommitInfo,
        strategy: MergeStrategy = .report, fastForwardOnly: Bool = false
    ) throws -> Published {
        if fastForwardOnly { return try fastForward(destination, to: source, named: sourceName, info) }
        return try writing(on: [(source.commitID, source.commit.tree)]) {
            try mergeCommit(source, named: sourceName, into: destination, info, strategy)
        }
    }

    private func mergeCommit(
        _ source: ResolvedRevision, named sourceName: String, into destination: RefName, _ info: CommitInfo,
        _ strategy: MergeStrategy
    ) throws -> Published {
        try publish(on: destination, .merge, info) { head, headCommit in
            guard let base = try mergeBase(source.commitID, head) else {
                throw RepositoryError.noCommonHistory(source: sourceName, destination: destination.name)
            }
            if base == source.commitID {
                throw RepositoryError.nothingToMerge(source: sourceName, destination: destination.name)
            }
            let result = try mergeTrees(
                base: tree(try commit(base).tree), ours: tree(source.commit.tree), theirs: tree(headCommit.tree),
                theirsCounts: headCommit.counts
            ) { _ in strategy.resolution }
            guard result.conflicts.isEmpty else {
                throw RepositoryError.conflicts(result.conflicts.map(\.swapped), head: head)
            }
            let merged = try tree(headCommit.tree).applying(result.edits)
            return makeCommit(
                tree: merged.root, parents: [(head, headCommit), (source.commitID, source.commit)],
                counts: result.counts, info)
        }
    }

    private func fastForward(
        _ destination: RefName, to source: ResolvedRevision, named sourceName: String, _ info: CommitInfo
    ) throws -> Published {
        let (snapshot, head) = try liveRef(destination)
        if try isAncestor(source.commitID, of: head) {
            throw RepositoryError.nothingToMerge(source: sourceName, destination: destination.name)
        }
        guard try isAncestor(head, of: source.commitID) else {
            throw RepositoryError.notFastForward(source: sourceName, destination: destination.name)
        }
        do {
            _ = try moveRef(
                destination, from: snapshot, to: source.commitID, .fastForward, who: info.author, why: info.message)
        } catch RefMoveFailure.moved(let current) {
            throw RepositoryError.contended(destination, attempts: 1, winner: current?.movement.who ?? "someone")
        }
        return Published(commitID: source.commitID, commit: source.commit, previous: head)
    }
}

extension Conflict {
    /// The same conflict seen from the other side: for a merge, "ours" is the destination.
    fileprivate var swapped: Conflict {
        Conflict(path: path, base: base, ours: theirs, theirs: ours, reason: reason)
    }
}
