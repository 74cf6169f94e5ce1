import BlockingIO
import ObjectDatabase
import ObjectStorage
import ProllyTree
import Synchronization
import Versioning

/// Copies the nodes, lists and packs of trees, each once.
struct MirrorData {
    private let source: Repository
    private let target: Repository
    private let progress: @Sendable (String) -> Void
    private let moves: PackForwarding
    private var done: Set<NodeID> = []
    private var doneLists: Set<ContentID> = []
    /// Packs of the target, by size; `nil` until they are listed.
    private var present: [PackID: UInt64]?
    private var sourcePacks: [PackID: UInt64] = [:]

    private(set) var nodes = 0
    private(set) var lists = 0
    private(set) var packs = 0
    private(set) var packBytes: UInt64 = 0
    private(set) var packsPresent = 0

    init(source: Repository, target: Repository, progress: @escaping @Sendable (String) -> Void) {
        self.source = source
        self.target = target
        self.progress = progress
        moves = PackForwarding(store: source.database.store)
    }

    /// Notes the nodes of a tree that the target has, whole. Reads its interior nodes only.
    mutating func skip(_ tree: NodeID) throws {
        var waiting = [tree]
        while let id = waiting.popLast() {
            guard done.insert(id).inserted else { continue }
            // A base that the source has collected saves nothing, and is no error.
            guard let node = try source.database.storedNode(id), !node.isLeaf else { continue }
            let children = (0..<node.count).map { node.child($0) }
            if node.level == 1 { done.formUnion(children) } else { waiting += children }
        }
    }

    /// The source may change while it is read: equal bytes that are uploaded again leave the same node with other locations.
    /// So each time that a node or a list is read to be put, the packs of what was read this time are copied or proven.
    ///
    /// - Parameter parents: trees that the target has whole.
    mutating func copy(_ tree: NodeID, parents: [NodeID]) throws {
        if present == nil {
            progress("listing packs")
            sourcePacks = try source.database.packSizes()
            present = try target.database.packSizes()
            _ = try moves.list()
        }
        var found = try putTree(tree)
        var proven: Set<PlacedBlock> = []
        try bringPacks(of: found, parents)
        for round in 1...Self.maximumRounds where !found.late.isEmpty {
            proven.formUnion(found.blocks)
            found = try putAgain(found.late, isLast: round == Self.maximumRounds)
            found.blocks.removeAll { proven.contains($0) }
            try bringPacks(of: found, parents)
        }
    }

    /// How often what is at the target elsewhere is put again. The first time is enough, unless it moves at the source meanwhile.
    private static let maximumRounds = 8

    /// Puts the nodes of a tree, and the lists that they name, as far as they were not put before.
    private mutating func putTree(_ tree: NodeID) throws -> Found {
        var found = Found()
        var level = [tree].filter { done.insert($0).inserted }
        while !level.isEmpty {
            var part = try putNodes(level)
            nodes += level.count
            part.lists = part.lists.filter { doneLists.insert($0).inserted }
            part.add(try putLists(part.lists))
            lists += part.lists.count
            level = part.children.filter { done.insert($0).inserted }
            part.children = []
            found.add(part)
            progress("\(nodes) tree nodes, \(packs) packs")
        }
        return found
    }

    private func putAgain(_ late: Late, isLast: Bool) throws -> Found {
        var found = try putNodes(late.nodes, isLast: isLast)
        found.lists = late.lists
        found.add(try putLists(late.lists, isLast: isLast))
        return found
    }

    /// Copies the packs that the target lacks, and verifies what is to lie in those that it has.
    private mutating func bringPacks(of found: Found, _ parents: [NodeID]) throws {
        var needed: [PackID: Set<PlacedBlock>] = [:]
        for block in found.blocks { needed[block.extent.pack, default: []].insert(block) }
        let toCopy = needed.filter { !isPresent($0.key) }
        packsPresent += needed.count - toCopy.count
        try PlacementProof(target: target, wholeTrees: parents).verify(
            needed.filter { toCopy[$0.key] == nil }, ranges: found.ranges, lists: Set(found.lists))
        try copyPacks(toCopy)
    }

    /// What is at the target in locations of its own, which give way only to packs that are there.
    private struct Late {
        var nodes: [NodeID] = []
        var lists: [ContentID] = []

        var isEmpty: Bool { nodes.isEmpty && lists.isEmpty }
    }

