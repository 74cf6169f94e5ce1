package import Glibc
import HeapModule
import ProllyTree
package import Versioning

/// One path found in a local directory.
package struct ScannedPath: Sendable {
    package enum Kind: Sendable, Equatable {
        case file(sizeBytes: UInt64)
        case directory
        case symlink(target: [UInt8])
        /// Socket, device, fifo …: what it is, in words.
        case unsupported(String)
    }

    /// Below the scanned directory.
    package let path: TreePath
    package let kind: Kind
    package let mode: UInt16
    package let modified: Timestamp
    package let owner: Owner
    /// `user.*` attributes of a directory; a file's are read when it is opened.
    package var attributes: [ExtendedAttribute] = []

    package init(
        path: TreePath, kind: Kind, mode: UInt16, modified: Timestamp, owner: Owner,
        attributes: [ExtendedAttribute] = []
    ) {
        self.path = path
        self.kind = kind
        self.mode = mode
        self.modified = modified
        self.owner = owner
        self.attributes = attributes
    }
}

/// Walks a local directory and hands out what is in it in the order of tree keys (all children of one directory
/// together, directories in the byte order of their paths), holding only the directories still to be read. Symbolic
/// links are not followed. Names are bytes.
package struct DirectoryScanner {
    private let root: [UInt8]
    /// Directories still to be read, a heap with the smallest path first.
    private var pending: Heap<WaitingDirectory> = []

    /// - Parameter root: an existing directory.
    package init(root: [UInt8]) {
        self.root = root
        pending.insert(WaitingDirectory(path: .root))
    }

    package static func status(_ path: [UInt8]) throws(ObjectDatabaseError) -> stat {
        var info = stat()
        guard withCPath(path, { lstat($0, &info) }) == 0 else { throw localFailure(printableName(path)) }
        return info
    }

    package func describeRoot() throws -> ScannedPath {
        try describe(.root, Self.status(root))
    }

    /// The children of the next directory, by name; `nil` when all are read.
    package mutating func nextDirectory() throws -> [ScannedPath]? {
        guard let directory = pending.popMin()?.path else { return nil }
        var children: [ScannedPath] = []
        for name in try Self.names(in: localPath(directory)) {
            let path = try directory.appending(checking: name)
            let child: ScannedPath
            do {
                child = try describe(path, Self.status(localPath(path)))
            } catch ObjectDatabaseError.localIO(_, ENOENT) {
                continue  // removed since the directory was read
            }
            if child.kind == .directory { pending.insert(WaitingDirectory(path: path)) }
            children.append(child)
        }
        return children
    }

    package func localPath(_ path: TreePath) -> [UInt8] {
        path.isRoot ? root : root + [UInt8(ascii: "/")] + path.bytes
    }

    private static func names(in directory: [UInt8]) throws -> [[UInt8]] {
        guard let stream = withCPath(directory, { opendir($0) }) else { throw localFailure(printableName(directory)) }
        defer { closedir(stream) }
        var names: [[UInt8]] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                if errno != 0 { throw localFailure(printableName(directory)) }
                break
            }
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: UInt8.self, capacity: 256) { name in
                    var count = 0
                    while name[count] != 0 { count += 1 }
                    return Array(UnsafeBufferPointer(start: name, count: count))
                }
            }
            if name != [0x2e], name != [0x2e, 0x2e] { names.append(name) }
        }
        return names.sorted { compareBytes($0, $1) < 0 }
    }

    private func describe(_ path: TreePath, _ info: stat) throws -> ScannedPath {
        let kind: ScannedPath.Kind
        var attributes: [ExtendedAttribute] = []
        switch info.st_mode & S_IFMT {
        case S_IFREG: kind = .file(sizeBytes: UInt64(info.st_size))
        case S_IFDIR:
            kind = .directory
            attributes = try directoryAttributes(localPath(path))
        case S_IFLNK: kind = .symlink(target: try Self.linkTarget(localPath(path)))
        case S_IFSOCK: kind = .unsupported("a socket")
        case S_IFIFO: kind = .unsupported("a named pipe")
        case S_IFCHR: kind = .unsupported("a character device")
        case S_IFBLK: kind = .unsupported("a block device")
        default: kind = .unsupported("of an unknown kind")
        }
        return ScannedPath(
            path: path, kind: kind, mode: UInt16(info.st_mode & 0o7777), modified: Timestamp(info.st_mtim),
            owner: Owner(userID: info.st_uid, groupID: info.st_gid), attributes: attributes)
    }

    private func directoryAttributes(_ path: [UInt8]) throws -> [ExtendedAttribute] {
        let descriptor = withCPath(path) { open($0, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        guard descriptor >= 0 else { throw localFailure(printableName(path)) }
        defer { close(descriptor) }
        return try userAttributes(of: descriptor, path: path)
    }

    private static func linkTarget(_ path: [UInt8]) throws -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX) + 1)
        let count = withCPath(path) { name in
            buffer.withUnsafeMutableBufferPointer { bytes in
                bytes.withMemoryRebound(to: CChar.self) { chars in
                    chars.baseAddress.map { readlink(name, $0, chars.count) } ?? -1
                }
            }
        }
        guard count >= 0 else { throw localFailure(printableName(path)) }
        return Array(buffer[..<count])
    }
}

extension Timestamp {
    package init(_ time: timespec) {
        self.init(seconds: Int64(time.tv_sec), nanoseconds: UInt32(time.tv_nsec))
    }

    package var timespec: timespec {
        Glibc.timespec(tv_sec: Int(seconds), tv_nsec: Int(nanoseconds))
    }
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

/// A directory still to be read; the byte order of whole paths says which is next.
private struct WaitingDirectory: Comparable {
    let path: TreePath

    static func < (left: Self, right: Self) -> Bool { compareBytes(left.path.bytes, right.path.bytes) < 0 }
}
