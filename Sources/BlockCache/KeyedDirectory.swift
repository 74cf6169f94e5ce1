import Glibc

/// A directory of files `<2 hex>/<name>`, one per key.
///
/// Everything is relative to a descriptor held since opening: when somebody removes or replaces the cache under a
/// running mount, this directory is gone for us (creating fails with ENOENT) and never becomes another's.
final class KeyedDirectory<Key: FileKey>: Sendable {
    private let descriptor: Int32

    /// Opens `name` in `parent`, creating it with mode 0700.
    init(parent: Int32, name: String) throws(DiskFailure) {
        if mkdirat(parent, name, 0o700) != 0 && errno != EEXIST {
            throw DiskFailure(operation: "mkdir \(name)", errno: errno)
        }
        descriptor = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
        if descriptor < 0 { throw DiskFailure(operation: "open \(name)", errno: errno) }
    }

    deinit {
        close(descriptor)
    }

    /// A descriptor that the caller closes; nil if there is no such file.
    func open(_ key: Key, _ flags: Int32) throws(DiskFailure) -> Int32? {
        let path = key.path
        var opened = openat(descriptor, path, flags | O_CLOEXEC | O_NOFOLLOW, 0o600)
        if opened < 0 && errno == ENOENT && flags & O_CREAT != 0 {
            mkdirat(descriptor, key.shardName, 0o700)
            opened = openat(descriptor, path, flags | O_CLOEXEC | O_NOFOLLOW, 0o600)
            if opened < 0 { throw DiskFailure(operation: "create", errno: errno) }
        }
        if opened >= 0 { return opened }
        if errno == ENOENT { return nil }
        throw DiskFailure(operation: "open", errno: errno)
    }

    /// Puts a complete file in the place of `key`, for all readers at once: they see the old file or the new.
    /// One at a time (the exclusive lock), because the temporary name is always the same.
    /// - Returns: the new file's size on disk in bytes.
    func replace(_ key: Key, with bytes: [UInt8]) throws(DiskFailure) -> UInt64 {
        let file = openat(descriptor, Self.temporaryName, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        if file < 0 { throw DiskFailure(operation: "create", errno: errno) }
        defer { close(file) }
        do throws(DiskFailure) {
            // A closure that throws a typed error is no rethrowing closure: the failure comes out as a value.
            let failure = bytes.withUnsafeBytes { DiskIO.writeAll(file, $0, at: 0) }
            if let failure { throw failure }
            mkdirat(descriptor, key.shardName, 0o700)
            if renameat(descriptor, Self.temporaryName, descriptor, key.path) != 0 {
                throw DiskFailure(operation: "rename", errno: errno)
            }
        } catch {
            unlinkat(descriptor, Self.temporaryName, 0)
            throw error
        }
        return DiskIO.bytesOnDisk(file)
    }

    func remove(_ key: Key) { unlinkat(descriptor, key.path, 0) }

    /// Empties and removes every file, whatever its name, and what remains of an interrupted `replace`.
    func removeAll() throws(DiskFailure) {
        for entry in try list() { removeEntry(entry.path) }
    }

    /// The space is free at once, also while other processes still have the file open; unless one holds it as a
    /// `WholeFile`, whose bytes go when it is closed.
    func removeEntry(_ path: String) {
        let file = openat(descriptor, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        if file >= 0 {
            if flock(file, LOCK_EX | LOCK_NB) == 0 { ftruncate(file, 0) }
            close(file)
        }
        unlinkat(descriptor, path, 0)
    }

    struct Entry {
        let path: String
        /// nil: no name of ours.
        let key: Key?
        let bytesOnDisk: UInt64
    }

    /// All files two levels down. Takes as long as one `stat` per file.
    func list() throws(DiskFailure) -> [Entry] {
        var entries: [Entry] = []
        for shard in try DirectoryNames.names(in: descriptor, ".") {
            if shard == Self.temporaryName {
                entries.append(Entry(path: shard, key: nil, bytesOnDisk: 0))
                continue
            }
            let names: [String]
            do throws(DiskFailure) {
                names = try DirectoryNames.names(in: descriptor, shard)
            } catch  where error.errno == ENOTDIR {
                entries.append(Entry(path: shard, key: nil, bytesOnDisk: 0))
                continue
            }
            for name in names {
                let path = "\(shard)/\(name)"
                var information = stat()
                guard fstatat(descriptor, path, &information, AT_SYMLINK_NOFOLLOW) == 0 else { continue }
                let key = Key(fileName: name).flatMap { $0.shardName == shard ? $0 : nil }
                entries.append(Entry(path: path, key: key, bytesOnDisk: UInt64(information.st_blocks) * 512))
            }
        }
        return entries
    }

    private static var temporaryName: String { "new" }
}

/// Reading directories.
enum DirectoryNames {
    static func names(in parent: Int32, _ name: String) throws(DiskFailure) -> [String] {
        let opened = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
        guard opened >= 0, let stream = fdopendir(opened) else {
            throw DiskFailure(operation: "open \(name)", errno: errno)
        }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let text = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if text != "." && text != ".." { names.append(text) }
        }
        return names
    }
}

extension FileKey {
    /// `<2 hex>/<name>`.
    fileprivate var path: String {
        let name = fileName
        return "\(name.prefix(2))/\(name)"
    }
}
