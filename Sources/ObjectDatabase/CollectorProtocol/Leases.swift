import BlockingIO
import Logging
import ObjectStorage
package import ProllyTree
package import Versioning

/// A promise to the garbage collector: what `tree` reaches is in use until `expires`, though no ref names it.
package struct Lease: Hashable, Sendable, Codable {
    package enum Purpose: String, Sendable, Codable {
        case `import`, mount, upload, write, mirror
    }

    package var format = 1
    package var purpose: Purpose
    package var tree: NodeID
    package var expires: Timestamp
    /// Who holds it, for people: user, host, process.
    package var holder: String
    /// Tells the holder's next run that this lease is its own: for an import, source, branch and destination.
    package var subject: String
    /// Further trees that are in use.
    package var trees: [NodeID]?
    /// When it was taken, in seconds by the store's clock, if it was written again since. What a holder of purpose
    /// `write` or `mirror` has uploaded is not older.
    package var began: Int64?

    package init(
        purpose: Purpose, tree: NodeID, expires: Timestamp, holder: String, subject: String, trees: [NodeID]? = nil,
        began: Int64? = nil
    ) {
        self.purpose = purpose
        self.tree = tree
        self.expires = expires
        self.holder = holder
        self.subject = subject
        self.trees = trees
        self.began = began
    }

    package var allTrees: [NodeID] { [tree] + (trees ?? []) }
}

extension ObjectDatabase {
    package static let leaseDuration = Duration.days(3)
    /// Writes or renews a lease under `id`, 32 hexadecimal digits.
    package func saveLease(_ lease: Lease, id: String) throws {
        _ = try store.put(ObjectKeys.leases + id, encodeRecord(lease), .none)
    }

    package func removeLease(id: String) throws {
        try store.delete(ObjectKeys.leases + id)
    }

    /// The lease of this id, expired or not; `nil` when there is none.
    package func lease(id: String) throws -> Lease? {
        let key = ObjectKeys.leases + id
        do {
            return try decodeObject(store.get(key).bytes, key: key)
        } catch StoreError.notFound {
            return nil
        }
    }

    /// The leases that have not expired. One that does not decode is skipped with a warning.
    package func leases() throws -> [(id: String, lease: Lease)] {
        let present = now()
        return try listKeys(ObjectKeys.leases).compactMap { object in
            do {
                let lease: Lease = try decodeObject(
                    store.get(object.key).bytes, key: object.key)
                return lease.expires > present ? (String(object.key.dropFirst(ObjectKeys.leases.count)), lease) : nil
            } catch StoreError.notFound {
                return nil
            } catch let error as ObjectDatabaseError {
                logger.warning("skipping the lease \(object.key): \(error)")
                return nil
            }
        }
    }
}
