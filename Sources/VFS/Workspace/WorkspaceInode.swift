import Glibc
import ObjectDatabase
import ProllyTree
import Staging
import Synchronization
import Versioning

/// What a file of a writable mount is at present: an entry of the base, or a staged node.
enum Backing {
    case base(LocatedEntry, origin: TreePath)
    case staged(OverlayEntry)

    var isDirectory: Bool {
        switch self {
        case .base(let located, _): located.entry.isDirectory
        case .staged(let node): node.isDirectory
        }
    }

    var fileKind: FileKind {
        switch self {
        case .base(let located, _): FileAttributes(located.entry, inode: .root).kind
        case .staged(let node): node.fileKind
        }
    }

    /// Where unstaged children come from.
    var origin: TreePath? {
        switch self {
        case .base(_, let origin): origin
        case .staged(let node): node.origin
        }
    }

    var node: OverlayEntry? {
        if case .staged(let node) = self { return node }
        return nil
    }

    /// - Parameter isNamed: some name leads to it.
    func attributes(_ inode: InodeNumber, isNamed: Bool = true) -> FileAttributes {
        switch self {
        case .base(let located, _):
            var attributes = FileAttributes(located.entry, inode: inode)
            attributes.number = stableNumber
            attributes.links = isNamed ? 1 : 0
            return attributes
        case .staged(let node):
            var attributes = FileAttributes(
                inode: inode, kind: node.fileKind, mode: node.mode, sizeBytes: node.sizeBytes, modified: node.modified,
                owner: node.owner)
            attributes.number = stableNumber
            attributes.accessed = node.accessed
            attributes.changed = node.changed
            attributes.links = isNamed || !node.isDirectory ? node.linkCount : 0
            if case .special(_, let device) = node.kind { attributes.device = device }
            if let content = node.content { attributes.allocatedBytes = content.allocatedBytes }
            return attributes
        }
    }
}

extension Backing {
    /// Whether a file surely shows the bytes that it showed as `old`.
    ///
    /// - Parameter foreign: the paths of the base whose content is not what had been staged; `nil`: any may be.
    func hasSameContent(as old: Backing, foreign: Set<TreePath>?) -> Bool {
        switch (old, self) {
        case (.base(let was, _), .base(let now, _)): was.entry.kind == now.entry.kind
        case (.base(let was, _), .staged(let now)): now.content.map { $0.wholeBase == was } ?? true
        case (.staged(let was), .staged(let now)): was.id == now.id && was.content == now.content
        case (.staged(let was), .base(let now, let origin)):
            was.content?.wholeBase.map { $0.entry.kind == now.entry.kind } ?? (foreign?.contains(origin) == false)
        }
    }
}

extension Backing {
    /// `st_ino` of a file that the mount does not know yet: from its path in the base, and so the same in every mount and
    /// while it is staged (FNV-1a, 62 bits, above 2^62); otherwise the number of its node, far below that.
    var stableNumber: UInt64 {
        guard let origin else { return node.map { UInt64($0.id.value) } ?? 1 }
        if origin.isRoot { return 1 }
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in origin.bytes { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
        return hash >> 2 | 1 << 62
    }
}

extension OverlayEntry {
    var fileKind: FileKind {
        switch kind {
        case .file: .file
        case .directory: .directory
        case .symlink: .symlink
        case .special(.pipe, _): .pipe
        case .special(.socket, _): .socket
        case .special(.characterDevice, _): .characterDevice
        case .special(.blockDevice, _): .blockDevice
        }
    }

    /// `st_nlink`. Subdirectories are only counted in directories that the base does not have; 1 says that they are
    /// not.
    var linkCount: UInt32 {
        isDirectory ? (origin == nil ? 2 + UInt32(clamping: links) : 1) : UInt32(clamping: links)
    }
}

extension StagedContent {
    /// Bytes that are no hole, as far as that is told without reading; a file of many pieces counts whole.
    var allocatedBytes: UInt64 {
        guard ranges.ranges.count <= 256 else { return sizeBytes }
        return pieces(from: 0, to: sizeBytes).reduce((total: 0, start: 0)) { sum, piece in
            (piece.source == .zeros ? sum.total : sum.total + piece.end - sum.start, piece.end)
        }.total
    }
}

/// A file that the kernel knows, or a directory above one.
///
/// Lock order: the table's lock, then the workspace's database (a transaction), then an inode's.
final class WorkspaceInode: Sendable {
    let number: InodeNumber
    /// `st_ino`, the same for as long as the kernel knows the file.
    let stableNumber: UInt64

    struct Name {
        let parent: WorkspaceInode
        let name: EntryName
    }

    /// Guarded by the table's lock.
    struct References {
        /// The known names that lead here; none for the root, and for a file that is only open any more.
        var names: [Name] = []
        /// References that the kernel holds.
        var lookups: UInt64 = 0
        /// Names in the table whose parent this is.
        var children = 0
        /// Which version of the overlay `backing` was read from.
        var epoch: UInt64
    }

    struct State {
        var backing: Backing
        /// What `backing` says is newer than the workspace's database.
        var isDirty = false
        /// A transaction under way changes what bytes the file shows: whoever wrote some meanwhile writes them again after
        /// it.
        var isChangingContent = false
        /// The ranges that the database has, when that is known.
        var savedRanges: StagedRanges?
        var openCount = 0
        /// The data file in which room was reserved, as long as writes go there.
        var reservedIn: DataFileID?
        /// Data files that were read or written through the inode since it was opened.
        var dataInUse: Set<DataFileID> = []
        /// The base content and that of cloned ranges, opened when they are first read.
        var baseFile: (content: FileContent, open: OpenFile)?
        var clonedFiles: [ClonedEntryID: OpenFile] = [:]
    }

    let state: Mutex<State>

    init(number: InodeNumber, stableNumber: UInt64, backing: Backing) {
        self.number = number
        self.stableNumber = stableNumber
        state = Mutex(State(backing: backing))
    }

    var backing: Backing { state.withLock { $0.backing } }
}

/// An open file descriptor, closed when the last user is done.
final class Descriptor: Sendable {
    private let number: Int32

    init(_ number: Int32) {
        self.number = number
    }

    deinit {
        close(number)
    }

    /// The descriptor is open while `body` runs, and may not be after.
    func withDescriptor<Result, Failure: Error>(
        _ body: (Int32) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        defer { withExtendedLifetime(self) {} }
        return try body(number)
    }
}
