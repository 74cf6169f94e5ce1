import Logging
import ObjectDatabase
import ProllyTree
package import Staging
import Synchronization
package import Versioning

/// What a commit of staged changes came to.
package struct StagedCommit: Sendable {
    package let published: Published
    package let changedPaths: Int
    package let uploadedBytes: UInt64
    /// Written again since the seal and changed by others too: to be resolved before the next commit.
    package let laterConflicts: [TreePath]
}

extension Repository {
    /// Commits what is staged in `workspace` to its branch.
    ///
    /// 1. Finish or give up what an earlier commit that broke off left sealed.
    /// 2. Seal: writers go on in the next generation.
    /// 3. Upload the sealed files' blocks and build the tree on the workspace's base.
    /// 4. Merge onto the branch's head (again, if it moves); conflicts not resolved yet give the seal up and are
    /// thrown.
    /// 5. Note the commit in the workspace, then move the branch by one compare-and-swap.
    /// 6. Rebase the workspace: what is committed is no longer staged.
    ///
    /// A crash before the compare-and-swap leaves everything staged; after it, step 1 of the next commit finds the
    /// commit in the branch's history and does step 6. Throws `.nothingToCommit`, `.conflicts`, `.contended`.
    package func commitStaged(
        _ workspace: Workspace, _ info: CommitInfo, holder: some StagingHolder,
        progress: @escaping @Sendable (_ files: Int, _ bytes: UInt64) -> Void = { _, _ in }
    ) throws -> StagedCommit {
        try recoverSeal(workspace, holder)
        try refuseIfProtected(RefName.branch(workspace.info.branch), .commit)
        let baseID = try workspace.base()
        return try database.writing(
            on: [(baseID, try database.commit(baseID).tree)], trees: try workspaceTrees(workspace)
        ) {
            try commitSealed(workspace, info, holder: holder, progress: progress)
        }
    }

    private func commitSealed(
        _ workspace: Workspace, _ info: CommitInfo, holder: some StagingHolder,
        progress: @escaping @Sendable (_ files: Int, _ bytes: UInt64) -> Void
    ) throws -> StagedCommit {
        let branch = try RefName.branch(workspace.info.branch)
        try holder.seal()
        do {
            let baseID = try workspace.base()
            let baseCommit = try database.commit(baseID)
            let base = database.tree(baseCommit.tree)
            let (staged, uploaded) = try upload(workspace, base: base, progress)
            if staged.root == base.root { throw RepositoryError.nothingToCommit }
            let difference = try base.difference(to: staged, from: baseCommit.counts)
            let decisions = try workspace.conflicts()
            var settled: Set<TreePath> = []
            let published = try publish(on: branch, .commit, info) { head, headCommit in
                if head == baseID, decisions.isEmpty {
                    return makeCommit(tree: staged.root, parents: [(head, headCommit)], counts: difference.counts, info)
                }
                let result = try mergeTrees(
                    base: base, incoming: staged, current: database.tree(headCommit.tree),
                    currentCounts: headCommit.counts
                ) { conflict in
                    let decision = try decide(conflict, decisions, workspace)
                    if decision != nil { settled.insert(conflict.path) }
                    return decision
                }
                let open = try result.conflicts + undecidedLaterConflicts(decisions, workspace)
                guard open.isEmpty else {
                    try workspace.record(open, settled: settled)
                    throw RepositoryError.conflicts(open, head: head, seenFrom: .incoming)
                }
                let root = try database.tree(headCommit.tree).applying(result.edits)
                return makeCommit(tree: root.root, parents: [(head, headCommit)], counts: result.counts, info)
            } beforeMove: {
                try workspace.recordSealedCommit($0)
                try holder.protect($0)
            }
            let conflicts = try holder.rebase(
                to: published.commitID, foreign: try foreignContent(staged, published.commit.tree))
            return StagedCommit(
                published: published, changedPaths: difference.paths, uploadedBytes: uploaded, laterConflicts: conflicts
            )
        } catch {
            try abandon(workspace, holder, after: error)
            throw error
        }
    }

    /// The paths whose content in a published tree is not what we had staged: a merge took it from others.
    private func foreignContent(_ staged: SnapshotTree, _ published: NodeID) throws -> Set<TreePath> {
        var paths: Set<TreePath> = []
        if staged.root == published { return paths }
        try staged.pathChanges(to: database.tree(published)) { change in
            if change.old?.entry.kind != change.new?.entry.kind { paths.insert(change.path) }
            return true
        }
        return paths
    }

    /// Gives the seal up after a failure, unless the commit may have been published all the same: then the next commit
    /// finds out.
    private func abandon(_ workspace: Workspace, _ holder: some StagingHolder, after error: any Error) throws {
        guard let state = try workspace.sealState() else { return }
        switch error {
        case RepositoryError.conflicts, RepositoryError.nothingToCommit, RepositoryError.contended:
            try holder.abandonSeal()
        default:
            if state.commit == nil { try holder.abandonSeal() }
        }
    }

    /// After a commit that broke off: drops what it published, or makes everything staged again.
    package func recoverSeal(_ workspace: Workspace, _ holder: some StagingHolder) throws {
        guard let state = try workspace.sealState() else { return }
        if let commit = state.commit, try wasPublished(commit, on: .branch(workspace.info.branch)) {
            database.logger.info("an earlier commit was published before it broke off: \(commit)")
            _ = try holder.rebase(to: commit, foreign: nil)
        } else {
            try holder.abandonSeal()
        }
    }

    private func wasPublished(_ commit: CommitID, on branch: RefName) throws -> Bool {
        guard let ref = try database.readRef(branch) else { return false }
        var found = false
        try database.forEachRefUpdate(of: ref) { _, refUpdate in
            found = refUpdate.new == commit
            return !found
        }
        return found
    }

