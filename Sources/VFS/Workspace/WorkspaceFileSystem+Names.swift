import Glibc
import ObjectDatabase
import ProllyTree
import Staging
import Synchronization
package import Versioning

// Creating, linking, removing and renaming: each one transaction of the workspace under the table's lock.

extension WorkspaceFileSystem {
    package func create(
        _ parent: InodeNumber, _ name: EntryName, _ new: NewFile, existing: ExistingFile, by requester: Requester
    ) throws(VFSError) -> (FileAttributes, HandleNumber) {
        do {
            return (try add(new, to: parent, name, opening: true), .writing)
        } catch .exists where existing != .refused {
            let attributes = try lookup(parent, name)
            guard attributes.kind != .directory else { throw .isADirectory }
            let handle = try open(
                attributes.inode, forWriting: true, truncating: existing == .truncated ? requester : nil)
            return (try self.attributes(attributes.inode), handle)
        }
    }

    package func make(
        _ parent: InodeNumber, _ name: EntryName, _ new: NewFile
    ) throws(VFSError) -> FileAttributes {
        try add(new, to: parent, name, opening: false)
    }

    package func createUnnamed(
        _ parent: InodeNumber, _ new: NewFile
    ) throws(VFSError) -> (FileAttributes, HandleNumber) {
        let attributes = try changing("creating a file without a name", parent, nil) { table, change in
            let directory = try self.current(&table, parent)
            guard directory.backing.isDirectory else { throw VFSError.notADirectory }
            var node = self.node(new, in: directory)
            node.links = 0
            node.change = try change.overlay.nextChange()
            node = try change.overlay.insert(node)
            return { table in
                let inode = table.insert(.staged(node))
                table.addLookup(inode)
                inode.state.withLock { $0.openCount += 1 }
                return self.attributes(table, inode)
            }
        }
        return (attributes, .writing)
    }

    /// Puts something new into a directory.
    private func add(
        _ new: NewFile, to parent: InodeNumber, _ name: EntryName, opening: Bool
    ) throws(VFSError) -> FileAttributes {
        return try changing("creating \(name)", parent, name) { table, change in
            let directory = try self.current(&table, parent)
            try self.checkRoom(table, in: directory, for: name)
            if try self.find(table, in: directory.backing, name) != nil { throw VFSError.exists }
            let parentNode = try self.stage(table, change, directory)
            var node = self.node(new, in: directory)
            node.change = try change.overlay.nextChange()
            if opening, var content = node.content {
                // It is about to be written to: that needs no transaction of its own then.
                content.writeTarget = try change.overlay.nextDataFile()
                node.kind = .file(content)
            }
            node = try change.overlay.insert(node)
            try change.overlay.setName(parentNode.id, name, node.id)
            try self.touch(change, directory, subdirectories: node.isDirectory ? 1 : 0)
            return { [node] table in
                if let stale = table.known(directory, name) { table.detach(stale, from: directory, name) }
                let inode = table.child(directory, name, .staged(node))
                table.addLookup(inode)
                inode.state.withLock { state in
                    state.savedRanges = StagedRanges()
                    if opening { state.openCount += 1 }
                }
                return self.attributes(table, inode)
            }
        }
    }

    /// What a new file in a directory begins as. In a directory with the set-group-ID bit it takes the directory's
    /// group, and a new directory the bit too (inode(7)).
    private func node(_ new: NewFile, in directory: WorkspaceInode) -> OverlayEntry {
        let kind: OverlayEntry.Kind
        switch new.kind {
        case .file: kind = .file(StagedContent())
        case .directory: kind = .directory
        case .symlink(let target): kind = .symlink(target: target)
        case .pipe: kind = .special(.pipe, device: 0)
        case .socket: kind = .special(.socket, device: 0)
        case .characterDevice(let device): kind = .special(.characterDevice, device: device)
        case .blockDevice(let device): kind = .special(.blockDevice, device: device)
        }
        let parent = directory.backing.attributes(directory.number)
        var (owner, mode) = (new.maker, new.mode)
        if parent.mode & UInt16(Glibc.S_ISGID) != 0 {
            owner = Owner(userID: owner.userID, groupID: (parent.owner ?? mounter).groupID)
            if case .directory = new.kind { mode |= UInt16(Glibc.S_ISGID) }
        }
        return OverlayEntry(kind: kind, mode: mode, modified: now(), owner: recorded(owner))
    }

