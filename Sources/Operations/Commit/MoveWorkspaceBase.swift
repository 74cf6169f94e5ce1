import ObjectDatabase
import ProllyTree
package import Staging
package import Versioning

extension Repository {
    /// Makes `id`, which was published from the workspace's seal, its base. Answers paths that were changed here since the
    /// seal and by others in the new base: each is a conflict to resolve before the next commit.
    package func rebase(_ workspace: Workspace, to id: CommitID) throws -> [TreePath] {
        try moving(workspace, to: .publishedSeal(id)) { try workspace.rebase($0) }
    }

    /// Puts what is staged on the branch's present head. Answers it, and the paths that are conflicts now.
    package func update(_ workspace: Workspace) throws -> (head: CommitID, conflicts: [TreePath]) {
        let head = try database.liveRef(.branch(workspace.info.branch)).commit
        guard try workspace.base() != head else { return (head, []) }
        return (head, try update(workspace, to: head))
    }

    package func update(_ workspace: Workspace, to head: CommitID) throws -> [TreePath] {
        try moving(workspace, to: .head(head)) { try workspace.update($0) }
    }

    /// The lease of a workspace that is about to be mounted, whose base is where it is to be. Throws `.collected` when nothing
    /// is staged and the base has expired meanwhile: another mount begins at a newer head.
    package func protectBase(of workspace: Workspace) throws -> WorkspaceLease {
        let lease = try WorkspaceLease(workspace, database)
        let base = try workspace.base()
        // After the lease: either a collector sees it, or we see the collector's record.
        if try workspace.isEmpty() { try database.refuseIfCollected(base, tree: database.commit(base).tree) }
        // What is staged takes locations of blocks from the base, which the lease protects from now on.
        try database.refreshCacheTrust()
        return lease
    }

    /// Moves the base of a workspace that is not mounted.
    private func moving(
        _ workspace: Workspace, to target: BaseTarget, _ apply: (BaseMove) throws -> [TreePath]
    ) throws -> [TreePath] {
        let lease = try WorkspaceLease(workspace, database)
        let conflicts = try apply(basePlanner(of: workspace, lease).plan(target))
        try workspace.finishMove()
        try lease.end()
        return conflicts
    }

    /// Moves the base of a workspace under a lease. The nodes that a move will ask for are loaded when it is planned, so that
    /// nobody waits for the store in the workspace's transaction.
    package func basePlanner(of workspace: Workspace, _ lease: WorkspaceLease) -> BasePlanner {
        // After the lease: either a collector sees it, or we see the collector's record.
        let protect: @Sendable (CommitID) throws -> Void = { [self] id in
            let tree = try database.commit(id).tree
            try lease.protect(tree)
            try database.refuseIfCollected(id, tree: tree)
        }
        return BasePlanner(protect: protect) { [self] target in
            try protect(target.commit)
            return switch target {
            // The commit's first parent is the head that it was merged onto.
            case .publishedSeal(let id): try planMove(of: workspace, to: id, others: database.commit(id).parents.first)
            case .head(let id): try planMove(of: workspace, to: id, others: id)
            }
        }
    }

    /// - Parameter others: the commit that holds what others changed since the workspace's base, and nothing of ours.
    private func planMove(of workspace: Workspace, to id: CommitID, others: CommitID?) throws -> BaseMove {
        // What is staged later takes places from this base.
        let forgot = try database.refreshCacheTrust()
        let new = database.tree(try database.commit(id).tree)
        let baseID = try workspace.base()
        let old = database.tree(try database.commit(baseID).tree)
        var changed: [TreePath] = []
        if others != id { try old.diff(to: new) { _ in true } }
        if forgot {
            // Else the nodes that both have are here since the names below them were staged.
            for path in try workspace.stagedPaths() {
                _ = try old.entry(at: path)
                _ = try new.entry(at: path)
            }
        }
        var theirs = old
        if let others, others != baseID {
            theirs = database.tree(try database.commit(others).tree)
            try old.pathChanges(to: theirs) { change in
                if change.new != nil { changed.append(change.path) }
                return true
            }
        }
        return BaseMove(
            to: id, oldEntry: { try old.entry(at: $0) }, newEntry: { try new.entry(at: $0) },
            othersEntry: { [theirs] in try theirs.entry(at: $0) }, others: changed, droppedCaches: forgot)
    }
}
