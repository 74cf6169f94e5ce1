import BlockingIO
import CLinux
import Glibc
import Synchronization

/// The database's write-ahead log as a file: synced by itself, and with room on the disk taken ahead of its end, so that
/// on a full disk there is still enough for what makes room. SQLite does not notice room beyond the end.
///
/// The log stays the same file for as long as the database is open.
final class LogFile: Sendable {
    private let path: String
    private let descriptor = Mutex<Int32?>(nil)

    /// Room is taken in pieces of this size; it is enough for hundreds of small changes.
    static let pieceBytes = 1 << 20
    /// With less than this ahead only what makes room may go on.
    private static let reservedBytes = pieceBytes / 2

    init(database path: String) {
        self.path = path + "-wal"
    }

    deinit {
        if let descriptor = descriptor.withLock({ $0 }) { close(descriptor) }
    }

    /// Opened when it is first needed; `nil` when there is none: then everything was written back to the database, which
    /// SQLite syncs itself.
    private func opened() -> Int32? {
        descriptor.withLock { descriptor in
            if descriptor == nil {
                let opened = open(path, O_RDWR | O_CLOEXEC)
                if opened >= 0 { descriptor = opened }
            }
            return descriptor
        }
    }

    /// Begins to write it to the disk, so that a sync that comes soon has less to wait for. A failure shows there.
    func startWriting() {
        if let descriptor = opened() { _ = tarn_start_writing(descriptor, 0, 0) }
    }

    /// Blocks until everything in it is on the disk (fdatasync).
    func sync() throws(SystemFailure) {
        guard let descriptor = opened() else { return }
        try syncData(descriptor, path: path)
    }

    /// How much room it takes, with what was taken ahead.
    var allocatedBytes: Int {
        var status = stat()
        guard let descriptor = opened(), fstat(descriptor, &status) == 0 else { return 0 }
        return status.st_blocks * 512
    }

    /// Sees to it that the next change finds room. Throws `.localIO` with `ENOSPC` when the disk has none.
    func takeRoom() throws(WorkspaceError) {
        var status = stat()
        guard let descriptor = opened(), fstat(descriptor, &status) == 0 else { return }
        if status.st_blocks * 512 - status.st_size >= Self.reservedBytes { return }
        // A file system that cannot take room ahead goes without.
        if tarn_fallocate_keep_size(descriptor, status.st_size, Self.pieceBytes) == 0 || errno != ENOSPC { return }
        throw .localIO(path: path, errno: ENOSPC)
    }
}
