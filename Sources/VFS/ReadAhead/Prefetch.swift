import BlockingIO
import ErrorMessages
package import ObjectDatabase
import ProllyTree
package import Versioning

/// Fetches the files of a set into the host's block cache: a part of the set at a time, in its order, and within a part
/// by few large GETs in the order of packs.
package final class Prefetch: Sendable {
    package struct Counts: Sendable {
        /// Files whose parts of the set are done.
        package var files = 0
        package var bytes: UInt64 = 0
        /// Bytes of blocks that were in the cache already.
        package var localBytes: UInt64 = 0
        /// Bytes that came from the store, gaps between blocks among them, and by how many GETs.
        package var fetchedBytes: UInt64 = 0
        package var requests: UInt64 = 0
    }

    /// What could not be fetched, and why. The rest was.
    package struct Failure: Sendable {
        package let path: TreePath
        package let reason: String
    }

    private struct State {
        var counts = Counts()
        var failures: [Failure] = []
        var failedRanks: Set<UInt64> = []
        var failedFiles = 0
    }

    /// Failures that are remembered by name.
    package static let namedFailures = 1000
    private static let partFiles = 65_536
    /// A block that fills no page of its own may be taken for local because its neighbours are: such are read.
    private static let doubtfulBytes = 8192

    private let set: PrefetchSet
    private let database: ObjectDatabase
    private let state = Monitor(State())

    package init(_ set: PrefetchSet, in database: ObjectDatabase) {
        self.set = set
        self.database = database
    }

    package var counts: Counts { state.look { $0.counts } }

    /// The files that could not be fetched whole: the first of them by name, and how many there are.
    package var failures: (named: [Failure], count: Int) { state.update { ($0.failures, $0.failedFiles) } }

    /// Fetches everything; blocks until it is done. Damaged or missing blocks are noted in `failures`, and the rest goes
    /// on.
    ///
    /// - Parameter partBytes: how much of the set is looked at together.
    /// - Throws: `.notKept`, and at once the store's or the tree's error.
    package func run(partBytes: UInt64) throws {
        var start = 0
        while start < set.files.count {
            var end = start
            var bytes: UInt64 = 0
            while end < set.files.count, end - start < Self.partFiles, bytes < partBytes {
                bytes += set.files[end].ordered.sizeBytes
                end += 1
            }
            try fetch(Array(set.files[start..<end]).map(\.ordered))
            state.update { state in
                state.counts.files += end - start
                state.counts.bytes += bytes
            }
            start = end
        }
    }

    private func fetch(_ files: [OrderedFile]) throws {
        let found = try set.blocks.blocks(of: files.map { TreeBlocks.Wanted(rank: $0.rank, within: 0..<$0.sizeBytes) })
        var missing: [PlacedBlock] = []
        var doubtful: [PlacedBlock] = []
        var ranks: [PlacedBlock: UInt64] = [:]
        var localBytes: UInt64 = 0
        for block in found {
            ranks[block.placed] = files[block.file].rank
            if isLocal(block.placed) {
                localBytes += UInt64(block.placed.block.length)
                if block.placed.block.length < Self.doubtfulBytes { doubtful.append(block.placed) }
            } else {
                missing.append(block.placed)
            }
        }
        let (local, owners) = (localBytes, ranks)
        state.update { $0.counts.localBytes += local }
        let runs = BlockFetcher.runs(missing, wasteShare: BlockFetcher.orderWaste)
        try concurrently(runs, threads: database.readThreads) { [self] run in try fetch(run, owners) }
        try concurrently(doubtful, threads: database.ioThreads) { [self] block in try fetchAlone(block, owners) }
    }

    private func fetch(_ run: [PlacedBlock], _ owners: [PlacedBlock: UInt64]) throws {
        guard let first = run.first, let last = run.last else { return }
        let span = last.extent.end - first.extent.offset
        do {
            try database.blocks.prefetch(run)
            note(bytes: span)
        } catch  where Self.isDamage(error) {
            // One of them is damaged, or all have moved: each by itself.
            note(bytes: span)
            for block in run where !isLocal(block) { try fetchAlone(block, owners) }
        }
        if let lost = run.first(where: { !isLocal($0) && !hasFailed($0, owners) }) {
            throw PrefetchFault.notKept(path: try path(of: lost, owners))
        }
    }

    /// Reads a block, which fetches it if it is not here.
    private func fetchAlone(_ block: PlacedBlock, _ owners: [PlacedBlock: UInt64]) throws {
        do {
            if !isLocal(block) { note(bytes: UInt64(block.extent.storedLength)) }
            try withUnsafeTemporaryAllocation(byteCount: 1, alignment: 1) { byte in
                try database.blocks.read(block, within: 0, into: byte)
            }
        } catch  where Self.isDamage(error) {
            let path = try path(of: block, owners)
            state.update { state in
                guard let rank = owners[block], state.failedRanks.insert(rank).inserted else { return }
                state.failedFiles += 1
                guard state.failures.count < Self.namedFailures else { return }
                state.failures.append(Failure(path: path, reason: logLine(of: error).shown))
            }
        }
    }

    private static func isDamage(_ error: any Error) -> Bool {
        switch error {
        case ObjectDatabaseError.corrupt, ObjectDatabaseError.missingObject: true
        default: false
        }
    }

    private func note(bytes: UInt64) {
        state.update { state in
            state.counts.fetchedBytes += bytes
            state.counts.requests += 1
        }
    }

    private func isLocal(_ placed: PlacedBlock) -> Bool { database.blocks.isLocal(placed) }

    private func hasFailed(_ block: PlacedBlock, _ owners: [PlacedBlock: UInt64]) -> Bool {
        state.update { state in owners[block].map { state.failedRanks.contains($0) } ?? false }
    }

    private func path(of block: PlacedBlock, _ owners: [PlacedBlock: UInt64]) throws -> TreePath {
        guard let rank = owners[block], let item = try set.blocks.tree.item(atRank: rank) else {
            throw VFSError.notFound
        }
        return try TreePath(itemKey: item.key)
    }
}
