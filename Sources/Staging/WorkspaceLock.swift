import BlockingIO
import Glibc

/// Holds a workspace for one process: an exclusive flock(2) on its `lock` file, which ends with the process.
package final class WorkspaceLock: Sendable {
    private let descriptor: Int32

    /// A live mount's description holds several paths of up to 4 KiB each; cut short it could not be read.
    private static let maximumHolderBytes = 64 << 10
    private static let maximumTries = 5
    private static let pauseMilliseconds = 20

    /// Takes the lock without waiting. `holder` is one line about this process for whoever is refused.
    /// Throws `.inUse` with what the present holder wrote.
    package init(directory: String, holder: String) throws(WorkspaceError) {
        let path = directory + "/lock"
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .localIO(path: path, errno: errno) }
        // Whoever only asks who holds it does so for a moment.
        var tries = 0
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            let reason = errno
            tries += 1
            if reason == EWOULDBLOCK, tries < Self.maximumTries {
                sleepMilliseconds(Self.pauseMilliseconds)
                continue
            }
            var buffer = [UInt8](repeating: 0, count: Self.maximumHolderBytes)
            let count = pread(descriptor, &buffer, buffer.count, 0)
            close(descriptor)
            guard reason == EWOULDBLOCK else { throw .localIO(path: path, errno: reason) }
            throw .inUse(directory: directory, holder: String(decoding: buffer[..<max(0, count)], as: UTF8.self))
        }
        let line = Array(holder.utf8.prefix(Self.maximumHolderBytes))
        // In this order: on a full disk the room of the line before is written over.
        _ = pwrite(descriptor, line, line.count, 0)
        _ = ftruncate(descriptor, off_t(line.count))
        self.descriptor = descriptor
    }

    /// What the present holder wrote; `nil` when nobody holds the workspace.
    package static func holder(of directory: String) throws(WorkspaceError) -> String? {
        let path = directory + "/lock"
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw .localIO(path: path, errno: errno)
        }
        defer { close(descriptor) }
        if flock(descriptor, LOCK_SH | LOCK_NB) == 0 { return nil }
        guard errno == EWOULDBLOCK else { throw .localIO(path: path, errno: errno) }
        var buffer = [UInt8](repeating: 0, count: maximumHolderBytes)
        let count = pread(descriptor, &buffer, buffer.count, 0)
        return String(decoding: buffer[..<max(0, count)], as: UTF8.self)
    }

    deinit {
        close(descriptor)
    }
}