    /// What some nodes and lists lead to.
    private struct Found {
        var children: [NodeID] = []
        var lists: [ContentID] = []
        var blocks: [PlacedBlock] = []
        var late = Late()
        /// Of the keys of leaves.
        var ranges: [ClosedRange<PlacementProof.Key>] = []

        mutating func add(_ other: Found) {
            children += other.children
            lists += other.lists
            blocks += other.blocks
            late.nodes += other.late.nodes
            late.lists += other.late.lists
            ranges += other.ranges
        }
    }

    private func putNodes(_ ids: [NodeID], isLast: Bool = false) throws -> Found {
        let found = Mutex(Found())
        try concurrently(ids, threads: source.database.ioThreads) { [self] id in
            let part = try copyNode(id, isLast: isLast)
            found.withLock { $0.add(part) }
        }
        return found.withLock { $0 }
    }

    /// Answers whether the object is at the target now; otherwise it is to be put again when its packs are there.
    private func isPut(_ isLast: Bool, _ put: () throws -> Void) throws -> Bool {
        do {
            try put()
            return true
        } catch ObjectDatabaseError.missingObject where !isLast {
            return false
        }
    }

    private func copyNode(_ id: NodeID, isLast: Bool = false) throws -> Found {
        guard let node = try source.database.storedNode(id) else {
            throw ObjectDatabaseError.missingObject(object: ObjectKeys.node(id), neededBy: "the mirror")
        }
        guard node.isLeaf else {
            try target.database.nodes.put(node.relocated((0..<node.count).map { node.item($0) }))
            return Found(children: (0..<node.count).map { node.child($0) })
        }
        var found = Found()
        if node.count > 0 {
            found.ranges = [
                PlacementProof.Key(bytes: node.key(0))...PlacementProof.Key(bytes: node.key(node.count - 1))
            ]
        }
        let items = try (0..<node.count).map { index in
            let item = node.item(index)
            var located = try LocatedEntry(item: item)
            if case .list(let list) = located.entry.file?.blocks { found.lists.append(list) }
            guard let list = try located.inlineList?.moved({ try location(of: $0.extent) }), !list.blocks.isEmpty else {
                return item
            }
            located.extents = list.blocks.extents
            found.blocks += list.blocks.stored
            return Item(key: item.key, value: item.value, location: encodeExtents(located.extents))
        }
        if try !isPut(isLast, { try target.database.nodes.put(node.relocated(items)) }) { found.late.nodes = [id] }
        return found
    }

    private func putLists(_ ids: [ContentID], isLast: Bool = false) throws -> Found {
        let found = Mutex(Found())
        try concurrently(ids, threads: source.database.ioThreads) { [self] id in
            guard let list = try source.database.storedList(id) else {
                throw ObjectDatabaseError.missingObject(object: ObjectKeys.list(id), neededBy: "the mirror")
            }
            let copy = try list.moved { try location(of: $0.extent) }
            let isPut = try isPut(isLast) { try target.database.lists.put(copy) }
            found.withLock { found in
                found.blocks += copy.blocks.stored
                if !isPut { found.late.lists.append(id) }
            }
        }
        return found.withLock { $0 }
    }

    /// Where the source has a block: where its node says, or where repacking has put it.
    private func location(of extent: Extent) throws -> Extent {
        if extent.codec == .zeros || sourcePacks[extent.pack] != nil { return extent }
        return try moves.present(of: extent)
    }

    /// Whether the target has the pack, as long as the source has it.
    private func isPresent(_ pack: PackID) -> Bool {
        guard let size = present?[pack] else { return false }
        return size == sourcePacks[pack] ?? size
    }

    private mutating func copyPacks(_ missing: [PackID: Set<PlacedBlock>]) throws {
        let copied = Mutex<[PackID: UInt64]>([:])
        let total = missing.count
        try concurrently(Array(missing), threads: min(4, source.database.ioThreads)) {
            [source, target, progress] pack, blocks in
            let bytes = try PackCopy(
                pack: pack, source: source.database.store, target: target.database.store, blocks: Array(blocks)
            ).run()
            let done = copied.withLock { copied in
                copied[pack] = bytes
                return copied.count
            }
            progress("\(done) of \(total) packs")
        }
        let sizes = copied.withLock { $0 }
        packs += sizes.count
        packBytes += sizes.values.reduce(0, +)
        present?.merge(sizes) { _, new in new }
    }
}
