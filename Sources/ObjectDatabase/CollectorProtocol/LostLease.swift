import ObjectStorage
import ProllyTree
import Versioning

/// Whether an error says that an object of the repository is not there.
package func isMissingObject(_ error: any Error) -> Bool {
    switch error {
    case ObjectDatabaseError.missingObject, ObjectDatabaseError.store(.notFound), StoreError.notFound,
        TreeError.missing,
        VersioningError.tree(.missing):
        true
    case TreeError.unreadable(_, let cause), TreeError.unwritable(_, let cause),
        VersioningError.tree(.unreadable(_, let cause)), VersioningError.tree(.unwritable(_, let cause)):
        isMissingObject(cause)
    default: false
    }
}

/// Runs `body`, which works under a lease. What it misses may have been collected since the lease was lost: then that is what went
/// wrong, and `.leaseLost` is thrown.
///
/// - Parameter verify: throws `.leaseLost` when the lease does not hold any more.
package func blamingLostLease<Result>(_ verify: () throws -> Void, _ body: () throws -> Result) throws -> Result {
    do {
        return try body()
    } catch  where isMissingObject(error) {
        do {
            try verify()
        } catch ObjectDatabaseError.leaseLost(let age) {
            throw ObjectDatabaseError.leaseLost(after: age)
        } catch {
            // Whether it is lost is not known: what was met first is told.
        }
        throw error
    }
}
