import ErrorMessages
import Glibc
import Logging
import Staging

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
    } catch WorkspaceError.localIO(_, errno: EFBIG) {
        throw .fileTooLarge
    } catch WorkspaceError.readOnly {
        // The sync that failed was logged when it did.
        throw .readOnly
    } catch {
        logger.error("\(operation()): \(logLine(of: error))")
        throw .inputOutput
    }
}
