import Glibc
import ObjectDatabase
import ObjectStorage
import Operations
import ProllyTree
import Staging
import TestSupport
import VFS
import Versioning

/// A `WorkspaceFileSystem` driven by paths, as a kernel would drive it by inodes.
final class MountedWorkspace {
    let repository: Repository
    let directory: String
    private(set) var workspace: Workspace
    private(set) var fileSystem: WorkspaceFileSystem

    init(_ repository: Repository, directory: String) throws {
        self.repository = repository
        self.directory = directory
        workspace = try repository.workspace(in: directory)
        fileSystem = try Self.mount(repository, workspace)
    }

    private static func mount(_ repository: Repository, _ workspace: Workspace) throws -> WorkspaceFileSystem {
        let lease = try WorkspaceLease(workspace, repository.database)
        return try WorkspaceFileSystem(
            database: repository.database, workspace: workspace,
            basePlanner: repository.basePlanner(of: workspace, lease), mountDescription: "{}", readThreads: 1,
            logger: .silent)
    }

    /// Unmounts (a flush) and mounts again, finishing a commit that broke off as `tarn mount` does.
    func remount() throws {
        try fileSystem.flushAll()
        workspace = try repository.workspace(in: directory)
        try repository.recoverSeal(workspace, LocalHolder(workspace: workspace, repository: repository))
        fileSystem = try Self.mount(repository, workspace)
    }

    // MARK: Paths

    func inode(_ path: String) throws -> InodeNumber {
        var number = InodeNumber.root
        for name in path.split(separator: "/") {
            number = try fileSystem.lookup(number, EntryName(checking: Array(name.utf8))).inode
        }
        return number
    }

    /// The inode of the directory that holds `path`, and the name in it.
    private func place(_ path: String) throws -> (InodeNumber, EntryName) {
        let parts = path.split(separator: "/")
        return (
            try inode(parts.dropLast().joined(separator: "/")), try EntryName(checking: Array((parts.last ?? "").utf8))
        )
    }

    func forget(_ path: String) throws { fileSystem.forget(try inode(path), count: 2) }

    // MARK: Changes

    private var me: Requester { Requester(userID: getuid(), groupID: getgid()) { [] } }

    private func new(_ kind: NewFile.Kind, _ mode: UInt16) -> NewFile {
        NewFile(kind, mode: mode, maker: Owner(userID: getuid(), groupID: getgid()))
    }

    /// Creates a file and leaves it open.
    func create(_ path: String, mode: UInt16) throws -> InodeNumber {
        let (parent, name) = try place(path)
        return try fileSystem.create(parent, name, new(.file, mode), existing: .refused, by: me).0.inode
    }

    func open(_ path: String, truncating: Bool = false) throws -> InodeNumber {
        let number = try inode(path)
        _ = try fileSystem.open(number, forWriting: true, truncating: truncating ? me : nil)
        return number
    }

    func write(_ inode: InodeNumber, at offset: Int, _ bytes: [UInt8]) throws {
        let count = try bytes.withUnsafeBytes { try fileSystem.write(inode, at: FileOffset(Int64(offset)), $0, by: me) }
        precondition(count == bytes.count)
    }

    func close(_ inode: InodeNumber) throws {
        try fileSystem.flush(inode, .writing)
        fileSystem.release(inode, .none)
    }

    func makeFile(_ path: String, _ bytes: [UInt8], mode: UInt16 = 0o644) throws {
        let inode = try create(path, mode: mode)
        try write(inode, at: 0, bytes)
        try close(inode)
    }

    /// Writes into a file that exists.
    func edit(_ path: String, at offset: Int, _ bytes: [UInt8]) throws {
        let inode = try open(path)
        try write(inode, at: offset, bytes)
        try close(inode)
    }

    func makeDirectory(_ path: String, mode: UInt16 = 0o755) throws {
        let (parent, name) = try place(path)
        _ = try fileSystem.make(parent, name, new(.directory, mode))
    }

    func makeLink(_ path: String, to target: String) throws {
        let (parent, name) = try place(path)
        _ = try fileSystem.make(parent, name, new(.symlink(target: Array(target.utf8)), 0o777))
    }

    func unlink(_ path: String) throws {
        let (parent, name) = try place(path)
        try fileSystem.unlink(parent, name)
    }

    func removeDirectory(_ path: String) throws {
        let (parent, name) = try place(path)
        try fileSystem.removeDirectory(parent, name)
    }

    func rename(_ old: String, to new: String) throws {
        let (parent, name) = try place(old)
        let (newParent, newName) = try place(new)
        try fileSystem.rename(parent, name, to: newParent, newName, .replacing)
    }

