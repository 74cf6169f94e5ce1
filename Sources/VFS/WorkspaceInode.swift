import Glibc
import ProllyTree
import Repository
import Staging
import Synchronization
import Versioning

/// What a file of a writable mount is at present: an entry of the base, or a staged node.
enum Backing {
    case base(LocatedEntry, origin: TreePath)
    case staged(StagedNode)

    var isDirectory: Bool {
        switch self {
        case .base(let located, _): located.entry.isDirectory
        case .staged(let node): node.isDirectory
        }
    }

    /// Where unstaged children come from.
    var origin: TreePath? {
        switch self {
        case .base(_, let origin): origin
        case .staged(let node): node.origin
        }
    }

    var node: StagedNode? {
        if case .staged(let node) = self { return node }
        return nil
    }

    func attributes(_ inode: InodeNumber) -> FileAttributes {
        switch self {
        case .base(let located, _): return FileAttributes(located.entry, inode: inode)
        case .staged(let node):
            let kind: FileKind =
                switch node.kind {
                case .file: .file
                case .directory: .directory
                case .symlink: .symlink
                }
            return FileAttributes(
                inode: inode, kind: kind, mode: node.mode, sizeBytes: node.sizeBytes, modified: node.modified,
                owner: node.owner)
        }
    }
}

/// A file that the kernel knows, or a directory above one.
///
/// Lock order: the table's lock, then an inode's, then the workspace's database.
final class WorkspaceInode: Sendable {
    let number: InodeNumber

    /// Guarded by the table's lock.
    struct Place {
        /// `nil` for the root.
        var parent: WorkspaceInode?
        var name: [UInt8]
        /// References that the kernel holds.
        var lookups: UInt64 = 0
        /// Inodes in the table whose parent this is.
        var children = 0
        /// Which version of the overlay `backing` was read from.
        var epoch: UInt64
        /// No name leads here any more; it lives while it is open.
        var isUnlinked = false
    }

    struct State {
        var backing: Backing
        /// What `backing` says is newer than the workspace's database.
        var isDirty = false
        var openCount = 0
        /// Descriptors of data files in use.
        var descriptors: [DataFileID: Descriptor] = [:]
        /// The base content, opened when it is first read.
        var baseFile: OpenFile?
    }

    let state: Mutex<State>

    init(number: InodeNumber, backing: Backing) {
        self.number = number
        state = Mutex(State(backing: backing))
    }

    var attributes: FileAttributes { state.withLock { $0.backing.attributes(number) } }
    var backing: Backing { state.withLock { $0.backing } }
}

/// An open file descriptor, closed when the last user is done.
final class Descriptor: Sendable {
    let number: Int32

    init(_ number: Int32) {
        self.number = number
    }

    deinit {
        close(number)
    }
}
