import Algorithms
import BlockingIO
import ErrorMessages
import Logging
import ObjectDatabase
import Synchronization
package import Versioning

/// Why a mount does not take an order.
package enum ReadPlanRefusal: Error, Hashable, Sendable {
    /// It shows the whole repository or follows a branch.
    case noOneCommit
    case anotherCommit(CommitID)
    /// It keeps nothing, so there is nothing to fetch into.
    case noCache
    case tooManyFiles(limit: Int)
}

/// Fetches ahead of a reader that follows a known order of files. One thread of its own; it begins with the first order
/// and ends with `close`.
final class ReadPlanFetcher: Sendable {
    private struct State {
        var window: ReadPlanWindow?
        /// Counts the orders, so that what was begun for an old one is dropped.
        var order: UInt64 = 0
        /// Whether the thread is at work or about to be: it need not be woken.
        var isWorking = false
        /// What may be fetched beside what an order names; see `NeighbourReadAhead`.
        var allowanceBytes: UInt64 = 0
    }

    private enum Signal {
        case none, work, end
    }

    private struct Signals {
        var signal = Signal.none
        var hasThread = false
    }

    private let fetcher: BlockFetcher
    private let blocks: TreeBlocks
    private let neighbours: NeighbourReadAhead
    private let commitID: CommitID
    private let logger: Logger
    /// Lock order: alone, or before `BlockFetcher`'s; nothing blocks under it.
    private let state = Mutex(State())
    private let signals = Monitor(Signals())
    private let isActive = Atomic<Bool>(false)

    init(_ commit: ResolvedRevision, in database: ObjectDatabase, fetcher: BlockFetcher, logger: Logger) {
        self.fetcher = fetcher
        commitID = commit.commitID
        blocks = TreeBlocks(database: database, tree: database.tree(commit.commit.tree))
        neighbours = NeighbourReadAhead(tree: blocks.tree, fetcher: fetcher, commitBytes: commit.commit.counts.bytes)
        self.logger = logger
    }

    /// From now on these files of `commit` are the order, and no others. Answers how far ahead of the reader they are
    /// fetched: `aheadBytes`, but at most half of what the cache may hold.
    func begin(_ files: [OrderedFile], of commit: CommitID, aheadBytes: UInt64) throws(ReadPlanRefusal) -> UInt64 {
        guard commit == commitID else { throw .anotherCommit(commitID) }
        guard let room = blocks.database.blockCacheRoomBytes else { throw .noCache }
        guard files.count <= ReadPlanWindow.maximumFiles else {
            throw .tooManyFiles(limit: ReadPlanWindow.maximumFiles)
        }
        let ahead = max(1, min(aheadBytes, room / 2))
        begin(ReadPlanWindow(files, aheadBytes: ahead))
        return ahead
    }

    private func begin(_ window: ReadPlanWindow) {
        state.withLock { state in
            state.window = window
            state.order += 1
            state.isWorking = true
            state.allowanceBytes = NeighbourReadAhead.firstAllowanceBytes
        }
        isActive.store(true, ordering: .releasing)
        let needsThread = signals.update { signals in
            guard signals.signal != .end else { return false }
            signals.signal = .work
            defer { signals.hasThread = true }
            return !signals.hasThread
        }
        guard needsThread else { return }
        do {
            try startThread { [self] in run() }
        } catch {
            // Readers fetch for themselves; the next order tries again.
            signals.update { $0.hasThread = false }
        }
    }

    /// Ends the thread, soon.
    func close() {
        isActive.store(false, ordering: .releasing)
        state.withLock { state in
            state.window = nil
            state.order += 1
        }
        signals.update { $0.signal = .end }
    }

    /// A file was read. Costs next to nothing without an order, and a search in it with one.
    func noteRead(_ rank: UInt64, from offset: UInt64, count: Int) {
        guard isActive.load(ordering: .acquiring), count > 0 else { return }
        let mustWake = state.withLock { state in
            state.window?.noteRead(rank, from: offset, count: UInt64(count))
            guard !state.isWorking, state.window?.hasNext == true else { return false }
            state.isWorking = true
            return true
        }
        if mustWake { signals.update { $0.signal = $0.signal == .end ? .end : .work } }
    }

