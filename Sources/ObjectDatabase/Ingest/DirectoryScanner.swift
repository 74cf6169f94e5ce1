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
    private let rules: ScanRules
    private let leavingOut: (LeftOut) -> Void
    /// Directories still to be read, a heap with the smallest path first.
    private var pending: Heap<WaitingDirectory> = []
    package let root: ScannedPath

    /// - Parameter leavingOut: is told of each path that is passed over: by `rules`, or because it cannot be read.
    package init(
        _ tree: ScannedTree, _ rules: ScanRules = ScanRules(), leavingOut: @escaping (LeftOut) -> Void = { _ in }
    ) throws {
        self.tree = tree
        self.rules = rules
        self.leavingOut = leavingOut
        let directory = try tree.directory(.root)
        let info = try tree.naming(.root) { () throws(Errno) in try directory.status() }
        root = try tree.describe(.root, info, in: directory, [])
        guard root.identity != rules.repository else {
            throw ObjectDatabaseError.sourceUnusable(path: tree.localName(.root), reason: "it is the repository itself")
        }
        pending.insert(WaitingDirectory(path: .root, identity: root.identity))
    }

    /// The children of the next directory, by name; `nil` when all are read. A source that is one file is the only child
    /// of its directory. Throws when the source itself cannot be read, or the host has no descriptors or memory left.
    package mutating func nextDirectory() throws -> [ScannedPath]? {
        guard let next = pending.popMin() else { return nil }
        let directory: OpenDirectory
        let names: [[UInt8]]
        do {
            (directory, names) = try tree.contents(next.path, next.identity)
        } catch {
            guard !next.path.isRoot, let leftOut = LeftOut(next.path, error) else { throw error }
            leavingOut(leftOut)
            return []
        }
        var children: [ScannedPath] = []
        for name in names.sorted(by: { compareBytes($0, $1) < 0 }) {
            let path = try next.path.appending(checking: name)
            guard let child = try child(name, at: path, in: directory) else { continue }
            if child.kind == .directory, mayEnter(child) {
                pending.insert(WaitingDirectory(path: path, identity: child.identity))
            }
            children.append(child)
        }
        return children
    }

    /// What is there; `nil` when it is passed over.
    private func child(_ name: [UInt8], at path: TreePath, in directory: OpenDirectory) throws -> ScannedPath? {
        do {
            let info = try tree.naming(path) { () throws(Errno) in try directory.status(of: name) }
            let identity = FileIdentity(info)
            if identity == rules.repository {
                leavingOut(LeftOut(path, .repository, "it is the repository itself"))
                return nil
            }
            if rules.exclusions.excludes(path, isDirectory: identity.isDirectory) {
                leavingOut(LeftOut(path, .excluded, "it is excluded"))
                return nil
            }
            return try tree.describe(path, info, in: directory, name)
        } catch {
            guard let leftOut = LeftOut(path, error) else { throw error }
            leavingOut(leftOut)
            return nil
        }
    }

    private func mayEnter(_ directory: ScannedPath) -> Bool {
        guard tree.onlyName == nil else { return false }
        guard rules.staysOnFileSystem, !directory.identity.isOnFileSystem(of: root.identity) else { return true }
        leavingOut(LeftOut(directory.path, .otherFileSystem, "what is in it lies on another filesystem"))
        return false
    }
}

/// The directory that is scanned, and the words for what goes wrong in it.
package struct ScannedTree: Sendable {
    private let files: LocalTree
    private let root: [UInt8]
    /// The file of the directory that alone is scanned.
    package let onlyName: [UInt8]?

    /// - Parameter root: an existing directory, and no link to one unless `followsLink`. Throws `.sourceUnusable` when it is
    /// none.
    package init(root: [UInt8], followsLink: Bool = false) throws(ObjectDatabaseError) {
        try self.init(root: root, onlyName: nil, followsLink: followsLink)
    }

    /// What a user names: a directory, a link to one, or one file.
    package init(source: [UInt8]) throws(ObjectDatabaseError) {
        var info = stat()
        guard withCPath(source, { lstat($0, &info) }) == 0 else { throw localFailure(printableName(source)) }
        guard info.st_mode & S_IFMT == S_IFREG else {
            try self.init(root: source, onlyName: nil, followsLink: true)
            return
        }
        let cut = source.lastIndex(of: UInt8(ascii: "/"))
        let directory = cut.map { $0 == 0 ? Array("/".utf8) : Array(source[..<$0]) } ?? Array(".".utf8)
        let name = cut.map { Array(source[($0 + 1)...]) } ?? source
        try self.init(root: directory, onlyName: name, followsLink: true)
    }

    private init(root: [UInt8], onlyName: [UInt8]?, followsLink: Bool) throws(ObjectDatabaseError) {
        self.root = root
        self.onlyName = onlyName
        do throws(Errno) {
            files = try LocalTree(root: root, followsLink: followsLink)
        } catch {
            guard error.code == ENOTDIR || error.code == ELOOP else {
                throw .localIO(path: printableName(root), errno: error.code)
            }
            throw .sourceUnusable(path: printableName(root), reason: "it is not a directory")
        }
    }

    /// Whether a directory above, of at most 1,024, is this one.
    package func isInside(_ directory: FileIdentity) -> Bool {
        var path = root
        var last: FileIdentity?
        for _ in 0..<1024 {
            path += Array("/..".utf8)
            var info = stat()
            guard withCPath(path, { stat($0, &info) }) == 0 else { return false }
            let identity = FileIdentity(info)
            if identity == directory { return true }
            // Above the top is the top.
            if identity == last { return false }
            last = identity
        }
        return false
    }

    /// The bytes of a small file at the top; `nil` when there is none. Throws when it is no file, cannot be read or is longer.
    package func topFile(_ name: String, limitBytes: Int) throws(ObjectDatabaseError) -> [UInt8]? {
        let path = root + Array("/\(name)".utf8)
        let directory = try directory(.root)
        let descriptor = directory.withDescriptor {
            openat($0, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        }
        guard descriptor >= 0 else {
            if lastErrno() == ENOENT { return nil }
            throw localFailure(printableName(path))
        }
        defer { close(descriptor) }
        do throws(Errno) {
            if let bytes = try readToEnd(descriptor, limitBytes: limitBytes) { return bytes }
        } catch {
            throw .localIO(path: printableName(path), errno: error.code)
        }
        throw .sourceUnusable(path: printableName(path), reason: "it is longer than \(limitBytes) bytes")
    }

    private func localPath(_ path: TreePath) -> [UInt8] {
        path.isRoot ? root : root + [UInt8(ascii: "/")] + path.bytes
    }

    /// Of something below the root, for people.
    package func localName(_ path: TreePath) -> String { printableName(localPath(path)) }

    package func replaced(_ path: TreePath) -> ObjectDatabaseError {
        .sourceUnusable(
            path: localName(path), reason: "it was replaced by something else meanwhile")
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

    /// A directory that was found by the scan, and the names in it. Throws when something else has taken its place.
    fileprivate func contents(_ path: TreePath, _ identity: FileIdentity) throws(ObjectDatabaseError)
        -> (OpenDirectory, [[UInt8]])
    {
        let directory = try directory(path)
        let (info, names) = try naming(path) { () throws(Errno) in
            if let onlyName { return (try directory.status(), [onlyName]) }
            return (try directory.status(), try directory.names())
        }
        guard FileIdentity(info) == identity else { throw replaced(path) }
        return (directory, names)
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
