import Staging
import Synchronization

/// One transaction of the workspace, with what it changes of inodes in memory: that is undone when it fails. Used within
/// the transaction only; others wait for it, but bytes are written to files meanwhile.
final class InodeTransaction {
    let overlay: Overlay
    private var before: [(inode: WorkspaceInode, state: WorkspaceInode.State)] = []
    private var resized: Set<InodeNumber> = []

    init(_ overlay: Overlay) {
        self.overlay = overlay
    }

    /// To be called before an inode's backing is changed within the transaction.
    ///
    /// - Parameter content: the change is of the bytes that the file shows.
    func willChange(_ inode: WorkspaceInode, content: Bool = false) {
        if content {
            resized.insert(inode.number)
            inode.state.withLock { $0.isChangingContent = true }
        }
        if before.contains(where: { $0.inode === inode }) { return }
        before.append((inode, inode.state.withLock { $0 }))
    }

    /// The transaction was kept.
    func keep() {
        for (inode, _) in before where resized.contains(inode.number) {
            inode.state.withLock { $0.isChangingContent = false }
        }
    }

    /// The transaction was undone: the inodes are as they were, but for what was written to them meanwhile.
    func undo() {
        for (inode, old) in before {
            inode.state.withLock { state in
                if resized.contains(inode.number) { state.isChangingContent = false }
                guard var node = old.backing.node else {
                    // Bytes are written only to what is staged.
                    state.backing = old.backing
                    state.savedRanges = nil
                    state.isDirty = false
                    return
                }
                // What was written since the transaction began stays; only a change of the content itself is taken back.
                // A data file that the transaction chose was not kept, and is given to another file next.
                if !resized.contains(inode.number), var content = state.backing.node?.content {
                    content.writeTarget = node.content?.writeTarget
                    node.kind = .file(content)
                }
                state.backing = .staged(node)
                state.isDirty = node.content != nil
                state.savedRanges = old.savedRanges
            }
        }
    }
}