    // MARK: Conflicts

    /// What the user decided about a conflict, as long as the other side is still what it was then. A path that was
    /// staged anew after the user was told of the conflict counts as decided: the user has edited it.
    private func decide(
        _ conflict: Conflict, _ decisions: [StagedConflict], _ workspace: Workspace
    ) throws -> Resolution? {
        guard let known = decisions.first(where: { $0.path == conflict.path }),
            known.current == conflict.current?.entry.encoded()
        else { return nil }
        if let resolution = known.resolution { return resolution }
        if let told = known.told, case .node(let node) = try workspace.readSealed({ try $0.state(at: conflict.path) }),
            node.change > told
        {
            return .incoming
        }
        return nil
    }

    /// Conflicts that a rebase found (see `Workspace.rebase`) and nobody decided: the merge itself cannot see them.
    private func undecidedLaterConflicts(
        _ decisions: [StagedConflict], _ workspace: Workspace
    ) throws -> [Conflict] {
        try decisions.filter { known in
            guard known.isFromRebase, known.resolution == nil else { return false }
            return switch try workspace.readSealed({ try $0.state(at: known.path) }) {
            case .node(let node): node.change > 0 && node.change <= known.told ?? .max
            case .removed: true
            case .untouched: false
            }
        }.map { Conflict(path: $0.path, base: nil, incoming: nil, current: nil, reason: $0.reason) }
    }

    // MARK: Upload

    /// Uploads what is sealed and answers the base with it.
    private func upload(
        _ workspace: Workspace, base: SnapshotTree, _ progress: @escaping @Sendable (Int, UInt64) -> Void
    ) throws -> (staged: SnapshotTree, uploadedBytes: UInt64) {
        let result = Mutex(StagedUpload(tree: base))
        let known = try database.knownBlocks(in: base, limit: Self.maximumKnownForCommit)
        let ingest = FileIngest<(TreePath, OverlayEntry)>(database: database, known: known) {
            _, token, list, totals in
            let edit = self.edit(token.0, token.1, uploaded: list)
            let done = try result.withLock { result in
                result.uploadedBytes = totals.uploadedBytes
                return try result.add(edit)
            }
            progress(done, totals.uploadedBytes)
        }
        let trustsUploads = try trustsUploads(of: workspace)
        do {
            try workspace.readSealed { overlay in
                try forEachStagedChange(overlay, base: base) { change in
                    let edit: Edit?
                    switch change {
                    case .removed(let path, _): edit = .remove(path.key)
                    case .carried(let path, _, let located): edit = .put(located.item(at: path))
                    case .put(let path, let node):
                        if trustsUploads, let list = try workspace.uploaded(node) {
                            edit = self.edit(path, node, uploaded: list)
                        } else {
                            edit = try addFile(path, node, workspace, to: ingest)
                        }
                    }
                    if let edit { _ = try result.withLock { try $0.add(edit) } }
                }
            }
        } catch {
            ingest.cancel()
            throw error
        }
        try ingest.finish()
        return try result.withLock { result in
            try result.apply()
            return (result.tree, result.uploadedBytes)
        }
    }

    private static let maximumKnownForCommit = 20_000

    /// The edit for a file whose blocks were uploaded ahead.
    private func edit(_ path: TreePath, _ node: OverlayEntry, uploaded list: BlockList) -> Edit {
        if FileContent.needsList(list) { database.lists.save(list) }
        let entry = node.entry(kind: .file(FileContent(list)))
        return .put(LocatedEntry(entry, of: list).item(at: path))
    }

    /// The edit for a node without new bytes; a file with new bytes goes into the ingest and answers `nil`.
    private func addFile(
        _ path: TreePath, _ node: OverlayEntry, _ workspace: Workspace, to ingest: FileIngest<(TreePath, OverlayEntry)>
    ) throws -> Edit? {
        switch node.kind {
        case .directory: return .put(LocatedEntry(node.entry(kind: .directory)).item(at: path))
        case .symlink(let target):
            return .put(LocatedEntry(node.entry(kind: .symlink(target: target))).item(at: path))
        case .special: preconditionFailure("stagedChanges leaves special files out")
        case .file(let content):
            if let base = content.wholeBase {
                return .put(LocatedEntry(node.entry(kind: base.entry.kind), extents: base.extents).item(at: path))
            }
            try ingest.add(sizeBytes: content.sizeBytes, isNew: content.base == nil) { [self] emit in
                try StagedFileSource(content, workspace: workspace, repository: self).emitBlocks(emit)
                return (path, node)
            }
            return nil
        }
    }
}

/// The base tree with the staged changes that came so far.
private struct StagedUpload: Sendable {
    private(set) var tree: SnapshotTree
    var uploadedBytes: UInt64 = 0
    private var edits: [Edit] = []
    private var count = 0

    /// Bounds the memory that edits take.
    private static let maximumEdits = 20_000

    init(tree: SnapshotTree) {
        self.tree = tree
    }

    /// Answers how many came so far.
    mutating func add(_ edit: Edit) throws -> Int {
        edits.append(edit)
        count += 1
        if edits.count >= Self.maximumEdits { try apply() }
        return count
    }

    /// Of several edits of a path the last counts.
    mutating func apply() throws {
        let ordered = edits.enumerated().sorted { left, right in
            let order = compareBytes(left.element.key, right.element.key)
            return order == 0 ? left.offset < right.offset : order < 0
        }.map(\.element)
        edits = []
        var last: [Edit] = []
        last.reserveCapacity(ordered.count)
        for edit in ordered {
            if last.last?.key == edit.key { last.removeLast() }
            last.append(edit)
        }
        tree = try tree.applying(last)
    }
}