    func link(_ path: String, to name: String) throws {
        let (parent, name) = try place(name)
        _ = try fileSystem.link(try inode(path), to: parent, name)
    }

    func exchange(_ one: String, _ other: String) throws {
        let (parent, name) = try place(one)
        let (otherParent, otherName) = try place(other)
        try fileSystem.rename(parent, name, to: otherParent, otherName, .exchanging)
    }

    /// Copies the beginning of a file into another.
    func copy(_ path: String, to other: String, count: Int) throws {
        _ = try fileSystem.copy(
            try inode(path), FileRange(from: .zero, count: UInt64(count)), to: try inode(other), at: .zero, by: me)
    }

    /// As `cp` does: cuts the other file and copies all of this one.
    func copyWhole(_ path: String, over other: String) throws {
        let target = try open(other, truncating: true)
        try copy(path, to: other, count: Int(fileSystem.attributes(inode(path)).sizeBytes))
        try close(target)
    }

    func setMode(_ path: String, _ mode: UInt16) throws {
        var changes = AttributeChanges()
        changes.mode = mode
        _ = try fileSystem.setAttributes(try inode(path), changes, by: me)
    }

    func truncate(_ inode: InodeNumber, to size: Int) throws {
        var changes = AttributeChanges()
        changes.size = try FileOffset(Int64(size))
        _ = try fileSystem.setAttributes(inode, changes, by: me)
    }

    // MARK: Looking

    func read(_ inode: InodeNumber) throws -> [UInt8] {
        let size = Int(try fileSystem.attributes(inode).sizeBytes)
        var bytes = [UInt8](repeating: 0xee, count: size + 10)
        let count = try bytes.withUnsafeMutableBytes { try fileSystem.read(inode, at: .zero, into: $0) }
        return Array(bytes[..<count])
    }

    func read(_ path: String) throws -> [UInt8] { try read(try inode(path)) }

    /// Everything that the file system shows, read through it.
    func walk() throws -> [String: ModelSummary] {
        var found: [String: ModelSummary] = [:]
        try walk(.root, "", &found)
        return found
    }

    /// What a listing of a directory shows, but for `.` and `..`.
    func names(in directory: InodeNumber) throws -> [[UInt8]] {
        let handle = try fileSystem.openDirectory(directory)
        defer { fileSystem.releaseDirectory(directory, handle) }
        var names: [[UInt8]] = []
        try fileSystem.readDirectory(directory, handle, after: .zero, countsAsLookup: false) {
            names.append($0.name)
            return true
        }
        return names.filter { $0 != [0x2e] && $0 != [0x2e, 0x2e] }
    }

    private func walk(_ directory: InodeNumber, _ path: String, _ found: inout [String: ModelSummary]) throws {
        for name in try names(in: directory) {
            let child = path + (path.isEmpty ? "" : "/") + String(decoding: name, as: UTF8.self)
            let attributes = try fileSystem.lookup(directory, EntryName(checking: name))
            switch attributes.kind {
            case .directory:
                found[child] = .directory(attributes.mode)
                try walk(attributes.inode, child, &found)
            case .symlink:
                found[child] = .link(String(decoding: try fileSystem.readLink(attributes.inode), as: UTF8.self))
            case .file: found[child] = .file(try read(attributes.inode), attributes.mode)
            case .pipe, .socket, .characterDevice, .blockDevice: preconditionFailure("the model makes none")
            }
            fileSystem.forget(attributes.inode, count: 1)
        }
    }

    // MARK: Commits

    /// As `tarn update`; answers the conflicts.
    func update() throws -> [TreePath] { try fileSystem.update().conflicts }

    func commit(_ message: String = "test") throws -> StagedCommit {
        try repository.commitStaged(workspace, .test(message), holder: MountHolder(mount: self))
    }
}

/// What a commit asks of the mount, with room for what goes on meanwhile.
struct MountHolder: StagingHolder {
    let mount: MountedWorkspace
    var afterSeal: () throws -> Void = {}
    var beforeRebase: () throws -> Void = {}

    func seal() throws {
        _ = try mount.fileSystem.seal()
        try afterSeal()
    }

    func protect(_ commit: CommitID) throws { try mount.fileSystem.basePlanner.protect(commit) }

    func rebase(to commit: CommitID, foreign: Set<TreePath>?) throws -> [TreePath] {
        try beforeRebase()
        return try mount.fileSystem.rebase(to: commit, foreign: foreign)
    }

    func abandonSeal() throws { try mount.fileSystem.abandonSeal() }
}
