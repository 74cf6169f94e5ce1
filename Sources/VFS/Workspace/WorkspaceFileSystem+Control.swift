import ErrorMessages
import Logging
import ObjectDatabase
import ProllyTree
package import Staging
import Synchronization
package import Versioning

// What a commit, run by another process, asks of a live mount (see docs/explanation/ARCHITECTURE.md,
// "The life of a commit").

extension WorkspaceFileSystem {
    /// Everything written so far is in the workspace's database when this returns. After a failed sync nothing can be saved
    /// any more, and whoever wrote was told: then it does nothing, so that the mount can be looked at and ended.
    package func flushAll() throws {
        if workspace.isReadOnly { return }
        try barrier.alone { try persistAll() }
    }

    private func persistAll() throws {
        for (inode, _) in try unsaved(allInodes) { try persist(inode, isFreeing: true) }
    }

    /// Persists what is dirty without keeping writers out; called every few seconds.
    package func persistPeriodically() {
        dropAgain()
        // It was logged when it began.
        guard !workspace.isReadOnly else { return }
        for inode in allInodes where inode.state.withLock({ $0.isDirty }) {
            do {
                try persist(inode)
            } catch {
                logger.error("saving staged changes: \(logLine(of: error))")
            }
        }
        do {
            try reclaimer.perform()
            try workspace.holdReserve()
        } catch {
            logger.error("freeing room in the workspace: \(logLine(of: error))")
        }
    }

    /// Nodes with writes that the workspace does not know of yet.
    package func unsavedNodes() throws -> Set<OverlayEntryID> {
        Set(try unsaved(allInodes).compactMap { $0.state.backing.node?.id })
    }

    private var allInodes: [WorkspaceInode] { table.withLock { Array($0.inodes.values) } }

    /// Seals what is staged: all writes that returned before are in it, and later ones go to new data files.
    package func seal() throws -> SealState {
        try barrier.alone {
            try workspace.checkSynced()
            try persistAll()
            let state = try makingRoom(true) { try workspace.seal() }
            beginNewDataFiles()
            return state
        }
    }

    private func beginNewDataFiles() {
        for inode in allInodes {
            inode.state.withLock { state in
                guard case .staged(var node) = state.backing, var content = node.content else { return }
                content.writeTarget = nil
                node.kind = .file(content)
                state.backing = .staged(node)
            }
        }
    }

    /// The sealed changes were published as `commit`: it is the new base.
    ///
    /// - Parameter foreign: the paths at which the commit has other content than was sealed; `nil` when that is not
    ///   known.
    package func rebase(to commit: CommitID, foreign: Set<TreePath>?) throws -> [TreePath] {
        try changingBelow(foreign: foreign) { [workspace] in
            let move = try basePlanner.plan(.publishedSeal(commit))
            try warm(move)
            return ChangeBelow(head: commit, apply: { try workspace.rebase(move) }, finish: workspace.finishMove)
        }.conflicts
    }

    /// Puts what is staged on the branch's present head; answers it, and the paths that are conflicts now.
    package func update() throws -> (head: CommitID, conflicts: [TreePath]) {
        try changingBelow(foreign: []) { [workspace] in
            let head = try database.liveRef(.branch(workspace.info.branch)).commit
            guard try workspace.base() != head else { return ChangeBelow(head: head, apply: { [] }) }
            let move = try basePlanner.plan(.head(head))
            try warm(move)
            return ChangeBelow(head: head, apply: { try workspace.update(move) }, finish: workspace.finishMove)
        }
    }

    /// Throws away what is staged at and below these paths; all of it when empty.
    package func discard(_ paths: [TreePath]) throws {
        _ = try changingBelow(foreign: nil) {
            let data = try workspace.usedData()
            return ChangeBelow(head: try workspace.base()) { [workspace] in
                try workspace.discard(paths)
                return []
            } finish: { [self] in
                try workspace.makeDurable()
                reclaimUnopened(data)
            }
        }
    }

    /// Frees the room of data files, but for those of open files, which keep their bytes; those go at the next mount.
    private func reclaimUnopened(_ data: Set<DataFileID>) {
        let open = allInodes.reduce(into: Set<DataFileID>()) { open, inode in
            let state = inode.state.withLock { $0 }
            if state.openCount > 0 { open.formUnion(state.backing.node?.content?.dataFiles ?? []) }
        }
        reclaimer.add(data.subtracting(open))
    }

