package import BlockingIO
import Logging
import ObjectStorage
package import ProllyTree
import Versioning

/// A promise to the garbage collector: what `tree` reaches is in use for a time, though no ref names it.
///
/// The time is counted from the object's date, which is the store's, to the store's time when somebody looks: the clocks of
/// the holder's and the collector's hosts decide nothing.
package struct Lease: Hashable, Sendable, Codable, RangedRecord {
    package enum Purpose: String, Sendable, Codable {
        case `import`, mount, upload, write, mirror
    }

    package var format = 1
    package var purpose: Purpose
    package var tree: NodeID
    /// How many seconds it holds after the date of its object; absent: `maximumSeconds`.
    package private(set) var lasts: Int64?
    /// Who holds it, for people: user, host, process.
    package var holder: String
    /// Tells the holder's next run that this lease is its own: for an import, source, branch and destination.
    package var subject: String
    /// The process with which it ends, whatever time is left; absent when what it protects outlives its process.
    package var process: ProcessIdentity?
    /// Further trees that are in use.
    package var trees: [NodeID]?
    /// When it was taken, in seconds by the store's clock, if it was written again since. What a holder of purpose
    /// `write` or `mirror` has uploaded is not older.
    package var began: Int64?
    /// A garbage collector has found that its time was over: its holder must not go on.
    package fileprivate(set) var isBroken: Bool?
    /// Differs in each writing, so that the holder knows its own bytes.
    package private(set) var nonce: String?

    /// A year. No holder asks for more than 30 days.
    package static let maximumSeconds: Int64 = 366 * 86_400

    package init(
        purpose: Purpose, tree: NodeID, lasting: Duration, holder: String, subject: String, trees: [NodeID]? = nil,
        began: Int64? = nil, process: ProcessIdentity? = nil
    ) {
        self.purpose = purpose
        self.tree = tree
        lasts = lasting.wholeSeconds
        self.holder = holder
        self.subject = subject
        self.trees = trees
        self.began = began
        self.process = process
        nonce = randomHex()
    }

    package var allTrees: [NodeID] { [tree] + (trees ?? []) }

    package var fault: String? {
        guard let lasts, !(0...Self.maximumSeconds).contains(lasts) else { return nil }
        return "it is to last \(lasts) s"
    }
}

/// A lease as it lies in the store.
package struct StoredLease: Sendable {
    /// The part of the key behind `leases/`.
    package let id: String
    package let lease: Lease
    let etag: ETag
    /// When it was written, in seconds since 1970 by the store's clock.
    package let writtenSeconds: Int64

    /// Whether its holder was a process of this host that has ended.
    package var isAbandoned: Bool { lease.process?.hasEnded == true }

    /// When it ends, by the store's clock.
    package var endSeconds: Int64 {
        lease.isBroken == true ? .min : writtenSeconds + (lease.lasts ?? Lease.maximumSeconds)
    }
}

extension ObjectDatabase {
    package static let leaseDuration = Duration.days(3)

    /// The lease of this id, over or not; `nil` when there is none. Throws `.corrupt` when it does not decode.
    package func lease(id: String) throws -> StoredLease? {
        let key = ObjectKeys.leases + id
        // The date first: a lease that is renewed in between seems older than it is, never younger, and is looked at again.
        guard let info = try store.findInfo(key), let found = try store.find(key) else { return nil }
        return StoredLease(
            id: id, lease: try decodeObject(found.bytes, key: key), etag: found.etag,
            writtenSeconds: info.modifiedSeconds)
    }

    /// Says in a lease that has ended that it has, so that its holder finds out. False when it was renewed meanwhile.
    package func breakLease(_ stored: StoredLease) throws -> Bool {
        var lease = stored.lease
        if lease.isBroken == true { return true }
        lease.isBroken = true
        return try store.swap(ObjectKeys.leases + stored.id, from: stored.etag, to: encodeRecord(lease))
    }

    /// All leases, also those that are over. Throws for one that cannot be read: it might protect anything.
    package func allLeases() throws -> [StoredLease] {
        try listKeys(ObjectKeys.leases).compactMap { try lease(id: String($0.key.dropFirst(ObjectKeys.leases.count))) }
    }

    /// The leases that are not over at `seconds`, by the store's clock. One that does not decode is skipped with a warning: for
    /// whoever looks for leases of its own.
    package func readableLeases(at seconds: Int64) throws -> [StoredLease] {
        try listKeys(ObjectKeys.leases).compactMap { object in
            do {
                let lease = try lease(id: String(object.key.dropFirst(ObjectKeys.leases.count)))
                return lease.flatMap { $0.endSeconds > seconds ? $0 : nil }
            } catch ObjectDatabaseError.corrupt, ObjectDatabaseError.newerFormat, StoreError.tooLarge {
                logger.warning("skipping the lease \(object.key), which cannot be read; 'tarn fsck' says why")
                return nil
            }
        }
    }

    package func removeLease(id: String) throws {
        try store.delete(ObjectKeys.leases + id)
    }

    /// The time of the store's clock: the date of an object that is written for it. Two requests.
    package func storeSeconds() throws -> Int64 {
        _ = try store.put(ObjectKeys.clock, encodeRecord(["format": 1]), .none)
        return try store.head(ObjectKeys.clock).modifiedSeconds
    }
}
