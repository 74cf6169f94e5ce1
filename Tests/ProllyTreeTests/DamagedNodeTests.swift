import ProllyTree
import Synchronization
import TestSupport
import Testing

/// A store that hands out what it was told to, whatever the id.
private final class LyingStore: NodeStore {
    private let nodes = Mutex<[NodeID: (logical: [UInt8], location: [UInt8])]>([:])

    func set(_ id: NodeID, _ logical: [UInt8], _ location: [UInt8] = []) {
        nodes.withLock { $0[id] = (logical, location) }
    }

    func load(_ id: NodeID) throws(TreeError) -> Node {
        guard let node = nodes.withLock({ $0[id] }) else { throw .missing(id) }
        do {
            return try Node(id: id, logical: node.logical, location: node.location)
        } catch {
            throw .corrupt(id, reason: error.reason)
        }
    }

    func save(_ node: EncodedNode) throws(TreeError) { set(node.id, node.logical, node.location) }
}

@Suite struct DamagedNodeTests {
    private static let id = NodeID(hashing: [1])

    /// format 1, the level, and items of a key and a value.
    private func encode(level: UInt8, _ items: [(key: [UInt8], value: [UInt8])]) -> [UInt8] {
        var bytes: [UInt8] = [1, level]
        appendVarint(UInt64(items.count), to: &bytes)
        for item in items {
            for run in [item.key, item.value] {
                appendVarint(UInt64(run.count), to: &bytes)
                bytes += run
            }
        }
        return bytes
    }

    private func child(_ id: NodeID, _ count: UInt64) -> [UInt8] {
        var value = id.bytes
        appendVarint(count, to: &value)
        return value
    }

    /// Everything a caller can do with a tree; it may throw TreeErrors and nothing else.
    private func useAll(_ tree: Tree<some NodeStore>) {
        func attempt(_ body: () throws -> Void) {
            do { try body() } catch is TreeError {} catch { Issue.record("\(error) is no TreeError") }
        }
        attempt { _ = try tree.count() }
        for key in [[], [5], [0x61], [0xff]] as [[UInt8]] {
            attempt { _ = try tree.get(key) }
            attempt { _ = try tree.rank(of: key) }
            attempt { _ = try tree.applying([.put(Item(key: key, value: [1]))]) }
            attempt { _ = try tree.applying([.remove(key)]) }
        }
        for rank in [0, 1, 2, 1000, UInt64.max / 2, UInt64.max / 2 + 5, UInt64.max - 1, .max] as [UInt64] {
            attempt { _ = try tree.item(atRank: rank) }
            attempt { _ = try Cursor(tree, fromRank: rank) }
        }
        attempt { try tree.forEach { _ in true } }
        attempt {
            let empty = try Tree.empty(in: tree.store)
            try empty.diff(to: tree) { _ in true }
            try tree.diff(to: empty) { _ in true }
        }
    }

    private func damaged(_ logical: [UInt8], _ location: [UInt8] = []) {
        let store = LyingStore()
        store.set(Self.id, logical, location)
        useAll(Tree(root: Self.id, store: store))
    }

    @Test func bitFlipAnywhereInALeafNeverCrashes() {
        let leaf = encode(level: 0, [([0x61], [1, 2]), ([0x62], []), ([0x63, 0x63], [9])])
        for bit in 0..<leaf.count * 8 {
            var bytes = leaf
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            damaged(bytes)
        }
    }

    @Test func bitFlipAnywhereInAnInteriorNodeNeverCrashes() throws {
        let store = LyingStore()
        let leaf = try Tree.build([Item(key: [0x61], value: [1])], in: store).root
        let node = encode(level: 1, [([0x61], child(leaf, 1)), ([0x62], child(leaf, 1))])
        for bit in 0..<node.count * 8 {
            var bytes = node
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            store.set(Self.id, bytes)
            useAll(Tree(root: Self.id, store: store))
        }
    }

