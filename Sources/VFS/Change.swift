import Staging
import Synchronization

/// One transaction of the workspace, with what it changes of inodes in memory: that is undone when it fails. Used under
/// the table's lock.
final class Change {
    let overlay: Overlay
    private var before: [(inode: WorkspaceInode, state: WorkspaceInode.State)] = []

    init(_ overlay: Overlay) {
        self.overlay = overlay
    }

    /// To be called before an inode's backing is changed within the transaction.
    func willChange(_ inode: WorkspaceInode) {
        if before.contains(where: { $0.inode === inode }) { return }
        before.append((inode, inode.state.withLock { $0 }))
    }

    func undo() {
        for (inode, old) in before {
            inode.state.withLock { state in
                guard var node = old.backing.node else {
                    state.backing = old.backing
                    return
                }
                // A write of another thread may have come in between: what it wrote stays.
                if state.isDirty, let content = state.backing.node?.content { node.kind = .file(content) }
                state.backing = .staged(node)
                state.isDirty = state.isDirty || old.isDirty
                state.savedRanges = old.savedRanges
            }
        }
    }
}
