import BlockingIO
import Logging
import ObjectStorage
package import ProllyTree
package import Versioning

/// Tells the garbage collector that this repository object is writing: one lease for all its writers, from the first
/// that begins to the last that ends.
///
/// While the lease is there, nothing is collected that was uploaded since it was taken, nor what its trees reach
/// (docs/explanation/design/011-garbage-collection.md). It is renewed by a thread for as long as somebody writes.
package final class WriteLease: Sendable {
    private struct State {
        var writers = 0
        /// While somebody writes.
        var held: HeldLease?
        var trees: [NodeID] = []
        /// When it was last written, by this host's uptime; `nil` when there is none.
        var saved: Duration?
        var began: Int64?
        /// Somebody is writing the object: nobody else may.
        var isBusy = false
        var hasRenewer = false
        /// A request that needs it may still be on its way.
        var isKept = false
    }

    private let state = Monitor(State())

    /// How long a writer that was killed keeps the collector from what was uploaded since.
    private static let duration = Duration.days(1)
    private static let renewalInterval = Duration.hours(1)

    /// Whether somebody writes under it.
    package var isHeld: Bool { state.look { $0.writers > 0 } }

    /// Takes the lease, or adds `trees` to it.
    func hold(_ database: ObjectDatabase, _ trees: [NodeID]) throws {
        state.update { state in
            state.writers += 1
            if state.writers == 1 { state.held = HeldLease(database) }
        }
        do {
            try add(trees, database)
            try startRenewing(database)
        } catch {
            release(database)
            throw error
        }
    }

    /// Protects further trees until the last writer ends. Somebody must be writing.
    package func add(_ trees: [NodeID], _ database: ObjectDatabase) throws {
        let needsSave = state.wait { state -> Bool? in
            guard !state.isBusy else { return nil }
            let new = trees.filter { !state.trees.contains($0) }
            state.trees += new
            state.isBusy = state.saved == nil || !new.isEmpty
            return state.isBusy
        }
        if needsSave { try save(database) }
    }

    /// The last writer removes the lease; one that stays because the store is away ends by itself.
    func release(_ database: ObjectDatabase) {
        let held = state.wait { state -> HeldLease?? in
            guard !state.isBusy else { return nil }
            state.writers -= 1
            guard state.writers == 0 else { return .some(nil) }
            defer { state = State(hasRenewer: state.hasRenewer) }
            return .some(state.isKept ? nil : state.held)
        }
        held?.end()
    }

    /// The present lease stays after its last writer, until it ends by itself.
    package func keep() { state.update { $0.isKept = true } }

    /// See `HeldLease.verify`. Nothing to ask when nobody writes.
    package func verify() throws { try state.look { $0.held }?.verify() }

    /// Writes the object; the caller has set `isBusy`.
    private func save(_ database: ObjectDatabase) throws {
        defer { state.update { $0.isBusy = false } }
        let (before, sent) = state.update { ($0, uptime()) }
        guard let held = before.held, let first = before.trees.first else {
            preconditionFailure("a writer names a tree")
        }
        var began = before.began
        if began == nil, before.saved != nil {
            began = try database.store.head(ObjectKeys.leases + held.id).modifiedSeconds
        }
        try held.save(
            Lease(
                purpose: .write, tree: first, lasting: Self.duration, holder: holderName(), subject: held.id,
                trees: Array(before.trees.dropFirst()), began: began,
                process: .current))
        state.update { state in
            state.saved = sent
            state.began = began
        }
    }

    private func startRenewing(_ database: ObjectDatabase) throws {
        let isFirst = state.update { state in
            defer { state.hasRenewer = true }
            return !state.hasRenewer
        }
        guard isFirst else { return }
        do {
            try startHeartbeat { [weak self, weak database] in
                while true {
                    sleepMilliseconds(1000)
                    guard let self, let database else { return }
                    self.renewIfDue(database)
                }
            }
        } catch {
            state.update { $0.hasRenewer = false }
            throw error
        }
    }

    private func renewIfDue(_ database: ObjectDatabase) {
        let isDue = state.update { state -> Bool in
            guard !state.isBusy, let saved = state.saved, uptime() - saved > Self.renewalInterval else {
                return false
            }
            state.isBusy = true
            return true
        }
        guard isDue else { return }
        do {
            try save(database)
        } catch {
            database.logger.warning("the lease on what is being uploaded was not renewed: \(error)")
        }
    }
}

extension ObjectDatabase {
    /// Before anything is uploaded for a ref that may not move.
    package func refuseIfMirror() throws(ObjectDatabaseError) {
        guard let mirror = config.mirror else { return }
        throw .isMirror(location: store.location, source: mirror.source)
    }

    /// Runs `body`, which uploads objects and refers to what `commits` and `trees` reach, safe from the garbage
    /// collector. Throws `.collected` when the data of one of the commits is gone or about to go.
    ///
    /// - Parameter copiesLocations: `body` takes locations of blocks from nodes and lists, and publishes them.
    package func writing<Result>(
        on commits: [(id: CommitID, tree: NodeID)], trees: [NodeID] = [], copiesLocations: Bool = true,
        _ body: () throws -> Result
    ) throws -> Result {
        if !commits.isEmpty { try refuseIfMirror() }
        try writeLease.hold(self, commits.map(\.tree) + trees)
        defer { writeLease.release(self) }
        // After the lease: either the collector sees it, or we see the collector's record.
        for commit in commits { try refuseIfCollected(commit.id, tree: commit.tree) }
        if copiesLocations { try refreshCacheTrust() }
        return try blamingLostLease(writeLease.verify, body)
    }
}
