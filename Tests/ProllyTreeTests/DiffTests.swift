import ProllyTree
import TestSupport
import Testing

@Suite struct DiffTests {
    @Test(arguments: 1...6 as ClosedRange<UInt64>)
    func diffAgreesWithDictionariesBothWays(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let store = MemoryNodeStore()
        let old = generatedItems(random.below(5000), seed: seed)
        var new: [[UInt8]: Item] = Dictionary(uniqueKeysWithValues: old.map { ($0.key, $0) })
        for _ in 0..<random.below(60) {
            if let item = old.randomElement(using: &random), random.oneIn(2) {
                new[item.key] = random.oneIn(2) ? nil : Item(key: item.key, value: random.bytes(9))
            }
            let key = Array("dir-\(random.below(60))\0new-\(random.below(1 << 20))".utf8)
            new[key] = Item(key: key, value: random.bytes(80))
        }
        if random.oneIn(3), !old.isEmpty {
            let start = random.below(old.count)
            for item in old[start..<min(old.count, start + 2000)] { new[item.key] = nil }
        }
        let left = try Tree.build(old, in: store)
        let right = try Tree.build(new.values.sorted { compareBytes($0.key, $1.key) < 0 }, in: store)
        let oldMap = Dictionary(uniqueKeysWithValues: old.map { ($0.key, $0) })
        let wanted = Set(oldMap.keys).union(new.keys).filter { oldMap[$0]?.value != new[$0]?.value }
            .sorted { compareBytes($0, $1) < 0 }
        #expect(try changes(left, right) == wanted.map { Pair(old: oldMap[$0], new: new[$0]) }, "seed \(seed)")
        #expect(try changes(right, left) == wanted.map { Pair(old: new[$0], new: oldMap[$0]) }, "seed \(seed)")
        for _ in 0..<20 {
            let ends = [random.bytes(6), Array("dir-\(random.below(60))".utf8)].sorted { compareBytes($0, $1) < 0 }
            let within = wanted.filter { compareBytes($0, ends[0]) >= 0 && compareBytes($0, ends[1]) < 0 }
            var found: [[UInt8]] = []
            try left.diff(to: right, from: ends[0], upTo: ends[1]) {
                found.append($0.key)
                return true
            }
            #expect(found == within, "seed \(seed)")
        }
    }

    private struct Pair: Equatable {
        let old: Item?
        let new: Item?
    }

    private func changes<Store: NodeStore>(_ left: Tree<Store>, _ right: Tree<Store>) throws -> [Pair] {
        var changes: [Pair] = []
        try left.diff(to: right) {
            changes.append(Pair(old: $0.old, new: $0.new))
            return true
        }
        return changes
    }

    @Test func costFollowsTheDifferenceNotTheTrees() throws {
        let store = CountingStore()
        let items = generatedItems(60_000)
        let tree = try Tree.build(items, in: store)
        let edited = try tree.applying([.put(Item(key: items[30_000].key, value: [1]))])
        _ = store.takeLoads()
        #expect(try changes(tree, edited).count == 1)
        #expect(store.takeLoads() <= 12)
        #expect(try changes(tree, tree).isEmpty)
        #expect(store.takeLoads() <= 2)
    }

    /// The start of the tree removed: everything behind is shared but stands at other places.
    @Test func removedFrontDoesNotReadTheRest() throws {
        let store = CountingStore()
        let items = generatedItems(60_000)
        let tree = try Tree.build(items, in: store)
        let cut = try tree.applying(items[..<500].map { .remove($0.key) })
        _ = store.takeLoads()
        #expect(try changes(tree, cut).count == 500)
        #expect(store.takeLoads() <= 16)
    }

    /// A taller tree against a lower one that it holds.
    @Test func treesOfDifferentHeightsShareSubtrees() throws {
        let store = CountingStore()
        let items = generatedItems(60_000)
        let whole = try Tree.build(items, in: store)
        let part = try Tree.build(Array(items[..<100]), in: store)
        #expect(try whole.height() > part.height())
        #expect(try changes(part, whole).count == 59_900)
        #expect(try changes(whole, part).count == 59_900)
    }

    @Test func editReadsOnlyItsPath() throws {
        let store = CountingStore()
        let items = generatedItems(60_000)
        let tree = try Tree.build(items, in: store)
        _ = store.takeLoads()
        _ = try tree.applying([.put(Item(key: items[30_000].key, value: [1]))])
        #expect(store.takeLoads() <= 20)
    }

    @Test func diffStopsWhenToldTo() throws {
        let store = MemoryNodeStore()
        let tree = try Tree.build(generatedItems(1000), in: store)
        var count = 0
        try Tree.empty(in: store).diff(to: tree) { _ in
            count += 1
            return count < 5
        }
        #expect(count == 5)
    }

    @Test func locationsAreNoDifference() throws {
        let store = MemoryNodeStore()
        let items = generatedItems(100)
        let tree = try Tree.build(items, in: store)
        let moved = try Tree.build(items.map { Item(key: $0.key, value: $0.value, location: [1]) }, in: store)
        #expect(try changes(tree, moved).isEmpty)
    }
}
