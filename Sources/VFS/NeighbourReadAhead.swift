import ProllyTree
import Repository
import Synchronization
import Versioning

/// Read-ahead across small files: they lie in a pack in the order of their paths, so a reader that walks a directory is
/// served by one GET for many. The window grows while misses go forward through a pack and falls back to the one file
/// otherwise.
final class NeighbourReadAhead: Sendable {
    private struct State {
        var pack: PackID?
        var end: UInt64 = 0
        var windowBytes = NeighbourReadAhead.firstWindowBytes
    }

    private let tree: Repository.SnapshotTree
    private let fetcher: BlockFetcher
    private let state = Mutex(State())

    private static let firstWindowBytes = 128 << 10
    private static let maximumWindowBytes = 4 << 20
    private static let nearBytes: UInt64 = 1 << 20
    private static let maximumFiles = 1024

    init(tree: Repository.SnapshotTree, fetcher: BlockFetcher) {
        self.tree = tree
        self.fetcher = fetcher
    }

    /// Called before a small file is read; fetches its followers with it when it is not local.
    func willRead(_ map: FileMap, rank: UInt64) {
        let first = PlacedBlock(block: map.list.blocks[0], extent: map.list.extents[0])
        guard fetcher.isUseful, !fetcher.isLocal(first) else { return }
        let window = state.withLock { state -> Int in
            let start = first.extent.offset
            let goesOn =
                state.pack == first.extent.pack && start + Self.nearBytes >= state.end
                && start <= state.end + Self.nearBytes
            let isNextPack =
                state.pack != nil && state.pack != first.extent.pack && start == 0
                && state.windowBytes > Self.firstWindowBytes
            state.windowBytes =
                goesOn ? min(state.windowBytes * 2, Self.maximumWindowBytes) : isNextPack ? state.windowBytes : 0
            let window = state.windowBytes
            state.pack = first.extent.pack
            state.end = start + UInt64(max(window, Int(first.extent.storedLength)))
            if state.windowBytes == 0 { state.windowBytes = Self.firstWindowBytes / 2 }
            return window
        }
        guard window > 0 else { return }
        // A tree that cannot be read is met by the reader itself.
        let followers = (try? followers(of: first, rank: rank, window: window)) ?? []
        fetcher.prefetch([first] + followers)
    }

    private func followers(of first: PlacedBlock, rank: UInt64, window: Int) throws -> [PlacedBlock] {
        var followers: [PlacedBlock] = []
        var cursor = try Cursor(tree, fromRank: rank + 1)
        var end = first.extent.offset + UInt64(first.extent.storedLength)
        let limit = first.extent.offset + UInt64(window)
        while followers.count < Self.maximumFiles, let item = try cursor.next() {
            guard let list = try LocatedEntry(item: item).inlineList, list.blocks.count == 1 else { continue }
            let placed = PlacedBlock(block: list.blocks[0], extent: list.extents[0])
            guard placed.extent.pack == first.extent.pack, placed.extent.offset >= end else { continue }
            end = placed.extent.offset + UInt64(placed.extent.storedLength)
            if end > limit { break }
            followers.append(placed)
        }
        return followers
    }
}
