import ObjectDatabase
import ProllyTree
import Staging
import Synchronization
import Versioning

/// Listings under way: a directory is read once when it is opened or rewound, so that cookies stay true while it
/// changes.
struct DirectoryListings {
    private var open: [HandleNumber: [DirectoryEntry]] = [:]
    private var next: UInt64 = 1

    mutating func begin() -> HandleNumber {
        defer { next += 1 }
        open[HandleNumber(next)] = []
        return HandleNumber(next)
    }

    subscript(_ handle: HandleNumber) -> [DirectoryEntry]? {
        get { open[handle] }
        set { open[handle] = newValue }
    }
}

extension WorkspaceFileSystem {
    package func openDirectory(_ inode: InodeNumber) throws(VFSError) -> HandleNumber {
        listings.withLock { $0.begin() }
    }

    package func releaseDirectory(_ inode: InodeNumber, _ handle: HandleNumber) {
        listings.withLock { $0[handle] = nil }
    }

    package func readDirectory(
        _ inode: InodeNumber, _ handle: HandleNumber, after cookie: FileOffset, countsAsLookup: Bool,
        _ body: (DirectoryEntry) -> Bool
    ) throws(VFSError) {
        precondition(!countsAsLookup, "a writable mount offers no READDIRPLUS")
        try reportingFailures(logger, "listing of inode \(inode.value)") {
            if cookie == .zero {
                let listing = try list(inode)
                listings.withLock { $0[handle] = listing }
            }
            let listing = listings.withLock { $0[handle] } ?? []
            for entry in listing.dropFirst(Int(clamping: cookie.value)) where !body(entry) { return }
        }
    }

    /// All entries of a directory, `.` and `..` first, then in order of names. Cookies count from 1. Kinds and numbers of
    /// the entries are right; their other attributes are not looked for.
    private func list(_ number: InodeNumber) throws -> [DirectoryEntry] {
        // What is staged and the base that it lies over are of one moment; the base's tree never changes.
        let (directory, parent, base, staged) = try table.withLock { table in
            let inode = try current(&table, number)
            let parent = table[inode].names.first?.parent.backing
            let staged = try inode.backing.node.map { node in try workspace.read { try $0.namedNodes(in: node.id) } }
            return (inode.backing, parent ?? inode.backing, table.base, staged ?? [])
        }
        guard directory.isDirectory else { throw VFSError.notADirectory }
        var children: [EntryName: FileAttributes] = [:]
        if let origin = directory.origin {
            try base.forEachChild(of: origin) { path, located in
                children[path.name] = Backing.base(located, origin: path).attributes(Self.unknownInode)
                return true
            }
        }
        for (name, child) in staged {
            children[name] = child.map { Backing.staged($0).attributes(Self.unknownInode) }
        }
        table.withLock { table in
            guard let inode = table.inodes[number] else { return }
            for name in children.keys {
                if let known = table.known(inode, name) { children[name]?.number = known.stableNumber }
            }
        }
        let names = children.sorted { $0.key < $1.key }
        let above = [(".", directory), ("..", parent)].map { (Array($0.utf8), $1.attributes(number)) }
        return (above + names.map { ($0.key.bytes, $0.value) }).enumerated().map { index, child in
            DirectoryEntry(name: child.0, attributes: child.1, cookie: UInt64(index) + 1)
        }
    }

    /// Not used: a listing tells `st_ino`, and the kernel asks for an inode by lookup.
    private static let unknownInode = InodeNumber(0xffff_ffff)

    /// Whether nothing is in a directory.
    func isEmpty(_ table: InodeTable, _ directory: Backing) throws -> Bool {
        var decided: [EntryName: OverlayEntryID?] = [:]
        if let node = directory.node {
            for (name, child) in try workspace.read({ try $0.names(in: node.id) }) { decided[name] = .some(child) }
        }
        if decided.values.contains(where: { $0 != nil }) { return false }
        guard let origin = directory.origin else { return true }
        var isEmpty = true
        try table.base.forEachChild(of: origin) { path, _ in
            isEmpty = decided[path.name] != nil
            return isEmpty
        }
        return isEmpty
    }
}
