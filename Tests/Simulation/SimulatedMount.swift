import BlockingIO
import ObjectDatabase
import ObjectStorage
import Operations
import ProllyTree
import Staging
import TestSupport
import VFS
import Versioning

/// A writable mount as the kernel would drive it, without the kernel.
final class SimulatedMount {
    let repository: Repository
    let workspace: Workspace
    let fileSystem: WorkspaceFileSystem
    let lease: WorkspaceLease

    /// As `tarn mount` does: what a commit that broke off left, then the lease, then the file system.
    init(_ repository: Repository, directory: String, branch: RefName) throws {
        self.repository = repository
        workspace = try Workspace(
            directory: directory,
            info: WorkspaceInfo(
                repositoryID: repository.database.config.id, repositoryLocation: repository.database.store.location,
                branch: branch.name),
            base: repository.database.liveRef(branch).commit, logger: .silent)
        try repository.recoverSeal(workspace, LocalHolder(workspace: workspace, repository: repository))
        if try workspace.isEmpty() {
            let head = try repository.database.liveRef(branch).commit
            if try workspace.base() != head { try workspace.moveBase(to: head) }
        }
        let lease = try repository.protectBase(of: workspace)
        fileSystem = try WorkspaceFileSystem(
            database: repository.database, workspace: workspace,
            basePlanner: repository.basePlanner(of: workspace, lease), mountDescription: "{}",
            readThreads: 1, logger: .silent)
        self.lease = lease
    }

    private var me: Requester { Requester(userID: 0, groupID: 0) { [] } }

    private func find(_ path: String) throws -> InodeNumber? {
        do {
            return try fileSystem.lookup(.root, EntryName(checking: Array(path.utf8))).inode
        } catch VFSError.notFound {
            return nil
        }
    }

    private func openOrCreate(_ path: String, truncating: Bool) throws -> InodeNumber {
        guard let inode = try find(path) else {
            let new = NewFile(.file, mode: 0o644, maker: Owner(userID: 0, groupID: 0))
            return try fileSystem.create(
                .root, EntryName(checking: Array(path.utf8)), new, existing: .refused, by: me
            ).0.inode
        }
        _ = try fileSystem.open(inode, forWriting: true, truncating: truncating ? me : nil)
        return inode
    }

    private func close(_ inode: InodeNumber) throws {
        try fileSystem.flush(inode, .writing)
        fileSystem.release(inode, .none)
    }

    private func write(_ text: String, at offset: Int, to inode: InodeNumber) throws {
        let bytes = Array(text.utf8)
        let count = try bytes.withUnsafeBytes { try fileSystem.write(inode, at: FileOffset(Int64(offset)), $0, by: me) }
        precondition(count == bytes.count)
    }

    /// Replaces all bytes of a file; makes it when there is none.
    func put(_ path: String, _ text: String) throws {
        let inode = try openOrCreate(path, truncating: true)
        try write(text, at: 0, to: inode)
        try close(inode)
    }

    /// Writes over the beginning of a file that exists.
    func overwrite(_ path: String, _ text: String) throws {
        let inode = try openOrCreate(path, truncating: false)
        try write(text, at: 0, to: inode)
        try close(inode)
    }

    /// As `cp` does: cuts the target and copies all of the source.
    func copy(_ path: String, over target: String) throws {
        guard let source = try find(path) else { return }
        let inode = try openOrCreate(target, truncating: true)
        let size = try fileSystem.attributes(source).sizeBytes
        _ = try fileSystem.copy(
            source, FileRange(from: .zero, count: UInt64(size)), to: inode, at: .zero, by: me)
        try close(inode)
    }

    /// What a file holds; `nil` when there is none.
    func text(_ path: String) throws -> String? {
        guard let inode = try find(path) else { return nil }
        let size = Int(try fileSystem.attributes(inode).sizeBytes)
        var bytes = [UInt8](repeating: 0, count: size)
        let count = try bytes.withUnsafeMutableBytes { try fileSystem.read(inode, at: .zero, into: $0) }
        return String(decoding: bytes[..<count], as: UTF8.self)
    }
}