    // MARK: The thread

    private func run() {
        while signals.wait(for: Self.nextSignal) == .work {
            while let step = nextStep() { fetch(step) }
        }
    }

    private static func nextSignal(_ signals: inout Signals) -> Signal? {
        switch signals.signal {
        case .none: return nil
        case .end: return .end
        case .work:
            signals.signal = .none
            return .work
        }
    }

    private struct Step {
        let order: UInt64
        let wanted: [TreeBlocks.Wanted]
    }

    private func nextStep() -> Step? {
        state.withLock { state in
            guard let range = state.window?.next(), let window = state.window else {
                state.isWorking = false
                return nil
            }
            let wanted = window.parts(of: range).map { TreeBlocks.Wanted(rank: $0.file.rank, within: $0.within) }
            return Step(order: state.order, wanted: wanted)
        }
    }

    /// Returns when the step's GETs are begun.
    private func fetch(_ step: Step) {
        do {
            let found = try blocks.blocks(of: step.wanted)
            let smallBytes = Self.storedBytes(found.lazy.filter(\.isSmallFile).map(\.placed))
            state.withLock { $0.allowanceBytes += NeighbourReadAhead.allowanceFactor * smallBytes }
            let missing = found.filter { !fetcher.isLocal($0.placed) }
            let scattered = scatteredFiles(missing)
            let others = scattered.isEmpty ? missing : missing.filter { !$0.isSmallFile }
            for run in runs(others.map(\.placed)) where isCurrent(step) { fetcher.prefetch(run: run) }
            for files in scattered where isCurrent(step) { try fetchCell(of: files, step) }
        } catch {
            // The reader that needs these files meets the error itself.
            logger.warning("fetching ahead in the given order: \(logLine(of: error))")
        }
    }

    private func runs(_ placed: [PlacedBlock]) -> [[PlacedBlock]] {
        BlockFetcher.runs(placed, wasteShare: BlockFetcher.orderWaste)
    }

    private func isCurrent(_ step: Step) -> Bool { state.withLock { $0.order == step.order } }

    /// The small files by the cells that they lie in, unless fewer GETs bring the files by themselves. An
    /// order that jumps about in a commit which the cache can keep must not cost more than to read without one.
    private func scatteredFiles(_ missing: [TreeBlocks.Found]) -> [[TreeBlocks.Found]] {
        guard neighbours.fits else { return [] }
        let small = missing.filter(\.isSmallFile)
        let cells = small.chunked {
            $0.placed.extent.pack == $1.placed.extent.pack && Self.cell(of: $0) == Self.cell(of: $1)
        }.map(Array.init)
        return cells.count <= runs(small.map(\.placed)).count ? cells : []
    }

    private static func cell(of found: TreeBlocks.Found) -> UInt64 {
        found.placed.extent.offset / NeighbourReadAhead.cellBytes
    }

    /// Fetches files of one cell: the whole of it, as far as the allowance goes.
    private func fetchCell(of files: [TreeBlocks.Found], _ step: Step) throws {
        let wanted = files.map(\.placed)
        guard state.withLock({ $0.allowanceBytes >= NeighbourReadAhead.cellBytes }) else {
            for run in runs(wanted) { fetcher.prefetch(run: run) }
            return
        }
        let cell = try neighbours.cell(of: wanted[0], rank: step.wanted[files[0].file].rank)
        let all = Set(cell).union(wanted.filter { !fetcher.isComing($0) })
        state.withLock { $0.allowanceBytes -= min($0.allowanceBytes, Self.storedBytes(all)) }
        let ordered = all.sorted { $0.extent.storageOrder < $1.extent.storageOrder }
        for run in BlockFetcher.runs(ordered) { fetcher.prefetch(run: run) }
    }

    private static func storedBytes(_ blocks: some Sequence<PlacedBlock>) -> UInt64 {
        blocks.reduce(0) { $0 + UInt64($1.extent.storedLength) }
    }
}