    @Test func truncatedNodeIsRefused() {
        let leaf = encode(level: 0, [([0x61], [1, 2]), ([0x62], [3])])
        for count in 0..<leaf.count {
            #expect(throws: DecodingFault.self) {
                try Node(id: Self.id, logical: Array(leaf[..<count]), location: [])
            }
        }
        #expect(throws: DecodingFault.self) { try Node(id: Self.id, logical: leaf + [0], location: []) }
    }

    @Test(
        arguments: [[0], [1], [1, 2], [0, 0, 0], [5, 1], [255, 255, 255, 255, 255, 255, 255, 255, 255, 1]] as [[UInt8]])
    func locationPartThatDoesNotFitIsRefused(location: [UInt8]) {
        let leaf = encode(level: 0, [([0x61], [1]), ([0x62], [2])])
        #expect(throws: DecodingFault.self) { try Node(id: Self.id, logical: leaf, location: location) }
    }

    @Test func keysOutOfOrderAreRefused() {
        for keys in [[[2], [1]], [[1], [1]], [[1, 1], [1]]] as [[[UInt8]]] {
            let leaf = encode(level: 0, keys.map { ($0, []) })
            #expect(throws: DecodingFault.self) { try Node(id: Self.id, logical: leaf, location: []) }
        }
    }

    /// It would not come back from its items, and moving its locations would end the process.
    @Test func nodeInAnotherEncodingIsRefused() {
        let node: [UInt8] = [1, 0, 1, 0x81, 0, 0x61, 1, 0x62]
        #expect(throws: DecodingFault.self) { try Node(id: Self.id, logical: node, location: []) }
        let count = Self.id.bytes + [0x83, 0]
        let inner = encode(level: 1, [([0x61], count)])
        #expect(throws: DecodingFault.self) { try Node(id: Self.id, logical: inner, location: []) }
    }

    @Test func otherFormatOrLevelIsRefused() {
        #expect(throws: DecodingFault.self) { try Node(id: Self.id, logical: [2, 0, 0], location: []) }
        #expect(throws: DecodingFault.self) { try Node(id: Self.id, logical: [1, 33, 0], location: []) }
        #expect(throws: DecodingFault.self) { try Node(id: Self.id, logical: [1, 1, 0], location: []) }
    }

    @Test func nodeThatIsItsOwnChildIsCorrupt() {
        let store = LyingStore()
        store.set(Self.id, encode(level: 1, [([0x61], child(Self.id, 1)), ([0x62], child(Self.id, 1))]))
        let tree = Tree(root: Self.id, store: store)
        useAll(tree)
        #expect(throws: TreeError.self) { try tree.forEach { _ in true } }
        #expect(throws: TreeError.self) { try tree.get([0x61]) }
    }

    @Test func childOfTheWrongLevelIsCorrupt() throws {
        let store = LyingStore()
        let leaf = try Tree.build([Item(key: [0x61], value: [1])], in: store).root
        store.set(Self.id, encode(level: 2, [([0x61], child(leaf, 1)), ([0x62], child(leaf, 1))]))
        let tree = Tree(root: Self.id, store: store)
        useAll(tree)
        #expect(throws: TreeError.self) { try tree.get([0x61]) }
    }

    @Test func countsThatLieNeverCrash() throws {
        let store = LyingStore()
        let leaf = try Tree.build([Item(key: [0x61], value: [1])], in: store).root
        for count in [0, 7, UInt64.max / 2 - 1, .max / 2, .max - 1] as [UInt64] {
            store.set(Self.id, encode(level: 1, [([0x61], child(leaf, count)), ([0x62], child(leaf, 1))]))
            useAll(Tree(root: Self.id, store: store))
        }
        let node = encode(level: 1, [([0x61], child(leaf, .max)), ([0x62], child(leaf, 1))])
        #expect(throws: DecodingFault.self) { try Node(id: Self.id, logical: node, location: []) }
    }

    @Test func emptyChildNeverCrashes() throws {
        let store = LyingStore()
        let empty = try Tree.empty(in: store).root
        store.set(Self.id, encode(level: 1, [([0x61], child(empty, 0)), ([0x62], child(empty, 3))]))
        useAll(Tree(root: Self.id, store: store))
    }

    @Test func missingNodeIsNamed() throws {
        let store = LyingStore()
        let gone = NodeID(hashing: [2])
        store.set(Self.id, encode(level: 1, [([0x61], child(gone, 1)), ([0x62], child(gone, 1))]))
        do {
            _ = try Tree(root: Self.id, store: store).get([0x61])
            Issue.record("it was read")
        } catch TreeError.missing(let id) { #expect(id == gone) }
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func randomBytesNeverCrash(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        for _ in 0..<3000 {
            var bytes = random.bytes(random.below(90))
            if bytes.count > 3, random.oneIn(2) {
                bytes[0] = 1
                bytes[1] = random.oneIn(2) ? 0 : 1
                bytes[2] = UInt8(random.below(4))
                if random.oneIn(2) { for index in 3..<bytes.count where random.oneIn(3) { bytes[index] &= 7 } }
            }
            damaged(bytes, random.oneIn(2) ? random.bytes(random.below(9)) : [])
        }
    }
}
