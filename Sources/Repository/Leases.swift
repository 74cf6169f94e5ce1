import Logging
import ObjectStorage
package import ProllyTree
package import Versioning

/// A promise to the garbage collector: what `tree` reaches is in use until `expires`, though no ref names it.
package struct Lease: Hashable, Sendable, Codable {
    package enum Purpose: String, Sendable, Codable {
        case `import`, mount, upload
    }

    package var format = 1
    package var purpose: Purpose
    package var tree: NodeID
    package var expires: Timestamp
    /// Who holds it, for people: user, host, process.
    package var holder: String
    /// Tells the holder's next run that this lease is its own: for an import, source, branch and destination.
    package var subject: String
}

extension Repository {
    static let leaseSeconds: Int64 = 3 * 86_400
    private static let leasePrefix = "leases/"

    /// Writes or renews a lease under `id`, 32 hexadecimal digits.
    func saveLease(_ lease: Lease, id: String) throws {
        _ = try store.put(Self.leasePrefix + id, encodeRecord(lease), .none)
    }

    func removeLease(id: String) throws {
        try store.delete(Self.leasePrefix + id)
    }

    /// The lease of this id, expired or not; `nil` when there is none.
    func lease(id: String) throws -> Lease? {
        let key = Self.leasePrefix + id
        do {
            return try decodeObject(store.get(key, range: nil, ifMatch: nil).bytes, key: key)
        } catch StoreError.notFound {
            return nil
        }
    }

    /// The leases that have not expired. One that does not decode is skipped with a warning.
    func leases() throws -> [(id: String, lease: Lease)] {
        let present = now()
        return try listKeys(Self.leasePrefix).compactMap { object in
            do {
                let lease: Lease = try decodeObject(
                    store.get(object.key, range: nil, ifMatch: nil).bytes, key: object.key)
                return lease.expires > present ? (String(object.key.dropFirst(Self.leasePrefix.count)), lease) : nil
            } catch StoreError.notFound {
                return nil
            } catch let error as RepositoryError {
                logger.warning("skipping the lease \(object.key): \(error)")
                return nil
            }
        }
    }
}
