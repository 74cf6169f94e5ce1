import BlockingIO
import Logging
import ObjectStorage
package import ProllyTree
import Synchronization
import Versioning

/// A lease on trees that something long-lived shows: a mount. Written anew now and then, removed at the end; a holder
/// that is killed leaves it to expire.
package final class TreeLease: Sendable {
    private struct State {
        var trees: [NodeID]
        var savedTrees: [NodeID] = []
        var savedSeconds: Int64 = 0
    }

    private let database: ObjectDatabase
    private let purpose: Lease.Purpose
    private let subject: String
    private let duration: Duration
    private let id: String
    private let state: Mutex<State>

    /// A renewal is due when so much of the time is over.
    private static let renewalShare: Int64 = 8
    /// Beyond this many trees the oldest are let go.
    private static let maximumTrees = 4096

    /// - Parameter id: 32 hexadecimal digits; a new lease when `nil`.
    /// - Parameter duration: how long it holds after each renewal.
    package init(
        _ database: ObjectDatabase, purpose: Lease.Purpose, subject: String, id: String? = nil,
        lasting duration: Duration,
        trees: [NodeID]
    ) {
        self.database = database
        self.purpose = purpose
        self.subject = subject
        self.duration = duration
        self.id = id ?? randomHex()
        state = Mutex(State(trees: trees))
    }

    package var shown: [NodeID] { state.withLock { $0.trees } }

    /// What is shown from now on; `renew` tells the store.
    package func show(_ trees: [NodeID]) {
        state.withLock { $0.trees = Array(trees.suffix(Self.maximumTrees)) }
    }

    /// Writes the lease if it says something new or has become old. One caller at a time.
    package func renew() throws {
        let present = now().seconds
        let (trees, isDue) = state.withLock { state in
            (
                state.trees,
                state.trees != state.savedTrees
                    || present - state.savedSeconds > duration.wholeSeconds / Self.renewalShare
            )
        }
        guard isDue, let first = trees.first else { return }
        try database.saveLease(
            Lease(
                purpose: purpose, tree: first,
                expires: Timestamp(seconds: present + duration.wholeSeconds, nanoseconds: 0),
                holder: holderName(), subject: subject, trees: Array(trees.dropFirst())), id: id)
        state.withLock { state in
            state.savedTrees = trees
            state.savedSeconds = present
        }
    }

    /// The trees that an earlier holder of the same id protected and that are still protected.
    package func earlierTrees() throws -> [NodeID] {
        guard let lease = try database.lease(id: id), lease.expires > now() else { return [] }
        return lease.allTrees
    }

    package func end() {
        do {
            try database.removeLease(id: id)
        } catch {
            database.logger.info("the lease \(id) stays until it expires: \(error)")
        }
    }
}
