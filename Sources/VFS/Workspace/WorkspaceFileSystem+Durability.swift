import Glibc
import Logging
import ObjectDatabase
import ProllyTree
import Staging
import Synchronization
import Versioning

// What makes written bytes and changed attributes last.

extension WorkspaceFileSystem {
    package func flush(_ inode: InodeNumber, _ handle: HandleNumber) throws(VFSError) {
        // Whoever only reads is not told of another's bytes that could not be saved.
        if handle == .none { return }
        try barrier.pass { () throws(VFSError) in try flushFile(inode) }
    }

    func flushFile(_ inode: InodeNumber) throws(VFSError) {
        try reportingFailures(logger, "flushing inode \(inode.value)") {
            try workspace.checkSynced()
            guard let file = table.withLock({ $0.inodes[inode] }) else { return }
            try persist(file)
        }
    }

    /// Notes in the workspace what was written to a file.
    ///
    /// - Parameter isFreeing: a commit or discard needs it, which make room on a full disk.
    func persist(_ file: WorkspaceInode, isFreeing: Bool = false) throws {
        guard let state = try unsaved([file]).first?.state else { return }
        // Not under a lock: it may take long.
        try syncOverOlderBytes(state)
        try makingRoom(isFreeing) {
            try transaction(isFreeing: isFreeing) { change in
                // Being saved is a change by itself, when something was written.
                if file.state.withLock({ $0.isDirty }) { try update(change, file) { _ in } }
            }
        }
    }

    /// Those of the files that have something to save. Asked between transactions: what another thread's transaction is
    /// about to save counts as saved only when that was kept.
    func unsaved(_ files: [WorkspaceInode]) throws -> [(file: WorkspaceInode, state: WorkspaceInode.State)] {
        try workspace.read { _ in
            files.compactMap { file in
                let state = file.state.withLock { $0 }
                return state.isDirty ? (file, state) : nil
            }
        }
    }

    /// A range that reached the disk before its bytes would hide, after power loss, what was there before.
    private func syncOverOlderBytes(_ state: WorkspaceInode.State) throws {
        guard state.isDirty, let content = state.backing.node?.content else { return }
        guard content.mayCoverOlderBytes(saved: state.savedRanges) else { return }
        for data in state.dataInUse {
            do {
                try syncData([data: dataFiles.descriptor(data, create: false)])
            } catch WorkspaceError.localIO(_, errno: ENOENT) {
                // Deleted: nothing shows its bytes any more.
            }
        }
    }

    /// Changes the node of an inode that is staged, in the overlay and in memory, and saves what was written so far. Bytes
    /// that were not saved before count as a change, whatever `body` is about: a commit tells by the number what to take.
    ///
    /// - Parameter content: `body` changes what bytes the file shows.
    func update(
        _ change: InodeTransaction, _ inode: WorkspaceInode, content: Bool = false,
        _ body: (inout OverlayEntry) throws -> Void
    ) throws {
        change.willChange(inode, content: content)
        try inode.state.withLock { state in
            guard var node = state.backing.node else { preconditionFailure("the inode was staged") }
            let number = node.change
            try body(&node)
            if state.isDirty, node.change == number { node.change = try change.overlay.nextChange() }
            try syncOverOlderBytes(state)
            try change.overlay.update(node, saved: state.savedRanges)
            state.backing = .staged(node)
            state.savedRanges = node.content?.ranges
            state.isDirty = false
        }
    }

    package func sync(_ inode: InodeNumber) throws(VFSError) {
        try barrier.pass { () throws(VFSError) in
            try reportingFailures(logger, "fsync of inode \(inode.value)") {
                try workspace.checkSynced()
                let file = try table.withLock { try current(&$0, inode) }
                let descriptors = try openData(of: file)
                try persist(file)
                // Both at once: where `persist` did not sync, the bytes cover nothing that was on the disk before.
                try workspace.makeDurable { try syncData(descriptors) }
            }
        }
    }

    /// The data files that hold a file's staged bytes.
    func openData(of file: WorkspaceInode) throws -> [DataFileID: Descriptor] {
        var open: [DataFileID: Descriptor] = [:]
        for data in file.backing.node?.content?.ranges.dataFiles ?? [] {
            open[data] = try descriptor(file, data, create: false)
        }
        return open
    }

    func syncData(_ descriptors: [DataFileID: Descriptor]) throws {
        for (data, descriptor) in descriptors {
            try descriptor.withDescriptor { try workspace.syncData(data, $0) }
        }
    }

    /// Runs `body` as one transaction of the workspace. When it fails, the inodes it changed are as they were.
    ///
    /// - Parameter isFreeing: `body` makes room and may use what is held back for that.
    func transaction<Result>(isFreeing: Bool = false, _ body: (InodeTransaction) throws -> Result) throws -> Result {
        var change: InodeTransaction?
        let result = try workspace.write(isStaging: !isFreeing) { overlay in
            let started = InodeTransaction(overlay)
            change = started
            return try body(started)
        } undo: {
            change?.undo()
        }
        change?.keep()
        return result
    }

    /// Runs `body`, which needs room on the disk; once more when there was none and some could be made.
    ///
    /// - Parameter isFreeing: `body` makes room itself and may use what is held back for that.
    func makingRoom<Result>(_ isFreeing: Bool = false, _ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch WorkspaceError.localIO(_, errno: ENOSPC) {
            // What could not be freed now is tried again later; the second attempt tells whether there is room.
            try? reclaimer.perform()
            try? workspace.makeRoom(useReserve: isFreeing)
            return try body()
        }
    }
}
