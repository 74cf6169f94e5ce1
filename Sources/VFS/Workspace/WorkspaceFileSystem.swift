import Glibc
package import Logging
package import ObjectDatabase
import ProllyTree
package import Staging
import Synchronization
package import Versioning

/// A branch with staged changes as a file system: the workspace's overlay over the tree of its base commit.
///
/// Changes of names and attributes are transactions of the workspace at once. Written bytes go to the workspace's data
/// files at once; which ranges they are is kept in memory until flush (close), fsync or `flushInterval`, whichever is
/// first.
package final class WorkspaceFileSystem: FileSystem {
    let database: ObjectDatabase
    package let workspace: Workspace
    let logger: Logger
    let fetcher: BlockFetcher
    let table: Mutex<InodeTable>
    let barrier = SealBarrier()
    package let basePlanner: BasePlanner
    private let mountAttributes: [[UInt8]: [UInt8]]
    /// Everything belongs to whoever mounted, and stays so.
    let squashesOwners: Bool
    let dataFiles: DataFiles
    let reclaimer: DataFileReclaimer
    let kernel = Mutex<(any KernelCache)?>(nil)
    /// Inodes whose content the kernel was told to drop lately, and when.
    let dropped = Mutex<[InodeNumber: ContinuousClock.Instant]>([:])
    let listings = Mutex(DirectoryListings())

    /// The kernel asks again after this long, so that what a commit merged in from others is seen.
    private static let timeoutSeconds = 1.0

    package init(
        database: ObjectDatabase, workspace: Workspace, basePlanner: BasePlanner, mountDescription: String,
        squashesOwners: Bool = false,
        readThreads: Int, logger: Logger
    ) throws {
        self.database = database
        self.workspace = workspace
        self.basePlanner = basePlanner
        self.logger = logger
        mountAttributes = TarnAttribute.ofMount(mountDescription)
        self.squashesOwners = squashesOwners
        dataFiles = DataFiles(workspace)
        reclaimer = DataFileReclaimer(workspace, dataFiles)
        fetcher = BlockFetcher(blocks: database.blocks, threads: readThreads, logger: logger)
        try workspace.removeOrphans()
        try workspace.holdReserve()
        let baseCommit = try workspace.base()
        let commit = try database.commit(baseCommit)
        let base = database.tree(commit.tree)
        let readAhead = NeighbourReadAhead(tree: base, fetcher: fetcher, commitBytes: commit.counts.bytes)
        table = Mutex(
            InodeTable(base: base, baseCommit, readAhead, root: try Self.rootBacking(workspace, base)))
    }

    package var traits: FileSystemTraits {
        FileSystemTraits(
            isReadOnly: false, timeoutSeconds: Self.timeoutSeconds, needsNoOpen: false, needsNoOpenDirectory: false)
    }

    package func attach(_ kernel: any KernelCache) {
        self.kernel.withLock { $0 = kernel }
    }

    package func entryTimeoutSeconds(in parent: InodeNumber) -> Double { Self.timeoutSeconds }

    func readAhead(_ base: SnapshotTree, _ commit: Commit) -> NeighbourReadAhead {
        NeighbourReadAhead(tree: base, fetcher: fetcher, commitBytes: commit.counts.bytes)
    }

    /// The root's staged node; while it is unchanged its attributes are the base's.
    private static func rootBacking(_ workspace: Workspace, _ base: SnapshotTree) throws -> Backing {
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
    func find(_ table: InodeTable, in directory: Backing, _ name: EntryName) throws -> Backing? {
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

    /// With the directories above it first, which may be more than a stack holds.
    private func refresh(_ table: inout InodeTable, _ inode: WorkspaceInode) throws {
        var waiting = [inode]
        while let next = waiting.last {
            let stale =
                table[next].epoch == table.epoch
                ? []
                : table[next].names.map(\.parent).filter {
                    table[$0].epoch != table.epoch
                }
            if stale.isEmpty {
                waiting.removeLast()
                try refreshAlone(&table, next)
            } else {
                waiting += stale
            }
        }
    }

    /// The directories above it were read again.
    private func refreshAlone(_ table: inout InodeTable, _ inode: WorkspaceInode) throws {
        guard table[inode].epoch != table.epoch else { return }
        let found = try foundAgain(&table, inode)
        table[inode].epoch = table.epoch
        // What became something of another kind has an inode of its own: the kernel keeps the kind of an inode.
        guard let found, found.fileKind == inode.backing.fileKind else {
            for name in table[inode].names { table.sever(inode, from: name.parent, name.name) }
            return
        }
        inode.state.withLock { state in
            guard !state.isDirty else { return }
            state = WorkspaceInode.State(backing: found, openCount: state.openCount)
        }
    }

    /// What an inode is now; `nil` when nothing. Names that lead elsewhere are taken from it.
    private func foundAgain(_ table: inout InodeTable, _ inode: WorkspaceInode) throws -> Backing? {
        if inode.number == .root { return try Self.rootBacking(workspace, table.base) }
        if let known = inode.backing.node, let node = try workspace.read({ try $0.node(known.id) }) {
            for name in table[inode].names {
                if try child(table, of: name)?.node?.id == node.id { continue }
                table.sever(inode, from: name.parent, name.name)
            }
            return .staged(node)
        }
        // Its node went, or it never had one: the first name decides, others are files of their own now.
        guard let first = table[inode].names.first else { return inode.backing }
        for name in table[inode].names.dropFirst() { table.sever(inode, from: name.parent, name.name) }
        return try child(table, of: first)
    }

    /// What a name leads to now; its directory may have become something else.
    private func child(_ table: InodeTable, of name: WorkspaceInode.Name) throws -> Backing? {
        name.parent.backing.isDirectory ? try find(table, in: name.parent.backing, name.name) : nil
    }

    /// What stat(2) tells of an inode.
    func attributes(_ table: InodeTable, _ inode: WorkspaceInode) -> FileAttributes {
        let isNamed = inode.number == .root || !table[inode].names.isEmpty
        var attributes = inode.backing.attributes(inode.number, isNamed: isNamed)
        attributes.number = inode.stableNumber
        attributes.allocatedBytes += reservedBytes(inode)
        if squashesOwners { attributes.owner = nil }
        return attributes
    }

    package func lookup(_ parent: InodeNumber, _ name: EntryName) throws(VFSError) -> FileAttributes {
        return try reportingFailures(logger, "lookup of \(name)") {
            try warm(parent, name)
            return try table.withLock { table in
                let inode = try child(&table, of: parent, name)
                table.addLookup(inode)
                return attributes(table, inode)
            }
        }
    }

    /// Loads the tree nodes that a lookup needs, so that it will not wait for the store while it holds the table's
    /// lock.
    func warm(_ parent: InodeNumber, _ name: EntryName?) throws {
        let (base, origin) = try table.withLock { table in (table.base, try current(&table, parent).backing.origin) }
        if let origin { _ = try base.entry(at: name.map(origin.appending) ?? origin) }
    }

    func child(_ table: inout InodeTable, of parent: InodeNumber, _ name: EntryName) throws -> WorkspaceInode {
        let directory = try current(&table, parent)
        if let known = table.known(directory, name) {
            try refresh(&table, known)
            if table.known(directory, name) === known { return known }
        }
        guard let backing = try find(table, in: directory.backing, name) else { throw VFSError.notFound }
        return table.child(directory, name, backing)
    }

    package func forget(_ inode: InodeNumber, count: UInt64) {
        table.withLock { table in
            if let unused = table.dropLookups(inode, count) { letGo(&table, unused) }
        }
    }

    package func attributes(_ inode: InodeNumber) throws(VFSError) -> FileAttributes {
        try reportingFailures(logger, "stat of inode \(inode.value)") {
            try table.withLock { table in
                let file = try current(&table, inode)
                return attributes(table, file)
            }
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
            case .base(let located, _): shownNames(located.entry.attributes)
            case .staged(let node): shownNames(node.attributes)
            }
        }
    }

    package func attribute(_ inode: InodeNumber, _ name: [UInt8]) throws(VFSError) -> [UInt8] {
        if let value = mountAttributes[name] { return value }
        try checkAttributeName(name)
        // The kernel asks for security.capability before every write.
        guard name.starts(with: "user.".utf8) else { throw .noAttribute }
        return try reportingFailures(logger, "attributes of inode \(inode.value)") {
            let (backing, commit) = try table.withLock { (try current(&$0, inode).backing, $0.baseCommit) }
            if name.elementsEqual(TarnAttribute.commit.utf8) { return Array(commit.hex.utf8) }
            switch backing {
            case .base(let located, _): return try entryAttribute(located.entry, name)
            case .staged(let node):
                // Staged bytes have no content id before they are committed; unchanged ones have the base's.
                if let base = node.content?.wholeBase,
                    name.elementsEqual(TarnAttribute.content.utf8)
                {
                    return try entryAttribute(base.entry, name)
                }
                return try shownAttribute(node.attributes, name)
            }
        }
    }

    /// Room is what the workspace's disk has; what is taken is the base's files.
    package func statistics() throws(VFSError) -> VolumeStatistics {
        try reportingFailures(logger, "statfs") {
            var disk = statvfs()
            guard statvfs(workspace.directory, &disk) == 0 else { throw VFSError.inputOutput }
            let commit = try database.commit(table.withLock { $0.baseCommit })
            let free = UInt64(disk.f_bavail).multipliedClamped(UInt64(disk.f_frsize))
            let files = commit.counts.files.addingClamped(commit.counts.directories)
            return VolumeStatistics(
                totalBytes: commit.counts.bytes.addingClamped(free), freeBytes: free,
                files: files.addingClamped(UInt64(disk.f_favail)),
                freeFiles: UInt64(disk.f_favail))
        }
    }
}