    package func link(
        _ inode: InodeNumber, to parent: InodeNumber, _ name: EntryName
    ) throws(VFSError) -> FileAttributes {
        return try changing("linking \(name)", parent, name) { table, change in
            let file = try self.current(&table, inode)
            let directory = try self.current(&table, parent)
            if file.backing.isDirectory { throw VFSError.notPermitted }
            try self.checkRoom(table, in: directory, for: name)
            if try self.find(table, in: directory.backing, name) != nil { throw VFSError.exists }
            let node = try self.stage(table, change, file)
            if node.links >= Self.maximumLinks { throw VFSError.tooManyLinks }
            let parentNode = try self.stage(table, change, directory)
            try change.overlay.setName(parentNode.id, name, node.id)
            try self.update(change, file) { node in
                node.links += 1
                node.changed = now()
            }
            try self.touch(change, directory)
            return { table in
                table.noteLinked(file, node.id)
                table.attach(file, to: directory, name)
                table.addLookup(file)
                return self.attributes(table, file)
            }
        }
    }

    /// As many names as ext4 gives a file.
    private static let maximumLinks = 65_000

    package func unlink(_ parent: InodeNumber, _ name: EntryName) throws(VFSError) {
        try changing("removing \(name)", parent, name, isFreeing: true) { table, change in
            let (directory, inode) = (try self.current(&table, parent), try self.child(&table, of: parent, name))
            if inode.backing.isDirectory { throw VFSError.isADirectory }
            return try self.removeName(table, change, inode, from: directory, name)
        }
    }

    package func removeDirectory(_ parent: InodeNumber, _ name: EntryName) throws(VFSError) {
        try changing("removing \(name)", parent, name, isFreeing: true) { table, change in
            let (directory, inode) = (try self.current(&table, parent), try self.child(&table, of: parent, name))
            guard inode.backing.isDirectory else { throw VFSError.notADirectory }
            guard try self.isEmpty(table, inode.backing) else { throw VFSError.notEmpty }
            return try self.removeName(table, change, inode, from: directory, name)
        }
    }

    package func rename(
        _ parent: InodeNumber, _ name: EntryName, to newParent: InodeNumber, _ newName: EntryName, _ mode: RenameMode
    ) throws(VFSError) {
        let operation = "renaming \(name)"
        try reportingFailures(logger, operation) { try warm(newParent, newName) }
        try changing(operation, parent, name) { table, change in
            let inode = try self.child(&table, of: parent, name)
            let (source, target) = (try self.current(&table, parent), try self.current(&table, newParent))
            try self.checkRoom(table, in: target, for: newName)
            if parent == newParent, name == newName { return { _ in } }
            guard try self.find(table, in: target.backing, newName) != nil else {
                if mode == .exchanging { throw VFSError.notFound }
                return try self.move(table, change, inode, from: source, name, to: target, newName, replacing: nil)
            }
            let other = try self.child(&table, of: newParent, newName)
            switch mode {
            case .refusing: throw VFSError.exists
            case .exchanging:
                return try self.exchange(table, change, (inode, source, name), (other, target, newName))
            case .replacing:
                // Two names of one file: rename(2) does nothing.
                if other === inode { return { _ in } }
                try self.checkReplacement(table, of: other.backing, by: inode.backing)
                return try self.move(table, change, inode, from: source, name, to: target, newName, replacing: other)
            }
        }
    }

