import Logging
import ObjectDatabase
import ProllyTree
import Synchronization
package import Versioning

/// How the root of a mount moves from commit to commit so that nobody sees half of either.
///
/// The kernel remembers names of the root for ever, which makes reading fast. Before the root moves they are made to be
/// forgotten, one by one; meanwhile the root still answers from the old commit, but what it answers may not be
/// remembered. When none is left, the root moves at once. So whoever has seen the new commit never sees the old one by a
/// path again, and nobody waits: no request is held back, and the thread that makes the kernel forget serves none (the
/// kernel lets it wait for lookups under way, which are answered).
///
/// Open files, open directories and working directories stay on the commit where they were opened.
final class HeadFollowing: Sendable {
    private struct State {
        var slot = 1
        var isLeaving = false
        /// Names of the root that the kernel may remember.
        var names: Set<EntryName> = []
    }

    private let state = Mutex(State())

    var currentSlot: Int { state.withLock { $0.slot } }

    /// Looks a name of the root up. `body` is told whether the kernel must not remember the answer.
    func handingOut<Result>(_ name: EntryName, _ body: (_ isFleeting: Bool) throws -> Result) throws -> Result {
        let (isLeaving, slot) = state.withLock { state in
            if !state.isLeaving { state.names.insert(name) }
            return (state.isLeaving, state.slot)
        }
        let result = try body(isLeaving)
        // Moved while `body` looked: what it saw may be of either commit, so it looks again.
        let isSame = state.withLock { $0.slot == slot && ($0.isLeaving == isLeaving || isLeaving) }
        return isSame ? result : try body(true)
    }

    /// From here on no answer is to be remembered; answers the names that the kernel may have.
    func beginLeaving() -> Set<EntryName> {
        state.withLock { state in
            state.isLeaving = true
            defer { state.names = [] }
            return state.names
        }
    }

    func move(to slot: Int) {
        state.withLock { state in
            state.slot = slot
            state.isLeaving = false
        }
    }
}

extension SnapshotFileSystem {
    /// Shows another commit at the root from here on. Blocks until no name of the one before is remembered; never to be
    /// called on a thread that serves requests. One caller at a time.
    package func move(to id: CommitID) throws {
        guard let following else { preconditionFailure("only a mount that follows moves") }
        let commit = try database.commit(id)
        let old = following.currentSlot
        guard let new = slot(id, commit) else { throw VFSError.noSpace }
        guard new != old else { return }
        // The first lookups need its root: fetched before anybody waits for it.
        _ = try database.tree(commit.tree).entry(at: .root)
        let kernel = kernel.withLock { $0 }
        for name in following.beginLeaving() { kernel?.dropName(name, in: .root) }
        following.move(to: new)
        kernel?.dropContent(of: .root)
        releaseIfUnused(slot: old)
        logger.notice("now showing commit \(id)")
    }
}
