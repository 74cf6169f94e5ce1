import Glibc
import Staging

/// Held while a commit of a workspace runs: one at a time, whoever holds the workspace itself.
final class CommitLock {
    private let descriptor: Int32

    init(_ workspace: Workspace) throws {
        descriptor = open(workspace.directory + "/commit.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw WorkspaceError.localIO(path: workspace.directory + "/commit.lock", errno: errno)
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            throw WorkspaceError.alreadySealed
        }
    }

    deinit {
        close(descriptor)
    }
}