    /// rename(2): a directory replaces only an empty directory, anything else only what is no directory.
    private func checkReplacement(_ table: InodeTable, of old: Backing, by new: Backing) throws {
        switch (old.isDirectory, new.isDirectory) {
        case (true, false): throw VFSError.isADirectory
        case (false, true): throw VFSError.notADirectory
        case (true, true): if try !isEmpty(table, old) { throw VFSError.notEmpty }
        case (false, false): break
        }
    }

    private func move(
        _ table: InodeTable, _ change: InodeTransaction, _ inode: WorkspaceInode, from source: WorkspaceInode,
        _ name: EntryName, to target: WorkspaceInode, _ newName: EntryName, replacing other: WorkspaceInode?
    ) throws -> (inout InodeTable) -> Void {
        let replaced = try other.map { try removeName(table, change, $0, from: target, newName) }
        let node = try stage(table, change, inode)
        let sourceNode = try stage(table, change, source)
        let targetNode = try stage(table, change, target)
        try hideName(table, change, sourceNode, name)
        try change.overlay.setName(targetNode.id, newName, node.id)
        try update(change, inode) { $0.changed = now() }
        let moved = node.isDirectory && source !== target ? 1 : 0
        try touch(change, source, subdirectories: -moved)
        if source !== target { try touch(change, target, subdirectories: moved) }
        return { table in
            replaced?(&table)
            table.detach(inode, from: source, name)
            table.attach(inode, to: target, newName)
        }
    }

    private func exchange(
        _ table: InodeTable, _ change: InodeTransaction,
        _ one: (inode: WorkspaceInode, parent: WorkspaceInode, name: EntryName),
        _ two: (inode: WorkspaceInode, parent: WorkspaceInode, name: EntryName)
    ) throws -> (inout InodeTable) -> Void {
        if one.inode === two.inode { return { _ in } }
        let nodes = (try stage(table, change, one.inode), try stage(table, change, two.inode))
        let parents = (try stage(table, change, one.parent), try stage(table, change, two.parent))
        try change.overlay.setName(parents.0.id, one.name, nodes.1.id)
        try change.overlay.setName(parents.1.id, two.name, nodes.0.id)
        for inode in [one.inode, two.inode] { try update(change, inode) { $0.changed = now() } }
        let gained = one.parent === two.parent ? 0 : (nodes.1.isDirectory ? 1 : 0) - (nodes.0.isDirectory ? 1 : 0)
        try touch(change, one.parent, subdirectories: gained)
        if one.parent !== two.parent { try touch(change, two.parent, subdirectories: -gained) }
        return { table in
            table.detach(one.inode, from: one.parent, one.name)
            table.detach(two.inode, from: two.parent, two.name)
            table.attach(one.inode, to: two.parent, two.name)
            table.attach(two.inode, to: one.parent, one.name)
        }
    }

    // MARK: Steps

    /// Runs one change of names as one transaction. `body` changes the overlay and answers what is then to be done to
    /// the inodes' names, which happens when the transaction is kept.
    ///
    /// - Parameter isFreeing: the change makes room, so on a full disk it may use what is held back for this.
    private func changing<Result>(
        _ operation: String, _ parent: InodeNumber, _ name: EntryName?, isFreeing: Bool = false,
        _ body: (inout InodeTable, InodeTransaction) throws -> (inout InodeTable) -> Result
    ) throws(VFSError) -> Result {
        try barrier.pass { () throws(VFSError) in
            try reportingFailures(logger, operation) {
                try warm(parent, name)
                return try table.withLock { table in
                    let apply = try makingRoom(isFreeing) {
                        try transaction(isFreeing: isFreeing) { try body(&table, $0) }
                    }
                    return apply(&table)
                }
            }
        }
    }

