import Glibc
import Logging
import ObjectStorage
import ProllyTree
import Repository
import Staging
import Versioning

/// Runs `body`; whatever is not a `VFSError` already is logged, naming the object, and becomes `.inputOutput`.
func reportingFailures<Result>(
    _ logger: Logger, _ operation: @autoclosure () -> String, _ body: () throws -> Result
) throws(VFSError) -> Result {
    do {
        return try body()
    } catch let error as VFSError {
        throw error
    } catch WorkspaceError.localIO(_, errno: ENOSPC) {
        throw .noSpace
    } catch {
        logger.error("\(operation()): \(describeFailure(error))")
        throw .inputOutput
    }
}

/// One line for the log: what failed, on which object.
package func describeFailure(_ error: any Error) -> String {
    switch error {
    case TreeError.missing(let id): "tree node \(id) is missing from the store"
    case TreeError.corrupt(let id, let reason): "tree node \(id) is corrupt: \(reason)"
    case TreeError.unreadable(let id, let reason): "tree node \(id) cannot be read: \(describeFailure(reason))"
    case TreeError.unwritable(let id, let reason): "tree node \(id) cannot be written: \(describeFailure(reason))"
    case RepositoryError.corrupt(let object, let reason): "\(object) is corrupt: \(reason)"
    case RepositoryError.missingObject(let object, let neededBy): "\(object) is missing, needed by \(neededBy)"
    case RepositoryError.collected(let tree, let record):
        "the data of tree \(tree) was collected by gc on \(record.when.rfc3339) under \(record.rule)"
    case RepositoryError.store(let error): describeFailure(error)
    case StoreError.unavailable(let location, let key, let attempts, let reason):
        "\(location)/\(key) is out of reach after \(attempts) attempts: \(reason)"
    default: "\(error)"
    }
}
