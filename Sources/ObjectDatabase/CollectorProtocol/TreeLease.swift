import BlockingIO
import Logging
import ObjectStorage
package import ProllyTree
import Synchronization
import Versioning

/// A lease on trees that something long-lived shows: a mount, or a copy to a mirror. Written anew now and then, removed at the
/// end; a holder that is killed leaves it to end by itself.
package final class TreeLease: Sendable {
    private struct State {
        var held: HeldLease
        var duration: Duration
        var trees: [NodeID]
        var savedTrees: [NodeID] = []
        var saved: Duration?
        var isBusy = false
    }

    private let database: ObjectDatabase
    private let purpose: Lease.Purpose
    private let subject: String
    private let state: Monitor<State>

    /// A renewal is due when so much of the time is over.
    private static let renewalShare = 8
    /// Beyond this many trees the oldest are let go.
    package static let maximumTrees = 4096

    private let outlivesProcess: Bool

    /// - Parameter duration: how long it holds after each renewal.
    /// - Parameter outlivesProcess: what it protects is needed when this process has ended without ending it.
    package init(
        _ database: ObjectDatabase, purpose: Lease.Purpose, subject: String, lasting duration: Duration,
        trees: [NodeID], outlivesProcess: Bool = false
    ) {
        self.outlivesProcess = outlivesProcess
        self.database = database
        self.purpose = purpose
        self.subject = subject
        state = Monitor(State(held: HeldLease(database), duration: duration, trees: trees))
    }

    package var id: String { state.look { $0.held.id } }

    package var shown: [NodeID] { state.look { $0.trees } }

    /// What is shown from now on; `renew` tells the store.
    package func show(_ trees: [NodeID]) {
        state.update { $0.trees = Array(trees.suffix(Self.maximumTrees)) }
    }

    /// Writes the lease if it says something new or has become old. Waits for another caller that is at it. Throws
    /// `.leaseLost` when it had ended meanwhile.
    package func renew() throws {
        let due = state.wait { state -> State?? in
            guard !state.isBusy else { return nil }
            let isOld = state.saved.map { uptime() - $0 > state.duration / Self.renewalShare } ?? true
            guard isOld || state.trees != state.savedTrees, !state.trees.isEmpty else { return .some(nil) }
            state.isBusy = true
            return state
        }
        guard let due else { return }
        let trees = due.trees
        defer { state.update { $0.isBusy = false } }
        let sent = uptime()
        try due.held.save(
            Lease(
                purpose: purpose, tree: trees[0], lasting: due.duration, holder: holderName(), subject: subject,
                trees: Array(trees.dropFirst()), process: outlivesProcess ? nil : .current))
        state.update { state in
            state.savedTrees = trees
            state.saved = sent
        }
    }

    /// From the next renewal on, which is due at once, it holds for so long.
    package func extend(to duration: Duration) {
        state.update { state in
            state.duration = duration
            state.saved = nil
        }
    }

    /// After `.leaseLost`: goes on under a new lease. What the old one protected may be gone.
    package func beginAgain() {
        state.update { state in
            state.held = HeldLease(database)
            state.saved = nil
        }
    }

    /// Throws `.leaseLost` when what it protects may be gone.
    package func check() throws { try state.look { $0.held }.check() }

    /// See `HeldLease.verify`.
    package func verify() throws { try state.look { $0.held }.verify() }

    package func end() { state.look { $0.held }.end() }
}
