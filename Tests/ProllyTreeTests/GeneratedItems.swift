import ProllyTree
import Synchronization
import TestSupport

/// Items as a tree of files has them: keys of 20 to 60 bytes, values of about 100.
func generatedItems(_ count: Int, seed: UInt64 = 1) -> [Item] {
    var random = SeededRandom(seed: seed)
    return (0..<count).map { number in
        let digits = String(number)
        let key = "dir-\(number / 100)\0file-" + String(repeating: "0", count: 8 - digits.count) + digits
        return Item(key: Array(key.utf8), value: random.bytes(60 + random.below(80)), location: random.bytes(20))
    }.sorted { compareBytes($0.key, $1.key) < 0 }
}

/// A store that counts what is loaded from it, and notes what is to be prepared.
final class CountingStore: NodeStore {
    private let base: MemoryNodeStore
    private let loads = Mutex(0)
    private let prepared = Mutex<[NodeID]>([])

    init(_ base: MemoryNodeStore = MemoryNodeStore()) { self.base = base }

    /// Loads since the last call.
    func takeLoads() -> Int {
        loads.withLock { loads in
            defer { loads = 0 }
            return loads
        }
    }

    /// What was to be prepared since the last call.
    func takePrepared() -> [NodeID] {
        prepared.withLock { prepared in
            defer { prepared = [] }
            return prepared
        }
    }

    func prefetch(_ ids: [NodeID]) { prepared.withLock { $0 += ids } }

    func load(_ id: NodeID) throws(TreeError) -> Node {
        loads.withLock { $0 += 1 }
        return try base.load(id)
    }

    func save(_ node: EncodedNode) throws(TreeError) { try base.save(node) }
}

extension Tree {
    /// All items, in order.
    func items() throws -> [Item] {
        var items: [Item] = []
        try forEach {
            items.append($0)
            return true
        }
        return items
    }

    /// How many levels it has.
    func height() throws -> Int { try store.load(root).level + 1 }
}
