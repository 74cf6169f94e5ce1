import ProllyTree
import Repository
import Staging
import Synchronization
import Versioning

// Creating, removing and renaming: each one transaction of the workspace under the table's lock.

extension WorkspaceFileSystem {
    package func create(
        _ parent: InodeNumber, _ name: [UInt8], mode: UInt16, exclusive: Bool, truncating: Bool
    ) throws(VFSError) -> (FileAttributes, HandleNumber) {
        let node = StagedNode(kind: .file(StagedContent()), mode: mode, modified: now())
        do {
            let attributes = try add(node, to: parent, name, opening: true)
            return (attributes, .none)
        } catch .exists where !exclusive {
            let attributes = try lookup(parent, name)
            guard attributes.kind != .directory else { throw .isADirectory }
            let handle = try open(attributes.inode, forWriting: true, truncating: truncating)
            return (try self.attributes(attributes.inode), handle)
        }
    }

    package func makeDirectory(
        _ parent: InodeNumber, _ name: [UInt8], mode: UInt16
    ) throws(VFSError) -> FileAttributes {
        try add(StagedNode(kind: .directory, mode: mode, modified: now()), to: parent, name)
    }

    package func makeSymlink(
        _ parent: InodeNumber, _ name: [UInt8], target: [UInt8]
    ) throws(VFSError) -> FileAttributes {
        try add(StagedNode(kind: .symlink(target: target), mode: 0o777, modified: now()), to: parent, name)
    }

    /// Puts something new into a directory.
    private func add(
        _ node: StagedNode, to parent: InodeNumber, _ name: [UInt8], opening: Bool = false
    ) throws(VFSError) -> FileAttributes {
        if name.count > TreePath.maximumNameBytes { throw .nameTooLong }
        return try changing("creating \(printableName(name))", parent, name) { table, overlay in
            let directory = try self.current(&table, parent)
            if try self.find(table, in: directory.backing, name) != nil { throw VFSError.exists }
            let parentNode = try self.stage(&table, overlay, directory)
            var node = node
            node.change = try overlay.nextChange()
            node = try overlay.insert(node)
            try overlay.setName(parentNode.id, name, node.id)
            try self.touch(overlay, directory)
            let inode = table.child(directory, name, .staged(node))
            table.addLookup(inode)
            if opening { inode.state.withLock { $0.openCount += 1 } }
            return inode.attributes
        }
    }

    package func unlink(_ parent: InodeNumber, _ name: [UInt8]) throws(VFSError) {
        try changing("removing \(printableName(name))", parent, name) { table, overlay in
            let inode = try self.child(&table, of: parent, name)
            if inode.backing.isDirectory { throw VFSError.isADirectory }
            try self.removeName(&table, overlay, of: inode)
        }
    }

    package func removeDirectory(_ parent: InodeNumber, _ name: [UInt8]) throws(VFSError) {
        try changing("removing \(printableName(name))", parent, name) { table, overlay in
            let inode = try self.child(&table, of: parent, name)
            guard inode.backing.isDirectory else { throw VFSError.notADirectory }
            guard try self.isEmpty(table, inode.backing) else { throw VFSError.notEmpty }
            try self.removeName(&table, overlay, of: inode)
        }
    }

    package func rename(
        _ parent: InodeNumber, _ name: [UInt8], to newParent: InodeNumber, _ newName: [UInt8], replacing: Bool
    ) throws(VFSError) {
        if newName.count > TreePath.maximumNameBytes { throw .nameTooLong }
        let operation = "renaming \(printableName(name))"
        try reportingFailures(logger, operation) { try warm(newParent, newName) }
        try changing(operation, parent, name) { table, overlay in
            let inode = try self.child(&table, of: parent, name)
            let target = try self.current(&table, newParent)
            if parent == newParent, name == newName { return }
            if try self.find(table, in: target.backing, newName) != nil {
                guard replacing else { throw VFSError.exists }
                let replaced = try self.child(&table, of: newParent, newName)
                if replaced.number == inode.number { return }
                try self.checkReplacement(table, of: replaced.backing, by: inode.backing)
                try self.removeName(&table, overlay, of: replaced)
            }
            guard let source = table[inode].parent else { throw VFSError.invalidArgument }
            let node = try self.stage(&table, overlay, inode)
            let targetNode = try self.stage(&table, overlay, target)
            try self.hideName(table, overlay, source, name)
            try overlay.setName(targetNode.id, newName, node.id)
            table.move(inode, to: target, newName)
            try self.touch(overlay, source)
            if target.number != source.number { try self.touch(overlay, target) }
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

    // MARK: Steps

    /// Runs one change of names as one transaction. When it fails half-way the inodes are read again, as the overlay is
    /// then.
    private func changing<Result>(
        _ operation: String, _ parent: InodeNumber, _ name: [UInt8],
        _ body: (inout InodeTable, Overlay) throws -> Result
    ) throws(VFSError) -> Result {
        try gate.pass { () throws(VFSError) in
            try reportingFailures(logger, operation) {
                try warm(parent, name)
                var result: Result?
                try table.withLock { table in
                    do {
                        result = try transaction { try body(&table, $0) }
                    } catch {
                        table.invalidate()
                        throw error
                    }
                }
                guard let result else { preconditionFailure("the transaction ran or threw") }
                return result
            }
        }
    }

    /// The staged node of an inode, made from the base's entry (with those of the directories above) if it has none.
    func stage(_ table: inout InodeTable, _ overlay: Overlay, _ inode: WorkspaceInode) throws -> StagedNode {
        guard case .base(let located, let origin) = inode.backing else {
            guard let node = inode.backing.node else { preconditionFailure("a backing is base or staged") }
            return node
        }
        let node = try overlay.insert(StagedNode(copying: located, at: origin))
        let place = table[inode]
        if let parent = place.parent, !place.isUnlinked {
            let parentNode = try stage(&table, overlay, parent)
            try overlay.setName(parentNode.id, place.name, node.id)
        }
        inode.state.withLock { $0.backing = .staged(node) }
        return node
    }

    /// Takes a file's name away; its node stays while it is open.
    private func removeName(_ table: inout InodeTable, _ overlay: Overlay, of inode: WorkspaceInode) throws {
        guard let parent = table[inode].parent else { throw VFSError.notPermitted }
        _ = try stage(&table, overlay, parent)
        try hideName(table, overlay, parent, table[inode].name)
        try touch(overlay, parent)
        table.unlink(inode)
        if let node = inode.backing.node, inode.state.withLock({ $0.openCount == 0 }) {
            try overlay.remove(node.id)
        }
    }

    /// After this the directory has no such name, whatever the base has.
    private func hideName(
        _ table: InodeTable, _ overlay: Overlay, _ directory: WorkspaceInode, _ name: [UInt8]
    ) throws {
        guard let node = directory.backing.node else { preconditionFailure("the directory was staged") }
        if let origin = node.origin, try table.base.entry(at: origin.appending(name)) != nil {
            try overlay.setName(node.id, name, nil)
        } else {
            try overlay.forgetName(node.id, name)
        }
    }

    /// A directory's time moves when its names do.
    private func touch(_ overlay: Overlay, _ directory: WorkspaceInode) throws {
        try directory.state.withLock { state in
            guard var node = state.backing.node else { preconditionFailure("the directory was staged") }
            node.modified = now()
            node.change = try overlay.nextChange()
            try overlay.update(node)
            state.backing = .staged(node)
        }
    }
}
