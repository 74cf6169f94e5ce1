import BlockCache
import BlockingIO
import ErrorMessages
import Logging
import ObjectDatabase
import Versioning

/// Brings blocks into the host's cache ahead of the reader, by few large GETs on a bounded number of threads.
final class BlockFetcher: Sendable {
    private let blocks: BlockReader
    private let pool: WorkerPool
    private let logger: Logger
    /// Blocks that a prefetch is bringing: a reader waits for it instead of asking again.
    private let underWay = Monitor<Set<PlacedBlock>>([])

    /// Beyond this many waiting blocks no more are fetched ahead.
    private static let maximumUnderWay = 16_384
    /// GETs of `prefetch` that are waiting or under way: the threads beyond are left to readers' own read-ahead.
    private static let maximumRunsAhead = 32
    private let runsAhead = Monitor(0)
    /// Of what a GET brings for a known order, at most so much beside what is wanted.
    static let orderWaste = 0.2

    init(blocks: BlockReader, threads: Int, logger: Logger) {
        self.blocks = blocks
        self.logger = logger
        pool = WorkerPool(threads: threads, limit: 256)
        blocks.cache?.deferWrites()
    }

    deinit {
        pool.close()
    }

    /// Whether anything can be kept: without a cache there is no use in fetching ahead.
    var isUseful: Bool { blocks.cache != nil }

    /// The most that can be kept, in bytes.
    var capacityBytes: UInt64 { blocks.cache?.limitBytes ?? 0 }

    func isLocal(_ placed: PlacedBlock) -> Bool { blocks.isLocal(placed) }

    /// Whether it is here or on its way.
    func isComing(_ placed: PlacedBlock) -> Bool { isLocal(placed) || underWay.look { $0.contains(placed) } }

    func read(_ placed: PlacedBlock, within: Int, into buffer: UnsafeMutableRawBufferPointer) throws {
        underWay.waitUntil { !$0.contains(placed) }
        try blocks.read(placed, within: within, into: buffer)
    }

    /// Starts fetching what is not local yet, runs of neighbours by one GET each. Returns at once.
    func prefetch(_ wanted: [PlacedBlock]) {
        guard isUseful else { return }
        let missing = wanted.filter { !blocks.isLocal($0) }
        let started = underWay.update(wakes: false) { state -> [PlacedBlock] in
            guard state.count + missing.count <= Self.maximumUnderWay else { return [] }
            return missing.filter { state.insert($0).inserted }
        }
        for run in Self.runs(started) {
            pool.submit { [self] in bring(run) }
        }
    }

    /// Starts fetching a run (see `runs`) by one GET; waits while many such GETs are under way.
    func prefetch(run: [PlacedBlock]) {
        guard isUseful else { return }
        runsAhead.wait { count -> Void? in
            guard count < Self.maximumRunsAhead else { return nil }
            count += 1
            return ()
        }
        // A reader may have been faster.
        let missing = run.filter { !isLocal($0) }
        let started = underWay.update(wakes: false) { state in missing.filter { state.insert($0).inserted } }
        pool.submit { [self] in
            if !started.isEmpty { bring(started) }
            runsAhead.update { $0 -= 1 }
        }
    }

    private func bring(_ run: [PlacedBlock]) {
        do {
            try blocks.prefetch(run)
        } catch {
            // The reader that needs the block meets the error itself.
            logger.debug("read-ahead: \(logLine(of: error))")
        }
        underWay.update { $0.subtract(run) }
    }

    /// See `BlockReader.runs`.
    static func runs(_ blocks: [PlacedBlock], wasteShare: Double = .infinity) -> [[PlacedBlock]] {
        BlockReader.runs(blocks, wasteShare: wasteShare) { $0.extent }
    }
}
