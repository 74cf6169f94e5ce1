import ObjectDatabase
import ProllyTree
import Synchronization
import Versioning

/// Read-ahead across small files: they lie in a pack in the order of their paths, so one GET can bring many.
///
/// A reader that goes forward through a pack gets ever more of what follows, up to 16 MiB, the next part when it is
/// half through the last. One that jumps about, as a
/// shuffled epoch does, gets the megabyte of the pack that a missing file lies in, as long as the whole commit fits into
/// the cache and all that was fetched ahead is no more than eight times what was asked for (and 8 MiB): an epoch then
/// takes few GETs and fetches nothing twice, and whoever reads only here and there fetches nine times that at the most.
final class NeighbourReadAhead: Sendable {
    /// Offsets in a pack, of stored bytes, from which to fetch what is missing.
    private typealias Window = Range<UInt64>

    private struct State {
        var pack: PackID?
        /// Where what was fetched of it ends.
        var end: UInt64 = 0
        var windowBytes = firstWindowBytes
        /// What may be fetched ahead of a reader that jumps about.
        var allowanceBytes = firstAllowanceBytes
    }

    private let tree: SnapshotTree
    private let fetcher: BlockFetcher
    private let commitBytes: UInt64
    private let state = Mutex(State())

    private static let firstWindowBytes: UInt64 = 128 << 10
    private static let maximumWindowBytes: UInt64 = 16 << 20
    private static let nearBytes: UInt64 = 1 << 20
    private static let maximumEntries = 4096
    /// The pieces of packs that are fetched for a reader that jumps about.
    static let cellBytes: UInt64 = 1 << 20
    static let firstAllowanceBytes: UInt64 = 8 << 20
    static let allowanceFactor: UInt64 = 8
    /// How many entries before a file are looked at for its neighbours.
    private static let entriesBefore: UInt64 = 128

    init(tree: SnapshotTree, fetcher: BlockFetcher, commitBytes: UInt64) {
        self.tree = tree
        self.fetcher = fetcher
        self.commitBytes = commitBytes
    }

    /// Whether the cache keeps what is fetched for a reader that jumps about until it is read; with room for what else is
    /// in it.
    var fits: Bool { commitBytes <= fetcher.capacityBytes / 5 * 4 }

    /// The small files that lie in one cell with this one and are neither here nor on their way, in the order of the pack.
    func cell(of file: PlacedBlock, rank: UInt64) throws -> [PlacedBlock] {
        let start = file.extent.offset / Self.cellBytes * Self.cellBytes
        let found = try neighbours(of: file, rank: rank, in: start..<start + Self.cellBytes, looksBack: true)
        return found.filter { !fetcher.isComing($0) }
    }

    /// Called before a small file is read from its beginning; fetches its neighbours with it when it is not local.
    func willRead(_ map: FileMap, rank: UInt64) { willRead(map) { rank } }

    /// The same for a file that is known by its path.
    func willRead(_ map: FileMap, at path: TreePath) { willRead(map) { try tree.find(path.key)?.rank } }

    private func willRead(_ map: FileMap, rank: () throws -> UInt64?) {
        guard fetcher.isUseful else { return }
        let file = map.list.blocks[0]
        let isComing = fetcher.isComing(file)
        let capacity = fetcher.capacityBytes
        let fits = self.fits
        let plan = state.withLock { state -> (window: Window, isJump: Bool)? in
            if fits { state.allowanceBytes += Self.allowanceFactor * UInt64(file.extent.storedLength) }
            let longest = min(Self.maximumWindowBytes, capacity / 4)
            if isComing { return Self.next(file.extent, longest, &state).map { ($0, false) } }
            return Self.plan(file.extent, longest, &state)
        }
        guard let plan else { return }
        // A tree that cannot be read is met by the reader itself.
        let found =
            (try? rank().map { try neighbours(of: file, rank: $0, in: plan.window, looksBack: plan.isJump) }) ?? []
        var missing = found.filter { $0 == file || !fetcher.isLocal($0) }
        if !isComing, !missing.contains(file) { missing = [file] }
        if plan.isJump { charge(missing.reduce(0) { $0 + UInt64($1.extent.storedLength) }) }
        fetcher.prefetch(missing)
    }

    /// The next part, for a reader who has come half through the last; `nil`: not yet.
    private static func next(_ extent: Extent, _ longest: UInt64, _ state: inout State) -> Window? {
        guard state.pack == extent.pack, state.windowBytes > firstWindowBytes, extent.offset < state.end,
            extent.offset + state.windowBytes / 2 >= state.end
        else { return nil }
        state.windowBytes = min(state.windowBytes * 2, longest)
        let start = state.end
        state.end += state.windowBytes
        return start..<state.end
    }

    /// What to fetch with a missing file; `nil`: only itself.
    private static func plan(
        _ extent: Extent, _ longest: UInt64, _ state: inout State
    ) -> (window: Window, isJump: Bool)? {
        let start = extent.offset
        let goesOn =
            state.pack == extent.pack && start + nearBytes >= state.end && start <= state.end + nearBytes
        let isNextPack =
            state.pack != nil && state.pack != extent.pack && start == 0 && state.windowBytes > firstWindowBytes
        let window =
            goesOn ? min(state.windowBytes * 2, longest) : isNextPack ? state.windowBytes : 0
        state.pack = extent.pack
        state.end = start + max(window, UInt64(extent.storedLength))
        state.windowBytes = max(window, firstWindowBytes / 2)
        if window >= cellBytes { return (start..<start + window, false) }
        if state.allowanceBytes >= cellBytes {
            let cell = start / cellBytes * cellBytes
            return (cell..<cell + cellBytes, true)
        }
        return window > 0 ? (start..<start + window, false) : nil
    }

    private func charge(_ bytes: UInt64) {
        state.withLock { $0.allowanceBytes -= min($0.allowanceBytes, bytes) }
    }

    /// The small files that begin in the window, in the order of the pack.
    private func neighbours(
        of file: PlacedBlock, rank: UInt64, in window: Window, looksBack: Bool
    ) throws -> [PlacedBlock] {
        var found: [PlacedBlock] = []
        var cursor = try Cursor(tree, fromRank: looksBack ? rank - min(rank, Self.entriesBefore) : rank)
        var end = window.lowerBound
        for _ in 0..<Self.maximumEntries {
            guard let item = try cursor.next() else { break }
            guard let list = try LocatedEntry(item: item).inlineList, list.blocks.count == 1 else { continue }
            let placed = list.blocks[0]
            // Entries before this one may lie elsewhere; behind it, another place is the end of the run.
            guard placed.extent.pack == file.extent.pack, placed.extent.offset >= end else { continue }
            if placed.extent.offset >= window.upperBound { break }
            end = placed.extent.offset + UInt64(placed.extent.storedLength)
            found.append(placed)
        }
        return found
    }
}
