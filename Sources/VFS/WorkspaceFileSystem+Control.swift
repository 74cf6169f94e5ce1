import Logging
import ProllyTree
import Repository
package import Staging
import Synchronization
package import Versioning

// What a commit, run by another process, asks of a live mount (see docs/ARCHITECTURE.md, "The life of a commit").

extension WorkspaceFileSystem {
    /// Everything written so far is in the workspace's database when this returns.
    package func flushAll() throws {
        try gate.alone { try persistAll() }
    }

    private func persistAll() throws {
        for inode in table.withLock({ Array($0.inodes.values) }) { try persist(inode) }
    }

    /// Persists what is dirty without keeping writers out; called every few seconds.
    package func persistPeriodically() {
        for inode in table.withLock({ Array($0.inodes.values) }) where inode.state.withLock({ $0.isDirty }) {
            do {
                try persist(inode)
            } catch {
                logger.error("saving staged changes: \(describeFailure(error))")
            }
        }
    }

    /// Seals what is staged: all writes that returned before are in it, and later ones go to new data files.
    package func seal() throws -> SealState {
        try gate.alone {
            try persistAll()
            let state = try workspace.seal()
            for inode in table.withLock({ Array($0.inodes.values) }) {
                inode.state.withLock { state in
                    guard case .staged(var node) = state.backing, var content = node.content else { return }
                    content.writeTarget = nil
                    node.kind = .file(content)
                    state.backing = .staged(node)
                }
            }
            return state
        }
    }

    /// The sealed changes were published as `commit`: it is the new base.
    package func rebase(to commit: CommitID) throws -> [TreePath] {
        let tree = repository.tree(try repository.commit(commit).tree)
        return try gate.alone {
            try persistAll()
            let conflicts = try repository.rebase(workspace, to: commit)
            table.withLock { table in
                table.base = tree
                table.baseCommit = commit
                table.invalidate()
            }
            return conflicts
        }
    }

    package func abandonSeal() throws {
        try gate.alone {
            // First: data files that no range in the database refers to are deleted.
            try persistAll()
            try workspace.abandonSeal()
        }
    }

    /// Throws away what is staged at and below these paths; all of it when empty.
    package func discard(_ paths: [TreePath]) throws {
        try gate.alone {
            try persistAll()
            try workspace.discard(paths)
            table.withLock { $0.invalidate() }
        }
    }
}
