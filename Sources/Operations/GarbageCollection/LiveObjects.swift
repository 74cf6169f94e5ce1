import BlockingIO
import ObjectDatabase
import ObjectStorage
import ProllyTree
import Synchronization
import Versioning

/// What trees reach: nodes, lists, and the bytes of packs that are in use. Each is read once, straight from the bucket
/// (a cache may know older locations of blocks), by several threads.
final class LiveObjects: Sendable {
    struct PackUse: Sendable {
        var bytes: UInt64 = 0
        var blocks = 0
    }

    struct Found: Sendable {
        var nodes: Set<NodeID> = []
        var lists: Set<ContentID> = []
        var packs: [PackID: PackUse] = [:]
        /// 64 bits stand for each location of a block: the few that fall together make a pack look a little emptier.
        fileprivate var locations: Set<UInt64> = []
        /// Nodes and lists that are not there.
        var missing: [String] = []
    }

    /// The trees that were added.
    var roots: [NodeID] { added.withLock { $0 } }

    private enum Work: Sendable {
        case node(NodeID)
        case list(ContentID)
    }

    private struct Queue {
        var waiting: [Work] = []
        var running = 0
        var failure: (any Error)?
    }

    private let repository: Repository
    private let moves: PackForwarding
    private let found = Mutex(Found())
    private let added = Mutex<[NodeID]>([])
    private let queue = Monitor(Queue())

    init(_ repository: Repository, moves: PackForwarding) {
        self.repository = repository
        self.moves = moves
    }

    var result: Found { found.withLock { $0 } }

    /// Adds what these trees reach. Objects that are missing are noted; damaged ones, and a store that fails, are
    /// thrown.
    func add(_ trees: some Sequence<NodeID>, progress: @escaping @Sendable (Int) -> Void = { _ in }) throws {
        added.withLock { $0 += trees }
        push(trees.map { .node($0) })
        try concurrently(Array(0..<repository.database.ioThreads), threads: repository.database.ioThreads) { _ in
            while let work = self.next() {
                var more: [Work] = []
                var failure: (any Error)?
                do { more = try self.read(work) } catch { failure = error }
                self.queue.update { queue in
                    queue.running -= 1
                    queue.failure = queue.failure ?? failure
                    queue.waiting += more
                }
                let count = self.found.withLock { $0.nodes.count }
                if count.isMultiple(of: 1000) { progress(count) }
            }
        }
        if let failure = queue.update({ $0.failure }) { throw failure }
    }

    private func push(_ work: [Work]) {
        let new = unseen(work)
        queue.update { $0.waiting += new }
    }

    private func next() -> Work? {
        queue.wait { queue -> Work?? in
            if queue.failure != nil { return .some(nil) }
            if let work = queue.waiting.popLast() {
                queue.running += 1
                return .some(work)
            }
            return queue.running == 0 ? .some(nil) : nil
        }
    }

    private func unseen(_ work: [Work]) -> [Work] {
        found.withLock { found in
            work.filter {
                switch $0 {
                case .node(let id): found.nodes.insert(id).inserted
                case .list(let id): found.lists.insert(id).inserted
                }
            }
        }
    }

    /// Reads an object and answers what it leads to.
    private func read(_ work: Work) throws -> [Work] {
        switch work {
        case .node(let id):
            guard let node = try repository.database.storedNode(id) else {
                found.withLock { $0.missing.append(ObjectKeys.node(id)) }
                return []
            }
            guard node.isLeaf else { return unseen((0..<node.count).map { .node(node.child($0)) }) }
            var lists: [Work] = []
            var extents: [Extent] = []
            for index in 0..<node.count {
                let located = try LocatedEntry(item: node.item(index))
                if case .list(let list) = located.entry.file?.blocks { lists.append(.list(list)) }
                extents += located.extents
            }
            try use(extents)
            return unseen(lists)
        case .list(let id):
            guard let list = try repository.database.storedList(id) else {
                found.withLock { $0.missing.append(ObjectKeys.list(id)) }
                return []
            }
            try use(list.blocks.extents)
            return []
        }
    }

    private func use(_ extents: [Extent]) throws {
        let present = try moves.present(of: extents.filter { $0.codec != .zeros })
        found.withLock { found in
            for extent in present where found.locations.insert(extent.locationHash).inserted {
                found.packs[extent.pack, default: PackUse()].bytes += UInt64(extent.storedLength)
                found.packs[extent.pack, default: PackUse()].blocks += 1
            }
        }
    }
}

extension Extent {
    /// Where it is, in 64 bits: the pack's id is random, so its half spreads well.
    var locationHash: UInt64 {
        var mixed = (offset &+ 0x9e37_79b9_7f4a_7c15) &* 0xbf58_476d_1ce4_e5b9
        mixed ^= mixed >> 29
        return pack.high ^ (mixed &* 0x94d0_49bb_1331_11eb) ^ pack.low.byteSwapped
    }
}
