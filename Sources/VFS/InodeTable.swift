import ProllyTree
import Repository
import Staging
import Synchronization
import Versioning

/// The inodes of a writable mount and the commit below its staged changes. Used under one lock
/// (`WorkspaceFileSystem.table`).
struct InodeTable {
    private(set) var inodes: [InodeNumber: WorkspaceInode] = [:]
    private var places: [InodeNumber: WorkspaceInode.Place] = [:]
    private var byName: [ChildName: WorkspaceInode] = [:]
    private var next: UInt64 = 2
    /// Raised when the overlay was changed behind the inodes' back: each is read again when it is next used.
    private(set) var epoch: UInt64 = 1
    var base: Repository.SnapshotTree
    var baseCommit: CommitID

    private struct ChildName: Hashable {
        let parent: InodeNumber
        let name: [UInt8]
    }

    init(base: Repository.SnapshotTree, baseCommit: CommitID, root: Backing) {
        self.base = base
        self.baseCommit = baseCommit
        let inode = WorkspaceInode(number: .root, backing: root)
        inodes[.root] = inode
        places[.root] = WorkspaceInode.Place(parent: nil, name: [], lookups: 1, epoch: epoch)
    }

    func inode(_ number: InodeNumber) throws(VFSError) -> WorkspaceInode {
        guard let inode = inodes[number] else { throw .staleHandle }
        return inode
    }

    subscript(_ inode: WorkspaceInode) -> WorkspaceInode.Place {
        get {
            guard let place = places[inode.number] else { preconditionFailure("every inode of the table has a place") }
            return place
        }
        set { places[inode.number] = newValue }
    }

    func known(_ parent: WorkspaceInode, _ name: [UInt8]) -> WorkspaceInode? {
        byName[ChildName(parent: parent.number, name: name)]
    }

    /// The inode of a child whose backing was just found; a new one if it is not in the table.
    mutating func child(_ parent: WorkspaceInode, _ name: [UInt8], _ backing: Backing) -> WorkspaceInode {
        if let known = known(parent, name) { return known }
        let inode = WorkspaceInode(number: InodeNumber(next), backing: backing)
        next += 1
        inodes[inode.number] = inode
        places[inode.number] = WorkspaceInode.Place(parent: parent, name: name, epoch: epoch)
        byName[ChildName(parent: parent.number, name: name)] = inode
        self[parent].children += 1
        return inode
    }

    mutating func addLookup(_ inode: WorkspaceInode) {
        self[inode].lookups += 1
    }

    /// Drops references; answers the inode if the kernel has none left.
    mutating func dropLookups(_ number: InodeNumber, _ count: UInt64) -> WorkspaceInode? {
        guard let inode = inodes[number], number != .root else { return nil }
        let left = self[inode].lookups
        self[inode].lookups = left > count ? left - count : 0
        return left > count ? nil : inode
    }

    /// Removes an inode that nobody refers to, and directories above it that were only kept for it.
    mutating func removeIfUnused(_ inode: WorkspaceInode) {
        var candidate: WorkspaceInode? = inode
        while let inode = candidate, inode.number != .root, inodes[inode.number] != nil {
            let place = self[inode]
            guard place.lookups == 0, place.children == 0, inode.state.withLock({ $0.openCount == 0 && !$0.isDirty })
            else { return }
            detach(inode)
            inodes[inode.number] = nil
            places[inode.number] = nil
            candidate = place.parent
        }
    }

    /// The name leads nowhere any more.
    mutating func unlink(_ inode: WorkspaceInode) {
        detach(inode)
        self[inode].isUnlinked = true
    }

    mutating func move(_ inode: WorkspaceInode, to parent: WorkspaceInode, _ name: [UInt8]) {
        detach(inode)
        self[inode].parent = parent
        self[inode].name = name
        byName[ChildName(parent: parent.number, name: name)] = inode
        self[parent].children += 1
    }

    private mutating func detach(_ inode: WorkspaceInode) {
        let place = self[inode]
        guard let parent = place.parent, !place.isUnlinked else { return }
        byName[ChildName(parent: parent.number, name: place.name)] = nil
        if inodes[parent.number] != nil { self[parent].children -= 1 }
    }

    /// Makes every inode be read again.
    mutating func invalidate() {
        epoch += 1
    }

    /// The path that leads to an inode now.
    func path(_ inode: WorkspaceInode) -> TreePath {
        var names: [[UInt8]] = []
        var current = inode
        while let parent = self[current].parent {
            names.append(self[current].name)
            current = parent
        }
        return names.reversed().reduce(.root) { $0.appending($1) }
    }
}
