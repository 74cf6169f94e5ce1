import BlockingIO
import CLinux
import Crypto
import Foundation
import Glibc

/// A file under `.tarn-tmp/` that is to become an object. Removed when dropped unpublished.
final class StagedFile: Sendable {
    let file: LocalFile

    init(in store: DirectoryStore) throws(StoreError) {
        let path = "\(store.reserved)/put-\(randomHex())"
        do throws(StoreError) {
            file = try LocalFile.open(path, O_RDWR | O_CREAT | O_EXCL)
        } catch .localIO(_, ENOENT) {
            try store.prepare(store.reserved)
            file = try LocalFile.open(path, O_RDWR | O_CREAT | O_EXCL)
        }
    }

    // After the rename the name is gone, and this does nothing.
    deinit { unlink(file.path) }
}

/// 128 random bits.
func randomHex() -> String {
    hexEncoded((0..<16).map { _ in UInt8.random(in: 0...255) })
}

extension DirectoryStore {
    /// Times are stored in steps of 100 ns, which NTFS keeps too.
    static let clockStepNanoseconds: Int64 = 100
    /// Tries against deletes that remove the directory between its creation and the rename.
    private static let renameAttempts = 100

    /// Makes `staged` the object `key` if `condition` holds. Durable on return.
    func publish(_ staged: StagedFile, as key: String, _ condition: WriteCondition) throws(StoreError) -> ETag {
        let path = path(of: key)
        let stamped = Self.nowNanoseconds()
        try staged.file.setModified(stamped)
        try staged.file.synchronize()

        let lock = try lock(key)
        defer { withExtendedLifetime(lock) {} }
        let current = try LocalFile.status(of: path).flatMap { $0.isRegularFile ? $0 : nil }
        guard condition.holds(for: current.map { ETag($0) }) else { throw .preconditionFailed(key: key) }
        var modified = stamped
        if let current, current.modifiedNanoseconds >= stamped {
            // Another writer stamped later than this one, or the clock went back.
            modified = current.modifiedNanoseconds + Self.clockStepNanoseconds
            try staged.file.setModified(modified)
            try staged.file.synchronize()
        }
        let status = try staged.file.status()
        guard status.modifiedNanoseconds == modified else {
            throw .invalidLocation(
                location: root, reason: "its filesystem does not keep file times to 100 ns, which versions rest on")
        }
        try rename(staged.file.path, to: path, key)
        try LocalFile.synchronizeDirectory(Self.parent(of: path))
        return ETag(status)
    }

    private func rename(_ source: String, to path: String, _ key: String) throws(StoreError) {
        for _ in 0..<Self.renameAttempts {
            if Glibc.rename(source, path) == 0 { return }
            switch errno {
            case ENOENT:
                // The source is ours, so it is the parent that is missing.
                try createParents(of: path, key)
            case ENOTDIR:
                throw clash(key)
            case EISDIR, EEXIST, ENOTEMPTY:
                // An empty directory is one that a delete is about to remove, or that a crash left over.
                guard rmdir(path) == 0 || errno == ENOENT else { throw clash(key) }
            default:
                throw .localIO(path: path, errno: errno)
            }
        }
        throw .unavailable(
            location: root, key: key, attempts: Self.renameAttempts, reason: "its directory is removed again and again")
    }

    private func createParents(of path: String, _ key: String) throws(StoreError) {
        do throws(StoreError) {
            try Self.createDirectories(Self.parent(of: path))
        } catch .localIO(_, let code) where code == ENOTDIR || code == EEXIST {
            throw clash(key)
        }
    }

    private func clash(_ key: String) -> StoreError {
        .invalidKey(key: key, reason: "a directory store cannot hold an object and, below its name, another object")
    }

    /// Creates a directory of the store's own. A root that has gone (unmounted, removed) is not made again.
    func prepare(_ directory: String) throws(StoreError) {
        guard try LocalFile.status(of: root) != nil else { throw .containerMissing(location: root) }
        try Self.createDirectories(directory)
    }

