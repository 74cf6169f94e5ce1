import Logging
import ObjectStorage
import Synchronization
import Versioning

/// One lease object and its holder.
///
/// Its name is random and used by one holder only, and each writing is a compare-and-swap with the one before. So a request
/// that arrives late, or twice, changes nothing, and a holder whose lease was removed or written by another finds out. A
/// holder that did not renew in time must not go on: its lease is lost for good.
package final class HeldLease: Sendable {
    private struct State {
        var etag: ETag?
        /// When the request of the last writing that succeeded was sent, by this host's uptime.
        var sent: Duration?
        var lasts: Duration = .zero
        var isLost = false
    }

    package let id: String
    private let database: ObjectDatabase
    private let state = Mutex(State())

    package convenience init(_ database: ObjectDatabase) {
        self.init(database, id: randomHex())
    }

    private init(_ database: ObjectDatabase, id: String) {
        self.database = database
        self.id = id
    }

    /// Goes on with a lease of the caller's own from before; `nil` when it has ended or is gone. The caller sees to it that
    /// nobody else does the same. A few requests.
    package static func resuming(_ id: String, _ database: ObjectDatabase) throws -> HeldLease? {
        guard let stored = try database.lease(id: id) else { return nil }
        let present = try database.storeSeconds()
        guard stored.endSeconds > present else { return nil }
        let held = HeldLease(database, id: id)
        held.state.withLock { state in
            state.etag = stored.etag
            state.sent = uptime() - .seconds(present - stored.writtenSeconds)
            state.lasts = .seconds(stored.lease.lasts ?? 0)
        }
        return held
    }

    /// Writes the lease, or writes it again. One caller at a time. Throws `.leaseLost` when it had ended, was removed, or was
    /// written by somebody else; from then on always.
    package func save(_ lease: Lease) throws {
        let key = ObjectKeys.leases + id
        let sent = uptime()
        let before = try state.withLock { state in
            if Self.isOver(state, at: sent) { state.isLost = true }
            if state.isLost { throw Self.lost(state, at: sent) }
            return state.etag
        }
        let bytes = encodeRecord(lease)
        guard let etag = try write(key, bytes, over: before) else {
            throw state.withLock { state in
                state.isLost = true
                return Self.lost(state, at: sent)
            }
        }
        state.withLock { state in
            (state.etag, state.sent, state.lasts) = (etag, sent, .seconds(lease.lasts ?? 0))
        }
    }

    /// Answers the version that was written; `nil` when the object is not the one that we wrote before.
    private func write(_ key: String, _ bytes: [UInt8], over before: ETag?) throws -> ETag? {
        do throws(StoreError) {
            return try database.store.put(key, bytes, before.map { .matches($0) } ?? .absent)
        } catch {
            switch error {
            case .preconditionFailed, .notFound: break
            default: throw error
            }
        }
        // A first attempt may have arrived though its reply did not.
        guard let found = try database.store.find(key), found.bytes == bytes else { return nil }
        return found.etag
    }

    /// Throws `.leaseLost` when what it protected may be gone: it was not renewed for most of its time, or is lost. What
    /// remains of the time is for the request that the caller is about to send.
    package func check() throws {
        try state.withLock { state in
            let present = uptime()
            if state.isLost || Self.isOver(state, at: present + state.lasts / 12) {
                state.isLost = true
                throw Self.lost(state, at: present)
            }
        }
    }

    /// Asks the store whether the lease still holds. Throws `.leaseLost` when it does not. To be called between the look at
    /// a ref and its move: a collector that ends leases makes the move fail if it comes later (`GarbageCollectionRun.fence`).
    package func verify() throws {
        let stored = try database.lease(id: id)
        if let stored, stored.lease.isBroken != true { return try check() }
        throw state.withLock { state in
            state.isLost = true
            return Self.lost(state, at: uptime())
        }
    }

    /// Gives it back; one that stays because the store is away ends by itself.
    package func end() {
        guard state.withLock({ $0.etag != nil }) else { return }
        do {
            try database.removeLease(id: id)
        } catch {
            database.logger.info("the lease \(id) stays until it ends: \(error)")
        }
    }

    private static func isOver(_ state: State, at present: Duration) -> Bool {
        state.sent.map { present - $0 >= state.lasts } ?? false
    }

    private static func lost(_ state: State, at present: Duration) -> ObjectDatabaseError {
        .leaseLost(after: state.sent.map { present - $0 } ?? .zero)
    }
}
