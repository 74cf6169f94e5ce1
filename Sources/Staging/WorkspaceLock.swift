import Glibc

/// Holds a workspace for one process: an exclusive flock(2) on its `lock` file, which ends with the process.
package final class WorkspaceLock: Sendable {
    private let descriptor: Int32

    /// A live mount's description holds several paths of up to 4 KiB each; cut short it could not be read.
    private static let maximumHolderBytes = 64 << 10

    /// Takes the lock without waiting. `holder` is one line about this process for whoever is refused.
    /// Throws `.inUse` with what the present holder wrote.
    package init(directory: String, holder: String) throws(WorkspaceError) {
        let path = directory + "/lock"
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .localIO(path: path, errno: errno) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let reason = errno
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

    deinit {
        close(descriptor)
    }
}
