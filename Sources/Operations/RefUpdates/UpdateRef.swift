import Logging
import ObjectDatabase
import ObjectStorage
import ProllyTree
import Versioning

/// Why a ref was not moved.
enum RefUpdateFailure: Error {
    /// Somebody else moved it first; `current` is what it is now.
    case moved(current: RefSnapshot?)
}

extension Repository {
    /// Runs `attempt`, which reads a ref and updates it, again on the newer ref as often as somebody else is faster
    /// (`RefUpdateFailure.moved`, or `nil` from it). Throws `.contended` with the last winner when all attempts lost.
    func updating<Result>(_ ref: RefName, _ attempt: () throws -> Result?) throws -> Result {
        var winner = "the garbage collector"
        let result: Result? = try CompareAndSwapLoop.run {
            do {
                return try attempt()
            } catch RefUpdateFailure.moved(let current) {
                winner = current?.newestUpdate.who ?? "someone who removed it"
                database.logger.info("\(ref.name) was moved by \(winner) meanwhile; trying again on the new head")
                return nil
            }
        }
        guard let result else {
            throw RepositoryError.contended(ref, attempts: CompareAndSwapLoop.maximumAttempts, winner: winner)
        }
        return result
    }

    /// Moves a ref by one compare-and-swap: writes the ref update, then the ref on condition that it still is `current`
    /// (`nil`: that it never was). Throws `RefUpdateFailure.moved` when somebody else was first.
    ///
    /// A reply that is lost is no failure: when the condition fails, the ref's chain of ref updates tells whether it was
    /// our own write that won (docs/explanation/design/003-lost-replies.md).
    ///
    /// A commit that exists already is protected from the garbage collector meanwhile; a new one is by the lease of
    /// whoever uploaded it.
    func updateRef(_ authorization: RefUpdateAuthorization, from current: RefSnapshot?) throws -> RefSnapshot {
        try database.refuseIfMirror()
        guard let commit = authorization.move.new,
            [.create, .reset, .fastForward].contains(authorization.move.operation)
        else {
            return try swapRef(authorization, from: current)
        }
        return try database.writing(on: [(commit, try self.database.commit(commit).tree)], copiesLocations: false) {
            try swapRef(authorization, from: current)
        }
    }

    private func swapRef(_ authorization: RefUpdateAuthorization, from current: RefSnapshot?) throws -> RefSnapshot {
        // Between the look at the ref and its move: a collector that ends the lease makes the move fail (`fence`).
        try database.writeLease.verify()
        let move = authorization.move
        let name = move.ref
        guard current?.commit == move.old else { throw RefUpdateFailure.moved(current: current) }
        let refUpdate = RefUpdate(
            ref: name.qualified, old: move.old, new: move.new, who: move.who, when: now(), operation: move.operation,
            why: move.why, previous: current?.state.refUpdate, gates: authorization.gates,
            approvals: authorization.approvals)
        let refUpdateID = try database.saveRefUpdate(refUpdate)
        let state = RefState(commit: move.new, refUpdate: refUpdateID, writeID: randomHex())
        do {
            let etag = try database.store.put(
                ObjectKeys.ref(name), encodeRecord(state), current.map { .matches($0.etag) } ?? .absent)
            let created = RefSnapshot(name: name, state: state, newestUpdate: refUpdate, etag: etag)
            if current == nil { try takeBackIfLeaseIsLost(created) }
            return created
        } catch let error as StoreError {
            // The condition failed, or no reply came: either way the chain tells whether our write took effect.
            let found: RefSnapshot?
            switch error {
            case .preconditionFailed: found = try database.readRef(name)
            case .unavailable: found = settled(name, current)
            default: throw error
            }
            if let found, try chain(of: found, holds: refUpdateID, since: current?.state.refUpdate) { return found }
            if case .preconditionFailed = error { throw RefUpdateFailure.moved(current: found) }
            throw error
        }
    }

    /// What became of a move that got no answer, which may still be on its way: writes the ref again as it is, so that the move
    /// fails if it comes later. Where that is not possible, the lease on what it shows stays until it ends by itself.
    private func settled(_ name: RefName, _ before: RefSnapshot?) -> RefSnapshot? {
        do {
            let found = try database.readRef(name)
            if let found, found.etag == before?.etag {
                try rewriteRef(name)
                return try database.readRef(name)
            }
            if found == nil { database.writeLease.keep() }
            return found
        } catch {
            database.logger.warning("whether \(name.name) was moved is not known: \(error)")
            database.writeLease.keep()
            return nil
        }
    }

    /// No write of a collector makes the creation of an object fail, so after one the lease is asked for again. Takes the new
    /// ref away and throws `.leaseLost` when what it shows may be gone.
    private func takeBackIfLeaseIsLost(_ created: RefSnapshot) throws {
        do {
            try database.writeLease.verify()
        } catch ObjectDatabaseError.leaseLost(let age) {
            let refUpdate = RefUpdate(
                ref: created.name.qualified, old: created.commit, new: nil, who: created.newestUpdate.who, when: now(),
                operation: .delete, why: "the lease on what it shows was lost", previous: created.state.refUpdate)
            let state = RefState(
                commit: nil, refUpdate: try database.saveRefUpdate(refUpdate), writeID: randomHex())
            _ = try database.store.swap(ObjectKeys.ref(created.name), from: created.etag, to: encodeRecord(state))
            throw ObjectDatabaseError.leaseLost(after: age)
        }
    }

    /// Writes a ref again as it is, so that a move which was prepared before fails. One that is moved meanwhile needs it not.
    func rewriteRef(_ name: RefName) throws {
        guard let found = try database.readRef(name) else { return }
        let state = RefState(commit: found.commit, refUpdate: found.state.refUpdate, writeID: randomHex())
        _ = try database.store.swap(ObjectKeys.ref(name), from: found.etag, to: encodeRecord(state))
    }

    /// Whether the ref updates from `snapshot` back to (not including) `start` hold `wanted`.
    private func chain(of snapshot: RefSnapshot, holds wanted: RefUpdateID, since start: RefUpdateID?) throws -> Bool {
        var next: RefUpdateID? = snapshot.state.refUpdate
        while let id = next, id != start {
            if id == wanted { return true }
            next = try database.refUpdate(id).previous
        }
        return false
    }
}
