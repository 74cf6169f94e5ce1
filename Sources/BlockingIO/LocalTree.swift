package import Glibc

/// A local directory and what lies below it, reached name by name from its descriptor. So no symbolic link below it is ever
/// followed, also one that somebody puts into the place of a directory meanwhile, and a path may be of any length and
/// depth: no system call is given more than one name.
package final class LocalTree: Sendable {
    private let root: OpenDirectory
    private let recent: Monitor<BoundedCache<[UInt8], OpenDirectory>>
    /// So many directories stay open, so that neighbours are found without walking down again.
    private static let maximumOpen = 32
    private static let slash = UInt8(ascii: "/")

    /// - Parameter followsLink: whether `root` itself may be a symbolic link.
    package init(root: [UInt8], followsLink: Bool) throws(Errno) {
        self.root = try OpenDirectory(AT_FDCWD, root, flags: followsLink ? 0 : O_NOFOLLOW)
        recent = Monitor(BoundedCache(limit: Self.maximumOpen))
    }

    /// The directory at `path`, names joined by `/`; the root for an empty one. ENOTDIR or ELOOP when a part of it is no
    /// directory.
    package func directory(_ path: [UInt8]) throws(Errno) -> OpenDirectory {
        let (nearest, known) = nearest(to: path)
        var found = nearest
        let rest = path[known...].split(separator: Self.slash)
        for (index, name) in rest.enumerated() {
            found = try found.opening(Array(name))
            // The last of them: a walk from the deepest up asks for these next.
            guard rest.count - index <= Self.maximumOpen / 2 else { continue }
            let (key, directory) = (Array(path[..<name.endIndex]), found)
            recent.update(wakes: false) { $0.insert(directory, for: key, cost: 1) }
        }
        return found
    }

    /// The deepest directory on the way to `path` that is open, and how many bytes of `path` lead to it.
    private func nearest(to path: [UInt8]) -> (directory: OpenDirectory, bytes: Int) {
        var known = path[...]
        // What lies further up is not remembered.
        for _ in 0..<Self.maximumOpen where !known.isEmpty {
            let key = Array(known)
            if let open = recent.update(wakes: false, { $0.value(for: key) }) { return (open, known.count) }
            known = known[..<(known.lastIndex(of: Self.slash) ?? known.startIndex)]
        }
        return (root, 0)
    }

    /// The directory that `path` lies in, and its name there.
    package func parent(of path: [UInt8]) throws(Errno) -> (directory: OpenDirectory, name: [UInt8]) {
        guard let cut = path.lastIndex(of: Self.slash) else { return (root, path) }
        return (try directory(Array(path[..<cut])), Array(path[(cut + 1)...]))
    }
}

/// An open directory, closed with the last that holds it.
package final class OpenDirectory: Sendable {
    private let descriptor: Int32

    fileprivate init(_ parent: Int32, _ name: [UInt8], flags: Int32) throws(Errno) {
        descriptor = withCPath(name) { openat(parent, $0, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags) }
        guard descriptor >= 0 else { throw Errno() }
    }

    deinit { close(descriptor) }

    /// The descriptor is open while `body` runs, and may not be after.
    package func withDescriptor<Result, Failure: Error>(
        _ body: (Int32) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        defer { withExtendedLifetime(self) {} }
        return try body(descriptor)
    }

    fileprivate func opening(_ name: [UInt8]) throws(Errno) -> OpenDirectory {
        try withDescriptor { descriptor throws(Errno) in try OpenDirectory(descriptor, name, flags: O_NOFOLLOW) }
    }

    /// fstat(2).
    package func status() throws(Errno) -> stat {
        var info = stat()
        guard withDescriptor({ fstat($0, &info) }) == 0 else { throw Errno() }
        return info
    }

    /// Of something in it, not following a link.
    package func status(of name: [UInt8]) throws(Errno) -> stat {
        var info = stat()
        let failed = withDescriptor { descriptor in
            withCPath(name) { fstatat(descriptor, $0, &info, AT_SYMLINK_NOFOLLOW) }
        }
        guard failed == 0 else { throw Errno() }
        return info
    }

    /// The names in it, in no order.
    package func names() throws(Errno) -> [[UInt8]] {
        // The stream closes its descriptor, and moves its offset.
        let own = withDescriptor { openat($0, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        guard own >= 0 else { throw Errno() }
        guard let stream = fdopendir(own) else {
            let failure = Errno()
            close(own)
            throw failure
        }
        defer { closedir(stream) }
        var names: [[UInt8]] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                if errno != 0 { throw Errno() }
                return names
            }
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: UInt8.self, capacity: 256) { name in
                    Array(UnsafeBufferPointer(start: name, count: strnlen(pointer, 256)))
                }
            }
            if name != [0x2e], name != [0x2e, 0x2e] { names.append(name) }
        }
    }

    /// Where a symbolic link in it leads.
    package func linkTarget(of name: [UInt8]) throws(Errno) -> [UInt8] {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let count = withDescriptor { descriptor in
            withCPath(name) { readlinkat(descriptor, $0, &buffer, buffer.count) }
        }
        guard count >= 0 else { throw Errno() }
        return buffer[..<count].map { UInt8(bitPattern: $0) }
    }
}

/// Which file it is, and of what kind: two that are equal are the same one.
package struct FileIdentity: Hashable, Sendable {
    private let device: dev_t
    private let inode: ino_t
    private let kind: mode_t

    package init(_ info: stat) {
        device = info.st_dev
        inode = info.st_ino
        kind = info.st_mode & S_IFMT
    }

    package var isDirectory: Bool { kind == S_IFDIR }

    package func isOnFileSystem(of other: FileIdentity) -> Bool { device == other.device }
}

/// Calls `body` with `path` as a NUL-terminated C string.
package func withCPath<Result>(_ path: [UInt8], _ body: (UnsafePointer<CChar>) -> Result) -> Result {
    (path + [0]).withUnsafeBufferPointer { buffer in
        buffer.withMemoryRebound(to: CChar.self) { chars in
            guard let base = chars.baseAddress else { preconditionFailure("the buffer holds at least the NUL") }
            return body(base)
        }
    }
}
