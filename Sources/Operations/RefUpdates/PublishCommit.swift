import BlockingIO
import Logging
import ObjectDatabase
import ProllyTree
import Synchronization
package import Versioning

/// Who commits, and what they say of it.
package struct CommitInfo: Sendable {
    package var author: String
    package var message: String
    package var metadata: [String: String]

    package init(author: String, message: String, metadata: [String: String] = [:]) {
        self.author = author
        self.message = message
        self.metadata = metadata
    }
}

/// What a publication came to.
package struct Published: Sendable {
    package let commitID: CommitID
    package let commit: Commit
    /// The commit that the branch pointed to before.
    package let previous: CommitID
}

extension Repository {
    /// Moves a branch to a new commit that `prepare` makes from the branch's head, again on the newer head as often as
    /// somebody else moves the branch first (see `CompareAndSwapLoop`).
    ///
    /// What the branch's rules and hooks say is asked for each commit that `prepare` answers: hooks judge the exact result.
    ///
    /// - Parameter source: what a merge brings in, or a revert takes back.
    /// - Parameter prepare: uploads everything the commit needs and answers it; called on each new head.
    /// - Parameter beforeMove: called when the commit is in the bucket, just before the compare-and-swap.
    func publish(
        on branch: RefName, _ operation: RefUpdate.Operation, _ info: CommitInfo, source: CommitID? = nil,
        prepare: (_ head: CommitID, _ headCommit: Commit) throws -> Commit,
        beforeMove: (CommitID) throws -> Void = { _ in }
    ) throws -> Published {
        // The head itself needs no lease (docs/explanation/design/011-garbage-collection.md); whoever uploaded before
        // has one.
        if database.writeLease.isHeld {
            return try queueing(on: branch, operation, info, source, prepare: prepare, beforeMove: beforeMove)
        }
        let (_, first) = try database.liveRef(branch)
        return try database.writing(on: [(first, try database.commit(first).tree)]) {
            try queueing(on: branch, operation, info, source, prepare: prepare, beforeMove: beforeMove)
        }
    }

    /// In turn, when gates judge the move: whoever loses the race for the branch is judged again.
    private func queueing(
        on branch: RefName, _ operation: RefUpdate.Operation, _ info: CommitInfo, _ source: CommitID?,
        prepare: (_ head: CommitID, _ headCommit: Commit) throws -> Commit, beforeMove: (CommitID) throws -> Void
    ) throws -> Published {
        func publish() throws -> Published {
            try publishing(on: branch, operation, info, source, prepare: prepare, beforeMove: beforeMove)
        }
        guard try isGated(branch, operation, who: info.author) else { return try publish() }
        return try MergeQueue.inTurn(branch, database, publish)
    }

    private func publishing(
        on branch: RefName, _ operation: RefUpdate.Operation, _ info: CommitInfo, _ source: CommitID?,
        prepare: (_ head: CommitID, _ headCommit: Commit) throws -> Commit, beforeMove: (CommitID) throws -> Void
    ) throws -> Published {
        try updating(branch) {
            let epoch = database.cacheTrustEpoch
            let (ref, head) = try database.liveRef(branch)
            let commit = try prepare(head, try self.database.commit(head))
            try database.flush()
            // A sweep since: what was read of the head may have come from copies that it made stale.
            try database.refreshCacheTrust()
            if database.cacheTrustEpoch != epoch { return nil }
            let id = try database.saveCommit(commit)
            let authorization = try authorize(
                RefUpdateRequest(
                    ref: branch, operation: operation, old: head, new: id, who: info.author, why: info.message,
                    source: source))
            try beforeMove(id)
            _ = try perform(authorization, from: ref)
            return Published(commitID: id, commit: commit, previous: head)
        }
    }

    /// A commit on top of `parents` (the first one's counts are given after the change).
    func makeCommit(
        tree: NodeID, parents: [(id: CommitID, commit: Commit)], counts: Commit.Counts, _ info: CommitInfo
    ) -> Commit {
        Commit(
            tree: tree, parents: parents.map(\.id), author: info.author, committer: info.author, time: now(),
            message: info.message, metadata: info.metadata,
            generation: 1 + (parents.map(\.commit.generation).max() ?? 0), counts: counts)
    }
}