    /// Creates `path` and what is missing above it, each fsynced in its parent. EEXIST when a file is in the way.
    static func createDirectories(_ path: String) throws(StoreError) {
        for _ in 0..<renameAttempts {
            if mkdir(path, 0o777) == 0 {
                do throws(StoreError) {
                    return try LocalFile.synchronizeDirectory(parent(of: path))
                } catch .localIO(_, ENOENT) {
                    continue
                }
            }
            switch errno {
            case EEXIST:
                var status = stat()
                if stat(path, &status) != 0, errno == ENOENT { continue }
                guard status.st_mode & S_IFMT == S_IFDIR else { throw .localIO(path: path, errno: EEXIST) }
                return
            case ENOENT where parent(of: path) != path:
                try createDirectories(parent(of: path))
            default:
                throw .localIO(path: path, errno: errno)
            }
        }
        throw .localIO(path: path, errno: ENOENT)
    }

    static func parent(of path: String) -> String {
        guard let slash = path.utf8.lastIndex(of: ObjectKey.slash), slash != path.startIndex else { return "/" }
        return String(path[..<slash])
    }

    /// Removes the directories above `path` that are now empty, so that their names are free for objects.
    func removeEmptyParents(of path: String) throws(StoreError) {
        var directory = Self.parent(of: path)
        while directory.utf8.count > root.utf8.count, rmdir(directory) == 0 {
            directory = Self.parent(of: directory)
            do throws(StoreError) {
                try LocalFile.synchronizeDirectory(directory)
            } catch .localIO(_, ENOENT) {
                // Removed by another delete.
            }
        }
    }

    // MARK: - Locks

    /// Holds the key's lock until the returned file is dropped. Waits at most `lockTimeoutSeconds`.
    func lock(_ key: String) throws(StoreError) -> LocalFile {
        try requireLocal()
        let shard = Int(SHA256.hash(data: Array(key.utf8)).first { _ in true }!) % Self.lockShards
        let directory = "\(reserved)/locks"
        let path = "\(directory)/\(shard)"
        let file: LocalFile
        do throws(StoreError) {
            file = try LocalFile.open(path, O_RDWR | O_CREAT)
        } catch .localIO(_, ENOENT) {
            try prepare(directory)
            file = try LocalFile.open(path, O_RDWR | O_CREAT)
        }
        let deadline = ContinuousClock.now + .seconds(Self.lockTimeoutSeconds)
        var pauseMicroseconds: UInt32 = 50
        while flock(file.descriptor, LOCK_EX | LOCK_NB) != 0 {
            guard errno == EWOULDBLOCK || errno == EINTR else { throw .localIO(path: path, errno: errno) }
            guard ContinuousClock.now < deadline else {
                throw .unavailable(
                    location: root, key: key, attempts: 1,
                    reason: "another process has held \(path) for \(Self.lockTimeoutSeconds) s")
            }
            usleep(UInt32.random(in: (pauseMicroseconds / 2)...pauseMicroseconds))
            pauseMicroseconds = min(pauseMicroseconds * 2, 5_000)
        }
        return file
    }

    /// Removes what crashed processes left. Failures are left for the next opening: nothing here is needed.
    func removeStale() {
        let now = Self.nowNanoseconds() / 1_000_000_000
        let entries = (try? LocalFile.entries(of: reserved)) ?? []
        for entry in entries.filter({ $0.kind == .file }).prefix(Self.staleRemovalLimit) {
            var status = stat()
            let path = "\(reserved)/\(entry.name)"
            guard lstat(path, &status) == 0, now - Int64(status.st_mtim.tv_sec) > Self.staleAfterSeconds else {
                continue
            }
            unlink(path)
        }
    }

    static func nowNanoseconds() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        let nanoseconds = Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
        return nanoseconds / clockStepNanoseconds * clockStepNanoseconds
    }
}
