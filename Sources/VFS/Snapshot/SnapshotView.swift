import BlockCache
import BlockingIO
import ObjectDatabase
import ProllyTree
import Synchronization
import Versioning

/// One commit's tree as files. An entry's number is its rank in the tree (0 is the root), so nothing has to be
/// remembered for the files that the kernel knows, however many they are, and numbers are the same in every mount of
/// the commit.
final class SnapshotView: Sendable {
    let commitID: CommitID
    let commit: Commit
    private let database: ObjectDatabase
    private let tree: SnapshotTree
    private let recent = Mutex(BoundedCache<UInt64, Found>(limit: 4096))
    private let openFiles: OpenFileTable
    private let neighbours: NeighbourReadAhead
    private let listings = Mutex(ListingPattern())

    init(_ commitID: CommitID, _ commit: Commit, database: ObjectDatabase, fetcher: BlockFetcher) {
        self.commitID = commitID
        self.commit = commit
        self.database = database
        tree = database.tree(commit.tree)
        openFiles = OpenFileTable(database: database, fetcher: fetcher)
        neighbours = NeighbourReadAhead(tree: tree, fetcher: fetcher, commitBytes: commit.counts.bytes)
    }

    /// An entry with its location.
    struct Found {
        let rank: UInt64
        let path: TreePath
        let located: LocatedEntry
    }

    func entry(_ rank: UInt64) throws -> Found {
        if let found = recent.withLock({ $0.value(for: rank) }) { return found }
        guard let item = try tree.item(atRank: rank) else { throw VFSError.notFound }
        return try remember(item, rank)
    }

    func child(of parent: UInt64, _ name: EntryName) throws -> Found {
        let directory = try entry(parent)
        guard directory.located.entry.isDirectory else { throw VFSError.notADirectory }
        guard let (item, rank) = try tree.find(directory.path.appending(name).key) else { throw VFSError.notFound }
        return try remember(item, rank)
    }

    private func remember(_ item: Item, _ rank: UInt64) throws -> Found {
        let found = Found(rank: rank, path: try TreePath(itemKey: item.key), located: try LocatedEntry(item: item))
        recent.withLock { $0.insert(found, for: rank) }
        return found
    }

    /// Children of a directory in order of names, from the one of rank `from` (`nil`: the first), until `body` answers
    /// false.
    func forEachChild(of directory: UInt64, from: UInt64?, _ body: (Found, _ name: EntryName) -> Bool) throws {
        let parent = try entry(directory)
        guard parent.located.entry.isDirectory else { throw VFSError.notADirectory }
        let keys = parent.path.childKeys
        var rank = try from ?? tree.rank(of: keys.from)
        let (ahead, isWalk) = listings.withLock { ($0.ahead(in: directory, from: rank), $0.isWalk) }
        var cursor = try Cursor(tree, fromRank: rank, ahead: ahead, preparingUpTo: isWalk ? nil : keys.to)
        defer { listings.withLock { $0.end = rank } }
        while let item = try cursor.next(), item.key.starts(with: keys.from) {
            let name = try EntryName(checking: Array(item.key[keys.from.count...]))
            let found = Found(rank: rank, path: parent.path.appending(name), located: try LocatedEntry(item: item))
            if !body(found, name) { return }
            rank += 1
        }
    }

    /// Reads from a file; answers how many bytes there were.
    func read(_ rank: UInt64, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        try database.retryingStale {
            recent.withLock { $0.remove(rank) }
            openFiles.forget(rank)
        } _: {
            let file = try openFiles.file(rank) { try self.entry(rank).located }
            if file.isSmall, offset == 0 { neighbours.willRead(file.map, rank: rank) }
            return try file.read(at: offset, into: buffer)
        }
    }

    /// The file as it lies whole in the block cache; `nil` where it does not, or shares a pack with its neighbours.
    func wholeFile(_ rank: UInt64) throws -> WholeFile? {
        let file = try openFiles.file(rank) { try self.entry(rank).located }
        return file.isSmall ? nil : database.blocks.wholeFile(file.map)
    }

    func seek(_ rank: UInt64, from offset: UInt64, to target: SeekTarget) throws -> UInt64 {
        let map = try openFiles.file(rank) { try self.entry(rank).located }.map
        return try VFS.seek(from: offset, to: target, size: map.sizeBytes) { map.hole(at: $0) }
    }
}

/// Tells a walk through the tree, which lists one directory after the other, from a look at some directory.
private struct ListingPattern {
    /// Where the last listing ended.
    var end: UInt64 = 0
    private var directory: UInt64?
    private var window = 0
    /// The listing before was of another directory, near this one: what lies behind this one will be listed next.
    private(set) var isWalk = false

    /// How many leaves to have prepared for a listing from this rank.
    mutating func ahead(in directory: UInt64, from rank: UInt64) -> Int {
        let isNear = rank <= end + Self.nearRanks && rank + Self.nearRanks >= end
        window = isNear ? Cursor<TreeNodeStore>.grown(window) : 0
        if directory != self.directory {
            isWalk = isNear && self.directory != nil
            self.directory = directory
        }
        return window
    }

    /// Less than two leaves hold so many entries.
    private static let nearRanks: UInt64 = 1000
}
