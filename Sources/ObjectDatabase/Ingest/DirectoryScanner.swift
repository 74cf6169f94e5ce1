package import BlockingIO
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
    package let identity: FileIdentity
    /// `user.*` attributes of a directory; a file's are read when it is opened.
    package var attributes: [ExtendedAttribute] = []

    package init(
        path: TreePath, kind: Kind, mode: UInt16, modified: Timestamp, owner: Owner, identity: FileIdentity,
        attributes: [ExtendedAttribute] = []
    ) {
        self.path = path
        self.kind = kind
        self.mode = mode
        self.modified = modified
        self.owner = owner
        self.identity = identity
        self.attributes = attributes
    }
}

/// Walks a local directory and hands out what is in it in the order of tree keys (all children of one directory
/// together, directories in the byte order of their paths), holding only the directories still to be read. Symbolic
/// links are not followed, also where one takes the place of a directory meanwhile. Names are bytes.
package struct DirectoryScanner {
    package let tree: ScannedTree
    /// Directories still to be read, a heap with the smallest path first.
    private var pending: Heap<WaitingDirectory> = []
    package let root: ScannedPath

    package init(_ tree: ScannedTree) throws {
        self.tree = tree
        let directory = try tree.directory(.root)
        let info = try tree.naming(.root) { () throws(Errno) in try directory.status() }
        root = try tree.describe(.root, info, in: directory, [])
        pending.insert(WaitingDirectory(path: .root, identity: root.identity))
    }

    /// The children of the next directory, by name; `nil` when all are read.
    package mutating func nextDirectory() throws -> [ScannedPath]? {
        guard let next = pending.popMin() else { return nil }
        let directory = try tree.directory(next.path)
        let (info, names) = try tree.naming(next.path) { () throws(Errno) in
            (try directory.status(), try directory.names())
        }
        guard FileIdentity(info) == next.identity else { throw tree.replaced(next.path) }
        var children: [ScannedPath] = []
        for name in names.sorted(by: { compareBytes($0, $1) < 0 }) {
            let path = try next.path.appending(checking: name)
            let child: ScannedPath
            do {
                let info = try tree.naming(path) { () throws(Errno) in try directory.status(of: name) }
                child = try tree.describe(path, info, in: directory, name)
            } catch ObjectDatabaseError.localIO(_, ENOENT) {
                continue  // removed since the directory was read
            }
            if child.kind == .directory { pending.insert(WaitingDirectory(path: path, identity: child.identity)) }
            children.append(child)
        }
        return children
    }
}

/// The directory that is scanned, and the words for what goes wrong in it.
package struct ScannedTree: Sendable {
    private let files: LocalTree
    private let root: [UInt8]

    /// - Parameter root: an existing directory, and no link to one unless `followsLink`. Throws `.sourceUnusable` when it is
    /// none.
    package init(root: [UInt8], followsLink: Bool = false) throws(ObjectDatabaseError) {
        self.root = root
        do throws(Errno) {
            files = try LocalTree(root: root, followsLink: followsLink)
        } catch {
            guard error.code == ENOTDIR || error.code == ELOOP else {
                throw .localIO(path: printableName(root), errno: error.code)
            }
            throw .sourceUnusable(path: printableName(root), reason: "it is not a directory")
        }
    }

    private func localPath(_ path: TreePath) -> [UInt8] {
        path.isRoot ? root : root + [UInt8(ascii: "/")] + path.bytes
    }

    /// Of something below the root, for people.
    package func localName(_ path: TreePath) -> String { printableName(localPath(path)) }

    package func replaced(_ path: TreePath) -> ObjectDatabaseError {
        .sourceUnusable(
            path: localName(path), reason: "it was replaced by something else meanwhile; nothing was committed")
    }

    /// Makes an error of `body`, which is about `path`, one that names it.
    package func naming<Result>(
        _ path: TreePath, _ body: () throws(Errno) -> Result
    ) throws(ObjectDatabaseError) -> Result {
        do throws(Errno) {
            return try body()
        } catch {
            throw error.code == ELOOP || error.code == ENOTDIR
                ? replaced(path) : .localIO(path: localName(path), errno: error.code)
        }
    }

    fileprivate func directory(_ path: TreePath) throws(ObjectDatabaseError) -> OpenDirectory {
        try naming(path) { () throws(Errno) in try files.directory(path.bytes) }
    }

    /// Opens a file that was found by the scan. Throws when something else has taken its place.
    package func withOpen<Result>(_ file: ScannedPath, _ body: (SourceFile) throws -> Result) throws -> Result {
        let descriptor = try naming(file.path) { () throws(Errno) in
            let (directory, name) = try files.parent(of: file.path.bytes)
            // A pipe that somebody puts there must not make us wait.
            let opened = directory.withDescriptor { descriptor in
                withCPath(name) { openat(descriptor, $0, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) }
            }
            guard opened >= 0 else { throw Errno() }
            return opened
        }
        defer { close(descriptor) }
        var info = stat()
        guard fstat(descriptor, &info) == 0 else { throw localFailure(localName(file.path)) }
        guard FileIdentity(info) == file.identity else { throw replaced(file.path) }
        return try body(
            SourceFile(descriptor: descriptor, path: localPath(file.path), sizeBytes: UInt64(info.st_size)))
    }

    fileprivate func describe(
        _ path: TreePath, _ info: stat, in directory: OpenDirectory, _ name: [UInt8]
    ) throws -> ScannedPath {
        let kind: ScannedPath.Kind
        var attributes: [ExtendedAttribute] = []
        switch info.st_mode & S_IFMT {
        case S_IFREG: kind = .file(sizeBytes: UInt64(info.st_size))
        case S_IFDIR:
            kind = .directory
            attributes = try self.directory(path).withDescriptor { try userAttributes(of: $0, path: localPath(path)) }
        case S_IFLNK:
            kind = .symlink(target: try naming(path) { () throws(Errno) in try directory.linkTarget(of: name) })
        case S_IFSOCK: kind = .unsupported("a socket")
        case S_IFIFO: kind = .unsupported("a named pipe")
        case S_IFCHR: kind = .unsupported("a character device")
        case S_IFBLK: kind = .unsupported("a block device")
        default: kind = .unsupported("of an unknown kind")
        }
        return ScannedPath(
            path: path, kind: kind, mode: UInt16(info.st_mode & 0o7777), modified: Timestamp(info.st_mtim),
            owner: Owner(userID: info.st_uid, groupID: info.st_gid), identity: FileIdentity(info),
            attributes: attributes)
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

/// A directory still to be read; the byte order of whole paths says which is next.
private struct WaitingDirectory: Comparable {
    let path: TreePath
    /// Which directory the scan found there.
    let identity: FileIdentity

    static func < (left: Self, right: Self) -> Bool { compareBytes(left.path.bytes, right.path.bytes) < 0 }
}
