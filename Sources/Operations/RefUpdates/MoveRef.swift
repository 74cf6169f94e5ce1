import ObjectDatabase
import ObjectStorage
import ProllyTree
import Versioning

/// Why a ref was not moved.
enum RefMoveFailure: Error {
    /// Somebody else moved it first; `current` is what it is now.
    case moved(current: RefSnapshot?)
}

extension Repository {
    /// Moves a ref by one compare-and-swap: writes the movement, then the ref on condition that it still is `current`
    /// (`nil`: that it never was). Throws `RefMoveFailure.moved` when somebody else was first.
    ///
    /// A reply that is lost is no failure: when the condition fails, the ref's chain of movements tells whether it was
    /// our own write that won (docs/design/003).
    ///
    /// A commit that exists already is protected from the garbage collector meanwhile; a new one is by the lease of
    /// whoever uploaded it.
    func moveRef(_ admission: Admission, from current: RefSnapshot?) throws -> RefSnapshot {
        try database.refuseIfMirror()
        guard let commit = admission.move.new, [.create, .reset, .fastForward].contains(admission.move.operation) else {
            return try swapRef(admission, from: current)
        }
        return try database.writing(on: [(commit, try self.database.commit(commit).tree)], copiesPlaces: false) {
            try swapRef(admission, from: current)
        }
    }

    private func swapRef(_ admission: Admission, from current: RefSnapshot?) throws -> RefSnapshot {
        try database.writeLease.check()
        let move = admission.move
        let name = move.ref
        guard current?.commit == move.old else { throw RefMoveFailure.moved(current: current) }
        let movement = Movement(
            ref: name.qualified, old: move.old, new: move.new, who: move.who, when: now(), operation: move.operation,
            why: move.why, previous: current?.state.movement, gates: admission.gates, approvals: admission.approvals)
        let movementID = try database.saveMovement(movement)
        let state = RefState(commit: move.new, movement: movementID, writeID: randomHex())
        do {
            let etag = try database.store.put(
                ObjectKeys.ref(name), encodeRecord(state), current.map { .matches($0.etag) } ?? .absent)
            return RefSnapshot(name: name, state: state, movement: movement, etag: etag)
        } catch {
            // The condition failed, or no reply came: either way the chain tells whether our write took effect.
            let found: RefSnapshot?
            switch error {
            case .preconditionFailed: found = try database.readRef(name)
            case .unavailable: found = try? database.readRef(name)
            default: throw error
            }
            if let found, try chain(of: found, holds: movementID, since: current?.state.movement) { return found }
            if case .preconditionFailed = error { throw RefMoveFailure.moved(current: found) }
            throw error
        }
    }

    /// Whether the movements from `snapshot` back to (not including) `start` hold `wanted`.
    private func chain(of snapshot: RefSnapshot, holds wanted: MovementID, since start: MovementID?) throws -> Bool {
        var next: MovementID? = snapshot.state.movement
        while let id = next, id != start {
            if id == wanted { return true }
            next = try database.movement(id).previous
        }
        return false
    }
}
