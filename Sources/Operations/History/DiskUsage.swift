import BlockingIO
package import ObjectDatabase
import ProllyTree
import Synchronization
package import Versioning

/// What a branch or tag holds.
package struct DiskUsage: Sendable {
    package let ref: RefName
    package let commit: CommitID
    package let files: UInt64
    /// Sum of the files' sizes.
    package let logicalBytes: UInt64
    /// What its blocks take in packs, each once.
    package var storedBytes: UInt64 = 0
    /// What no other branch or tag refers to.
    package var uniqueStoredBytes: UInt64 = 0
    package var uniqueLogicalBytes: UInt64 = 0
}

package struct DiskUsageReport: Sendable {
    package var refs: [DiskUsage] = []
    /// Of all heads together, each block once.
    package var storedBytes: UInt64 = 0
    package var sharedStoredBytes: UInt64 = 0
}

extension Repository {
    /// What the heads of refs take, and how much of it they share. Reads each head's tree once, in parallel; holds about
    /// 40 bytes a block.
    package func diskUsage(
        of refs: [(snapshot: RefSnapshot, commit: CommitID)],
        progress: @escaping @Sendable (String) -> Void = { _ in }
    ) throws -> DiskUsageReport {
        let commits = try refs.map { try database.commit($0.commit) }
        let trees = Array(Set(commits.map(\.tree)))
        let blocks = Mutex<[UInt64: BlockUse]>([:])
        let stored = Mutex([UInt64](repeating: 0, count: trees.count))
        try concurrently(Array(trees.enumerated()), threads: min(4, database.ioThreads)) { index, root in
            progress("tree \(index + 1) of \(trees.count)")
            var own: Set<UInt64> = []
            var total: UInt64 = 0
            try self.forEachBlockOfTree(root) { placed in
                let extent = placed.extent
                let location = extent.locationHash
                guard own.insert(location).inserted else { return }
                total += UInt64(extent.storedLength)
                blocks.withLock { blocks in
                    if blocks[location] != nil {
                        blocks[location]?.tree = BlockUse.shared
                    } else {
                        blocks[location] = BlockUse(
                            tree: UInt32(index), storedBytes: extent.storedLength, plainBytes: placed.block.length)
                    }
                }
            }
            stored.withLock { $0[index] = total }
        }
        return report(refs, commits, trees, blocks.withLock { $0 }, stored.withLock { $0 })
    }

    /// A block and the one tree that refers to it.
    private struct BlockUse {
        var tree: UInt32
        let storedBytes: UInt32
        let plainBytes: UInt32

        static let shared = UInt32.max
    }

    private func report(
        _ refs: [(snapshot: RefSnapshot, commit: CommitID)], _ commits: [Commit], _ trees: [NodeID],
        _ blocks: [UInt64: BlockUse], _ stored: [UInt64]
    ) -> DiskUsageReport {
        var report = DiskUsageReport()
        var unique = [(stored: UInt64, plain: UInt64)](repeating: (0, 0), count: trees.count)
        for block in blocks.values {
            report.storedBytes += UInt64(block.storedBytes)
            if block.tree == BlockUse.shared {
                report.sharedStoredBytes += UInt64(block.storedBytes)
            } else {
                unique[Int(block.tree)].stored += UInt64(block.storedBytes)
                unique[Int(block.tree)].plain += UInt64(block.plainBytes)
            }
        }
        for (ref, commit) in zip(refs, commits) {
            guard let index = trees.firstIndex(of: commit.tree) else { continue }
            // Two refs of one tree share all of it.
            let isAlone = commits.count { $0.tree == commit.tree } == 1
            report.refs.append(
                DiskUsage(
                    ref: ref.snapshot.name, commit: ref.commit, files: commit.counts.files,
                    logicalBytes: commit.counts.bytes, storedBytes: stored[index],
                    uniqueStoredBytes: isAlone ? unique[index].stored : 0,
                    uniqueLogicalBytes: isAlone ? unique[index].plain : 0))
            if !isAlone, commits.firstIndex(where: { $0.tree == commit.tree }) == report.refs.count - 1 {
                report.sharedStoredBytes += unique[index].stored
            }
        }
        return report
    }

    /// Calls `body` with every stored block of a tree (again when files share it), wherever repacking has put it.
    private func forEachBlockOfTree(_ root: NodeID, _ body: (PlacedBlock) throws -> Void) throws {
        try database.tree(root).forEach { item in
            let list = try database.lists.map(of: LocatedEntry(item: item)).list
            for placed in list.blocks.stored {
                try body(placed)
            }
            return true
        }
    }
}
