import Glibc
package import Logging
import ProllyTree
package import Repository
package import Staging
import Synchronization
import Versioning

/// A branch with staged changes as a file system: the workspace's overlay over the tree of its base commit.
///
/// Changes of names and attributes are transactions of the workspace at once. Written bytes go to the workspace's data
/// files at once; which ranges they are is kept in memory until flush (close), fsync or `flushInterval`, whichever is
/// first.
package final class WorkspaceFileSystem: FileSystem {
    let repository: Repository
    package let workspace: Workspace
    let logger: Logger
    let fetcher: BlockFetcher
    let table: Mutex<InodeTable>
    let gate = Gate()
    private let mountDescription: [UInt8]
    let listings = Mutex(DirectoryListings())

    /// The kernel asks again after this long, so that what a commit merged in from others is seen.
    private static let timeoutSeconds = 1.0

    package init(
        repository: Repository, workspace: Workspace, mountDescription: String, readThreads: Int, logger: Logger
    ) throws {
        self.repository = repository
        self.workspace = workspace
        self.logger = logger
        self.mountDescription = Array(mountDescription.utf8)
        fetcher = BlockFetcher(blocks: repository.blocks, threads: readThreads, logger: logger)
        try workspace.removeOrphans()
        let baseCommit = try workspace.base()
        let base = repository.tree(try repository.commit(baseCommit).tree)
        table = Mutex(
            InodeTable(base: base, baseCommit: baseCommit, root: try Self.rootBacking(workspace, base)))
    }

    package var traits: FileSystemTraits {
        FileSystemTraits(isReadOnly: false, timeoutSeconds: Self.timeoutSeconds, needsNoOpen: false)
    }

    package func entryTimeoutSeconds(in parent: InodeNumber) -> Double { Self.timeoutSeconds }

    /// The root's staged node; while it is unchanged its attributes are the base's.
    private static func rootBacking(_ workspace: Workspace, _ base: Repository.SnapshotTree) throws -> Backing {
        guard var node = try workspace.read({ try $0.node(.root) }) else {
            throw WorkspaceError.corrupt(path: workspace.directory, reason: "it has no root")
        }
        if node.change == 0, let entry = try base.entry(at: .root)?.entry {
            node.mode = entry.mode
            node.modified = entry.modified
            node.owner = entry.owner
            node.attributes = entry.attributes
        }
        return .staged(node)
    }

    // MARK: Finding

    /// What a name in a directory is; `nil` when there is nothing.
    func find(_ table: InodeTable, in directory: Backing, _ name: [UInt8]) throws -> Backing? {
        guard directory.isDirectory else { throw VFSError.notADirectory }
        if let node = directory.node {
            switch try workspace.read({ try $0.lookup(node.id, name) }) {
            case .removed: return nil
            case .node(let child): return .staged(child)
            case .untouched: break
            }
        }
        guard let origin = directory.origin?.appending(name) else { return nil }
        return try table.base.entry(at: origin).map { .base($0, origin: origin) }
    }

    /// The inode, read again if the overlay changed behind its back.
    func current(_ table: inout InodeTable, _ number: InodeNumber) throws -> WorkspaceInode {
        let inode = try table.inode(number)
        try refresh(&table, inode)
        return inode
    }

    private func refresh(_ table: inout InodeTable, _ inode: WorkspaceInode) throws {
        guard table[inode].epoch != table.epoch else { return }
        let place = table[inode]
        let found: Backing?
        if let parent = place.parent {
            try refresh(&table, parent)
            found = place.isUnlinked ? nil : try find(table, in: parent.backing, place.name)
        } else {
            found = try Self.rootBacking(workspace, table.base)
        }
        table[inode].epoch = table.epoch
        if let found {
            inode.state.withLock { state in
                guard !state.isDirty else { return }
                state.backing = found
                state.descriptors = [:]
                state.baseFile = nil
            }
        } else if !place.isUnlinked {
            table.unlink(inode)
        }
    }

    package func lookup(_ parent: InodeNumber, _ name: [UInt8]) throws(VFSError) -> FileAttributes {
        if name.count > TreePath.maximumNameBytes { throw .nameTooLong }
        return try reportingFailures(logger, "lookup of \(printableName(name))") {
            try warm(parent, name)
            return try table.withLock { table in
                let inode = try child(&table, of: parent, name)
                table.addLookup(inode)
                return inode.attributes
            }
        }
    }

    /// Loads the tree nodes that a lookup needs, so that it will not wait for the store while it holds the table's
    /// lock.
    func warm(_ parent: InodeNumber, _ name: [UInt8]) throws {
        let (base, origin) = try table.withLock { table in (table.base, try current(&table, parent).backing.origin) }
        if let origin { _ = try base.entry(at: origin.appending(name)) }
    }

    func child(_ table: inout InodeTable, of parent: InodeNumber, _ name: [UInt8]) throws -> WorkspaceInode {
        let directory = try current(&table, parent)
        if let known = table.known(directory, name) {
            try refresh(&table, known)
            if !table[known].isUnlinked { return known }
        }
        guard let backing = try find(table, in: directory.backing, name) else { throw VFSError.notFound }
        return table.child(directory, name, backing)
    }

    package func forget(_ inode: InodeNumber, count: UInt64) {
        table.withLock { table in
            if let unused = table.dropLookups(inode, count) { table.removeIfUnused(unused) }
        }
    }

    package func attributes(_ inode: InodeNumber) throws(VFSError) -> FileAttributes {
        try reportingFailures(logger, "stat of inode \(inode.value)") {
            try table.withLock { try current(&$0, inode).attributes }
        }
    }

    package func readLink(_ inode: InodeNumber) throws(VFSError) -> [UInt8] {
        try reportingFailures(logger, "readlink of inode \(inode.value)") {
            switch try table.withLock({ try current(&$0, inode).backing }) {
            case .base(let located, _):
                guard case .symlink(let target) = located.entry.kind else { throw VFSError.invalidArgument }
                return target
            case .staged(let node):
                guard case .symlink(let target) = node.kind else { throw VFSError.invalidArgument }
                return target
            }
        }
    }

    // MARK: Extended attributes

    package func attributeNames(_ inode: InodeNumber) throws(VFSError) -> [[UInt8]] {
        try reportingFailures(logger, "attributes of inode \(inode.value)") {
            switch try table.withLock({ try current(&$0, inode).backing }) {
            case .base(let located, _): located.entry.attributes.map(\.name)
            case .staged(let node): node.attributes.map(\.name)
            }
        }
    }

    package func attribute(_ inode: InodeNumber, _ name: [UInt8]) throws(VFSError) -> [UInt8] {
        if name.elementsEqual(TarnAttribute.mount.utf8) { return mountDescription }
        return try reportingFailures(logger, "attributes of inode \(inode.value)") {
            let (backing, commit) = try table.withLock { (try current(&$0, inode).backing, $0.baseCommit) }
            if name.elementsEqual(TarnAttribute.commit.utf8) { return Array(commit.hex.utf8) }
            switch backing {
            case .base(let located, _): return try entryAttribute(located.entry, name)
            case .staged(let node):
                // Staged bytes have no content id before they are committed; unchanged ones have the base's.
                if let content = node.content, content.isUnchanged, let base = content.base,
                    name.elementsEqual(TarnAttribute.content.utf8)
                {
                    return try entryAttribute(base.entry, name)
                }
                guard let attribute = node.attributes.first(where: { $0.name == name }) else {
                    throw VFSError.noAttribute
                }
                return attribute.value
            }
        }
    }

    /// Room is what the workspace's disk has; what is taken is the base's files.
    package func statistics() throws(VFSError) -> VolumeStatistics {
        try reportingFailures(logger, "statfs") {
            var disk = statvfs()
            guard statvfs(workspace.directory, &disk) == 0 else { throw VFSError.inputOutput }
            let commit = try repository.commit(table.withLock { $0.baseCommit })
            let free = UInt64(disk.f_bavail) * UInt64(disk.f_frsize)
            let files = commit.counts.files + commit.counts.directories
            return VolumeStatistics(
                totalBytes: commit.counts.bytes + free, freeBytes: free, files: files + UInt64(disk.f_favail),
                freeFiles: UInt64(disk.f_favail))
        }
    }
}
