import BlockingIO
import CLinux
import Glibc

/// An open file or directory; closed when the last reference goes. Every failure becomes `.localIO` with its errno.
final class LocalFile: Sendable {
    let path: String
    let descriptor: Int32

    private init(path: String, descriptor: Int32) {
        self.path = path
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    /// - Parameter flags: O_CLOEXEC is added.
    static func open(_ path: String, _ flags: Int32, mode: mode_t = 0o666) throws(StoreError) -> LocalFile {
        while true {
            let descriptor = Glibc.open(path, flags | O_CLOEXEC, mode)
            if descriptor >= 0 { return LocalFile(path: path, descriptor: descriptor) }
            if errno != EINTR { throw .localIO(path: path, errno: errno) }
        }
    }

    static func openDirectory(_ path: String) throws(StoreError) -> LocalFile {
        try open(path, O_RDONLY | O_DIRECTORY)
    }

    /// What is at `path`, a symbolic link itself; `nil` only where the system says that nothing is (ENOENT, ENOTDIR:
    /// path_resolution(7)). Every other failure is an error.
    static func status(of path: String) throws(StoreError) -> stat? {
        var status = stat()
        if lstat(path, &status) == 0 { return status }
        if errno == ENOENT || errno == ENOTDIR { return nil }
        throw .localIO(path: path, errno: errno)
    }

    func status() throws(StoreError) -> stat {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .localIO(path: path, errno: errno) }
        return status
    }

    /// Up to `count` bytes from `offset`; fewer only at the end of the file.
    func read(at offset: UInt64, count: Int) throws(StoreError) -> [UInt8] {
        var failure: Errno?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            let whole = UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<count])
            do throws(Errno) {
                filled = try readFully(descriptor, at: offset, into: whole)
            } catch {
                failure = error
            }
        }
        if let failure { throw .localIO(path: path, errno: failure.code) }
        return bytes
    }

    func write(_ bytes: [UInt8], at offset: UInt64) throws(StoreError) {
        let failure = bytes.withUnsafeBytes { raw -> Errno? in
            do throws(Errno) {
                try writeFully(descriptor, at: offset, raw)
                return nil
            } catch {
                return error
            }
        }
        if let failure { throw .localIO(path: path, errno: failure.code) }
    }

    /// Begins to write what was just written to the disk, so that `synchronize` has less to wait for.
    func startWriting(_ range: Range<UInt64>) {
        _ = tarn_start_writing(descriptor, off_t(range.lowerBound), off_t(range.count))
    }

    func truncate(to size: UInt64) throws(StoreError) {
        guard ftruncate(descriptor, off_t(size)) == 0 else { throw .localIO(path: path, errno: errno) }
    }

    /// Blocks until file and size are on the disk.
    func synchronize() throws(StoreError) {
        guard fsync(descriptor) == 0 else { throw .localIO(path: path, errno: errno) }
    }

    /// Sets the modification time, in nanoseconds since 1970.
    func setModified(_ nanoseconds: Int64) throws(StoreError) {
        let time = timespec(tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
        guard futimens(descriptor, [time, time]) == 0 else { throw .localIO(path: path, errno: errno) }
    }

    static func synchronizeDirectory(_ path: String) throws(StoreError) {
        try openDirectory(path).synchronize()
    }

    /// Names in a directory, unsorted, without `.` and `..`; names that are not UTF-8 are left out. Empty when there is
    /// no such directory. The type is that of the entry itself: a symbolic link is a symbolic link.
    static func entries(of path: String) throws(StoreError) -> [DirectoryEntry] {
        guard let stream = opendir(path) else {
            if errno == ENOENT || errno == ENOTDIR { return [] }
            throw .localIO(path: path, errno: errno)
        }
        defer { closedir(stream) }
        var entries: [DirectoryEntry] = []
        errno = 0
        while let entry = readdir(stream) {
            let type = Int32(entry.pointee.d_type)
            let name = withUnsafePointer(to: &entry.pointee.d_name) { tuple in
                tuple.withMemoryRebound(to: CChar.self, capacity: 256) { String(validatingCString: $0) }
            }
            if let name, name != ".", name != ".." {
                if let kind = try kind(type, path: "\(path)/\(name)") {
                    entries.append(DirectoryEntry(name: name, kind: kind))
                }
            }
            errno = 0
        }
        guard errno == 0 else { throw .localIO(path: path, errno: errno) }
        return entries
    }

    /// `nil` for what has gone meanwhile.
    private static func kind(_ type: Int32, path: String) throws(StoreError) -> DirectoryEntry.Kind? {
        switch type {
        case Int32(DT_REG): return .file
        case Int32(DT_DIR): return .directory
        case Int32(DT_UNKNOWN):
            guard let status = try status(of: path) else { return nil }
            switch status.st_mode & S_IFMT {
            case S_IFREG: return .file
            case S_IFDIR: return .directory
            default: return .other
            }
        default: return .other
        }
    }
}

struct DirectoryEntry: Hashable, Sendable {
    enum Kind: Hashable, Sendable {
        case file
        case directory
        case other
    }

    let name: String
    let kind: Kind
}

extension stat {
    var modifiedNanoseconds: Int64 { Int64(st_mtim.tv_sec) * 1_000_000_000 + Int64(st_mtim.tv_nsec) }

    var isRegularFile: Bool { st_mode & S_IFMT == S_IFREG }
}
