import ObjectDatabase
import ProllyTree
import Staging
import Synchronization
import Versioning

/// The inodes of a writable mount and the commit below its staged changes. Used under one lock
/// (`WorkspaceFileSystem.table`).
///
/// A file with several names is one inode, which knows those of its names that the kernel has asked for.
struct InodeTable {
    private(set) var inodes: [InodeNumber: WorkspaceInode] = [:]
    private var references: [InodeNumber: WorkspaceInode.References] = [:]
    private var byName: [ChildName: WorkspaceInode] = [:]
    /// Files that have, or had, several names.
    private var linked: [OverlayEntryID: WorkspaceInode] = [:]
    /// `st_ino` of every inode.
    private var stableNumbers: Set<UInt64> = [1]
    private var next: UInt64 = 2
    /// Raised when the overlay was changed behind the inodes' back: each is read again when it is next used.
    private(set) var epoch: UInt64 = 1
    /// Names that lead elsewhere since then, and the kernel may not know.
    private var severed: [(parent: InodeNumber, name: EntryName)] = []
    private(set) var base: SnapshotTree
    private(set) var baseCommit: CommitID
    /// Read-ahead over the small files of `base`.
    private(set) var readAhead: NeighbourReadAhead

    private struct ChildName: Hashable {
        let parent: InodeNumber
        let name: EntryName
    }

    init(base: SnapshotTree, _ baseCommit: CommitID, _ readAhead: NeighbourReadAhead, root: Backing) {
        self.base = base
        self.baseCommit = baseCommit
        self.readAhead = readAhead
        let inode = WorkspaceInode(number: .root, stableNumber: 1, backing: root)
        inodes[.root] = inode
        references[.root] = WorkspaceInode.References(lookups: 1, epoch: epoch)
    }

    func inode(_ number: InodeNumber) throws(VFSError) -> WorkspaceInode {
        guard let inode = inodes[number] else { throw .staleHandle }
        return inode
    }

    subscript(_ inode: WorkspaceInode) -> WorkspaceInode.References {
        get {
            guard let references = self.references[inode.number] else {
                preconditionFailure("every inode of the table has references")
            }
            return references
        }
        set { references[inode.number] = newValue }
    }

    func known(_ parent: WorkspaceInode, _ name: EntryName) -> WorkspaceInode? {
        byName[ChildName(parent: parent.number, name: name)]
    }

    // MARK: Names

    /// The inode of a name whose backing was just found: that of another name of the same file, or a new one.
    mutating func child(_ parent: WorkspaceInode, _ name: EntryName, _ backing: Backing) -> WorkspaceInode {
        if let known = known(parent, name) { return known }
        let inode = backing.node.flatMap { linked[$0.id] } ?? insert(backing)
        attach(inode, to: parent, name)
        return inode
    }

    /// A new inode, without a name so far.
    mutating func insert(_ backing: Backing) -> WorkspaceInode {
        let inode = WorkspaceInode(
            number: InodeNumber(next), stableNumber: unusedNumber(backing.stableNumber), backing: backing)
        next += 1
        inodes[inode.number] = inode
        references[inode.number] = WorkspaceInode.References(epoch: epoch)
        if let node = backing.node, node.links > 1, !node.isDirectory { linked[node.id] = inode }
        return inode
    }

    /// `wanted`, unless another inode has it: one that a commit moved to another path keeps the number it had, because
    /// programs take a new number for another file.
    private mutating func unusedNumber(_ wanted: UInt64) -> UInt64 {
        var number = wanted
        while !stableNumbers.insert(number).inserted { number = 1 << 62 | (number &+ 1) }
        return number
    }

    mutating func attach(_ inode: WorkspaceInode, to parent: WorkspaceInode, _ name: EntryName) {
        if let other = known(parent, name) { detach(other, from: parent, name) }
        byName[ChildName(parent: parent.number, name: name)] = inode
        self[inode].names.append(WorkspaceInode.Name(parent: parent, name: name))
        self[parent].children += 1
    }

    /// The name leads to the inode no more.
    mutating func detach(_ inode: WorkspaceInode, from parent: WorkspaceInode, _ name: EntryName) {
        guard known(parent, name) === inode else { return }
        byName[ChildName(parent: parent.number, name: name)] = nil
        self[inode].names.removeAll { $0.parent === parent && $0.name == name }
        if inodes[parent.number] != nil { self[parent].children -= 1 }
    }

    /// The same, where the kernel did not ask for it.
    mutating func sever(_ inode: WorkspaceInode, from parent: WorkspaceInode, _ name: EntryName) {
        detach(inode, from: parent, name)
        severed.append((parent.number, name))
    }

    mutating func takeSevered() -> [(parent: InodeNumber, name: EntryName)] {
        defer { severed = [] }
        return severed
    }

    mutating func detachAll(_ inode: WorkspaceInode) {
        for name in self[inode].names { detach(inode, from: name.parent, name.name) }
    }

    /// From now on the file is found by its node whichever name is asked for.
    mutating func noteLinked(_ inode: WorkspaceInode, _ node: OverlayEntryID) {
        linked[node] = inode
    }

    // MARK: Lifetime

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

    /// Whether somebody has the file open, or the kernel knows it.
    func isHeld(_ inode: WorkspaceInode) -> Bool {
        (references[inode.number]?.lookups ?? 0) > 0 || inode.state.withLock { $0.openCount > 0 }
    }

    /// Removes an inode that nobody refers to, and directories above it that were only kept for it.
    mutating func removeIfUnused(_ inode: WorkspaceInode) {
        var candidates = [inode]
        while let inode = candidates.popLast() {
            guard inode.number != .root, inodes[inode.number] != nil else { continue }
            let references = self[inode]
            guard references.lookups == 0, references.children == 0,
                inode.state.withLock({ $0.openCount == 0 && !$0.isDirty })
            else { continue }
            detachAll(inode)
            inodes[inode.number] = nil
            self.references[inode.number] = nil
            stableNumbers.remove(inode.stableNumber)
            if let node = inode.backing.node, linked[node.id] === inode { linked[node.id] = nil }
            candidates += references.names.map(\.parent)
        }
    }

    /// Makes another commit the base, and every inode be read again.
    mutating func move(to base: SnapshotTree, _ commit: CommitID, _ readAhead: NeighbourReadAhead) {
        self.base = base
        baseCommit = commit
        self.readAhead = readAhead
        epoch += 1
    }
}