    /// Throws where nothing of that name can be put: into a directory that was removed and is still open (`.notFound`), and
    /// where the path would be longer than a tree holds (`.nameTooLong`).
    private func checkRoom(_ table: InodeTable, in directory: WorkspaceInode, for name: EntryName) throws {
        var bytes = name.bytes.count
        var next = directory
        while next.number != .root {
            guard let name = table[next].names.first else {
                if next === directory { throw VFSError.notFound }
                return
            }
            bytes += 1 + name.name.bytes.count
            guard bytes <= TreePath.maximumBytes else { throw VFSError.nameTooLong }
            next = name.parent
        }
    }

    /// The staged node of an inode, made from the base's entry (with those of the directories above) if it has none.
    func stage(_ table: InodeTable, _ change: InodeTransaction, _ inode: WorkspaceInode) throws -> OverlayEntry {
        // From the inode up to the first that is staged: there may be more directories than a stack holds calls.
        var unstaged: [(inode: WorkspaceInode, name: WorkspaceInode.Name?)] = []
        var next: WorkspaceInode? = inode
        while let inode = next, inode.backing.node == nil {
            let name = table[inode].names.first
            unstaged.append((inode, name))
            next = name?.parent
        }
        var staged = next?.backing.node
        for (inode, name) in unstaged.reversed() {
            staged = try stage(change, inode, as: name?.name, in: staged)
        }
        guard let staged else { preconditionFailure("a backing is base or staged") }
        return staged
    }

    /// The same below a directory that is staged; without a name for a file that is only open any more.
    private func stage(
        _ change: InodeTransaction, _ inode: WorkspaceInode, as name: EntryName?, in parent: OverlayEntry?
    ) throws -> OverlayEntry {
        guard case .base(let located, let origin) = inode.backing else {
            preconditionFailure("the inode is not staged")
        }
        var node = OverlayEntry(copying: located, at: origin)
        if name == nil { node.links = 0 }
        node = try change.overlay.insert(node)
        if let name, let parent { try change.overlay.setName(parent.id, name, node.id) }
        change.willChange(inode)
        inode.state.withLock { state in
            state.backing = .staged(node)
            state.savedRanges = StagedRanges()
        }
        return node
    }

    /// Takes a name away. A file without names stays while it is open.
    private func removeName(
        _ table: InodeTable, _ change: InodeTransaction, _ inode: WorkspaceInode, from parent: WorkspaceInode,
        _ name: EntryName
    ) throws -> (inout InodeTable) -> Void {
        let parentNode = try stage(table, change, parent)
        try hideName(table, change, parentNode, name)
        try touch(change, parent, subdirectories: inode.backing.isDirectory ? -1 : 0)
        var freed: Set<DataFileID> = []
        if let node = inode.backing.node {
            // A file that the kernel holds may be opened still, by a descriptor of its place (O_PATH).
            if node.isDirectory || (node.links <= 1 && !table.isHeld(inode)) {
                freed = node.content?.dataFiles ?? []
                try change.overlay.remove(node.id)
            } else {
                try update(change, inode) { node in
                    node.changed = now()
                    if !node.isDirectory { node.links -= 1 }
                }
            }
        }
        return { [reclaimer] table in
            table.detach(inode, from: parent, name)
            inode.state.withLock { if $0.openCount == 0 { $0.isDirty = false } }
            reclaimer.add(freed)
        }
    }

    /// After this the directory has no such name, whatever the base has.
    private func hideName(
        _ table: InodeTable, _ change: InodeTransaction, _ directory: OverlayEntry, _ name: EntryName
    ) throws {
        if let origin = directory.origin, try table.base.entry(at: origin.appending(name)) != nil {
            try change.overlay.setName(directory.id, name, nil)
        } else {
            try change.overlay.forgetName(directory.id, name)
        }
    }

    /// A directory's times move when its names do.
    private func touch(_ change: InodeTransaction, _ directory: WorkspaceInode, subdirectories: Int = 0) throws {
        let number = try change.overlay.nextChange()
        try update(change, directory) { node in
            node.modified = now()
            node.changed = node.modified
            node.links += subdirectories
            node.change = number
        }
    }
}