    /// A change of the overlay or its base that is made behind the inodes' back.
    private struct ChangeBelow {
        /// The base after it.
        let head: CommitID
        /// One transaction of the workspace; answers the paths that are conflicts now.
        let apply: () throws -> [TreePath]
        /// What then remains to be done before anything else changes.
        var finish: () throws -> Void = {}
    }

    /// Makes a change behind the inodes' back, and makes the kernel forget the content that is not the same any more.
    /// Whoever looks meanwhile sees all as it was or all as it is after: overlay and base change under the table's lock,
    /// under which both are read.
    ///
    /// - Parameter prepare: what takes long, or needs the store. Nothing else changes anything from here on.
    private func changingBelow(
        foreign: Set<TreePath>?, _ prepare: () throws -> ChangeBelow
    ) throws -> (head: CommitID, conflicts: [TreePath]) {
        let kernel = kernel.withLock { $0 }
        let (before, conflicts, head, finished) = try barrier.alone {
            try persistAll()
            let change = try prepare()
            let commit = try database.commit(change.head)
            let base = database.tree(commit.tree)
            let (before, conflicts) = try table.withLock { table in
                let before = table.inodes.values.map { ($0, $0.backing) }
                let conflicts = try makingRoom(true) { try change.apply() }
                table.move(to: base, change.head, readAhead(base, commit))
                return (before, conflicts)
            }
            let finished = Result { try makingRoom(true) { try change.finish() } }
            // A deleted data file takes room for as long as it is open.
            dataFiles.forgetAll()
            return (before, conflicts, change.head, finished)
        }
        var failure: (any Error)?
        for (inode, old) in before {
            do {
                switch try difference(of: inode, from: old, foreign) {
                case .none: break
                case .attributes: kernel?.dropAttributes(of: inode.number)
                case .content: dropContent(of: inode.number, kernel)
                }
            } catch {
                // What it shows now is not known: the kernel is to ask.
                dropContent(of: inode.number, kernel)
                failure = failure ?? error
            }
        }
        for (parent, name) in table.withLock({ $0.takeSevered() }) { kernel?.dropName(name, in: parent) }
        try finished.get()
        if let failure { throw failure }
        return (head, conflicts)
    }

    private func dropContent(of inode: InodeNumber, _ kernel: (any KernelCache)?) {
        kernel?.dropContent(of: inode)
        dropped.withLock { $0[inode] = .now }
    }

    /// Drops again what was dropped more than a second ago: a write that was on its way here then has lost its page, and a
    /// reader may have filled it with what was before.
    private func dropAgain() {
        let due = dropped.withLock { dropped in
            let due = dropped.filter { $0.value.duration(to: .now) > .seconds(1) }
            for inode in due.keys { dropped[inode] = nil }
            return due.keys
        }
        let kernel = kernel.withLock { $0 }
        for inode in due { kernel?.dropContent(of: inode) }
    }

    /// Loads the nodes that the known inodes will need, where they may be here no more, so that nobody waits for the store
    /// under the table's lock.
    private func warm(_ move: BaseMove) throws {
        guard move.droppedCaches else { return }
        for inode in allInodes {
            if let origin = inode.backing.origin { _ = try move.newEntry(origin) }
        }
    }

    private enum Difference {
        case none, attributes, content
    }

    /// What the kernel may know of an inode and is not so any more.
    private func difference(
        of inode: WorkspaceInode, from old: Backing, _ foreign: Set<TreePath>?
    ) throws -> Difference {
        try table.withLock { table in
            guard table.inodes[inode.number] != nil else { return .none }
            let now = try current(&table, inode.number).backing
            if !old.isDirectory, !now.hasSameContent(as: old, foreign: foreign) { return .content }
            let isSame = now.attributes(inode.number) == old.attributes(inode.number)
            return isSame && !table[inode].names.isEmpty ? .none : .attributes
        }
    }

    package func abandonSeal() throws {
        try barrier.alone {
            // First: data files that no range in the database refers to are deleted, and none of these is written to again.
            try persistAll()
            beginNewDataFiles()
            try workspace.abandonSeal()
            dataFiles.forgetAll()
        }
    }
}
