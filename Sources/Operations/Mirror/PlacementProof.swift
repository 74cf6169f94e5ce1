import BlockingIO
import ObjectDatabase
import ProllyTree
import Synchronization
import Versioning

/// Which blocks of packs that a mirror has already are known to lie there.
///
/// Where a block lies is covered by no id, so a pack that was verified for one node says nothing of the blocks that another
/// node claims in it. A place is proven when the mirror's own copy of a whole commit has it, or when its bytes were read there.
struct PlacementProof {
    let target: Repository
    /// Trees that the target has whole.
    let wholeTrees: [NodeID]

    /// The most nodes that are read at once.
    private static let batch = 1024

    /// Throws `.corrupt` when one of `blocks`, which lie in packs of the target, is not there.
    /// - Parameter ranges: the first and the last key of each leaf that names some of them.
    /// - Parameter lists: lists that name some of them.
    func verify(_ blocks: [PackID: Set<PlacedBlock>], ranges: [ClosedRange<Key>], lists: Set<ContentID>) throws {
        if blocks.isEmpty { return }
        let proven = try proven(ranges.sorted { $0.lowerBound < $1.lowerBound }, lists)
        let reader = target.database.blocks
        let runs = blocks.values.flatMap { placed in
            let unproven = placed.subtracting(proven).sorted { $0.extent.offset < $1.extent.offset }
            return BlockReader.runs(unproven) { $0.extent }
        }
        try concurrently(runs, threads: target.database.ioThreads) { run in _ = try reader.fetch(run) }
    }

    /// A key in the order of trees.
    struct Key: Comparable {
        let bytes: [UInt8]

        static func < (left: Key, right: Key) -> Bool { left.bytes.lexicographicallyPrecedes(right.bytes) }
    }

    /// What the target's own leaves in these ranges, and its own copies of these lists where such a leaf names them, say.
    private func proven(_ ranges: [ClosedRange<Key>], _ lists: Set<ContentID>) throws -> Set<PlacedBlock> {
        var proven: Set<PlacedBlock> = []
        var named: Set<ContentID> = []
        var seen: Set<NodeID> = []
        var waiting = wholeTrees
        while !waiting.isEmpty {
            let batch = waiting.suffix(Self.batch).filter { seen.insert($0).inserted }
            waiting.removeLast(min(Self.batch, waiting.count))
            let nodes = Mutex<[Node]>([])
            try concurrently(batch, threads: target.database.ioThreads) { [target] id in
                // What a collector took from the target proves nothing.
                if let node = try target.database.storedNode(id) { nodes.withLock { $0.append(node) } }
            }
            for node in nodes.withLock({ $0 }) {
                if node.isLeaf {
                    for index in 0..<node.count {
                        let entry = try LocatedEntry(item: node.item(index))
                        if case .list(let id) = entry.entry.file?.blocks { named.insert(id) }
                        if let list = entry.inlineList { proven.formUnion(list.blocks.stored) }
                    }
                } else {
                    waiting += Self.children(of: node, in: ranges)
                }
            }
        }
        for id in named.intersection(lists) {
            if let list = try target.database.storedList(id) { proven.formUnion(list.blocks.stored) }
        }
        return proven
    }

    /// The children that may hold keys of the ranges, which are in ascending order.
    private static func children(of node: Node, in ranges: [ClosedRange<Key>]) -> [NodeID] {
        var children: [NodeID] = []
        var next = 0
        for range in ranges {
            var index = max(next, node.firstIndex(notBelow: range.lowerBound.bytes))
            while index < node.count {
                children.append(node.child(index))
                index += 1
                if Key(bytes: node.key(index - 1)) >= range.upperBound { break }
            }
            next = index
        }
        return children
    }
}
