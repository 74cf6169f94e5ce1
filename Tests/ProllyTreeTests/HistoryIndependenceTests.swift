import ProllyTree
import TestSupport
import Testing

/// Any order and grouping of edits gives the root that building from scratch gives.
@Suite struct HistoryIndependenceTests {
    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func randomEditsGiveTheRootOfAFreshBuild(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let store = MemoryNodeStore()
        var model: [[UInt8]: Item] = [:]
        for item in generatedItems(random.below(4000), seed: seed) { model[item.key] = item }
        var tree = try Tree.build(sorted(model), in: store)
        for round in 0..<30 {
            let edits = randomEdits(model, &random)
            for edit in edits { model[edit.key] = edit.item }
            tree = try tree.applying(edits)
            let fresh = try Tree.build(sorted(model), in: MemoryNodeStore())
            #expect(tree.root == fresh.root, "seed \(seed), round \(round), \(edits.count) edits")
            #expect(try tree.count() == UInt64(model.count), "seed \(seed), round \(round)")
        }
        #expect(try tree.items() == sorted(model), "seed \(seed)")
    }

    private func sorted(_ model: [[UInt8]: Item]) -> [Item] {
        model.values.sorted { compareBytes($0.key, $1.key) < 0 }
    }

    /// One of: scattered edits, a run removed (whole nodes), all removed, a run put before or after all, large values.
    private func randomEdits(_ model: [[UInt8]: Item], _ random: inout SeededRandom) -> [Edit] {
        let items = sorted(model)
        var edits: [[UInt8]: Edit] = [:]
        func put(_ key: [UInt8], _ size: Int) {
            edits[key] = .put(Item(key: key, value: random.bytes(size), location: random.bytes(3)))
        }
        switch random.below(items.count > 2000 ? 12 : 9) {
        case 0, 1, 2, 3:
            for _ in 0..<(1 + random.below(40)) {
                if let item = items.randomElement(using: &random), random.oneIn(2) {
                    if random.oneIn(2) { edits[item.key] = .remove(item.key) } else { put(item.key, random.below(300)) }
                } else {
                    put(Array("dir-\(random.below(40))\0file-x\(random.below(1 << 30))".utf8), random.below(200))
                }
            }
        case 4: for number in 0..<random.below(1500) { put(Array("zz-\(random.below(99))\0\(number)".utf8), 100) }
        case 5: for number in 0..<random.below(1500) { put(Array("a-\(random.below(99))\0\(number)".utf8), 100) }
        case 6: for _ in 0..<4 { put(Array("dir-\(random.below(40))\0big\(random.below(9))".utf8), 60 << 10) }
        case 7: edits[[0xff]] = .remove([0xff])  // not there
        case 8 where random.oneIn(4): for item in items { edits[item.key] = .remove(item.key) }
        default:
            let start = random.below(items.count + 1)
            for item in items[start..<min(items.count, start + random.below(1800))] {
                edits[item.key] = .remove(item.key)
            }
        }
        return edits.values.sorted { compareBytes($0.key, $1.key) < 0 }
    }

    /// Keys so long that every node has few items: three levels and more, whose ends move with nearly every edit.
    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func randomEditsOfATallTreeGiveTheRootOfAFreshBuild(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let store = MemoryNodeStore()
        var model: [[UInt8]: Item] = [:]
        var tree = try Tree.empty(in: store)
        func key(_ number: Int) -> [UInt8] {
            [UInt8(number >> 8), UInt8(number & 255)] + [UInt8](repeating: 9, count: 7000)
        }
        var tallest = 0
        for round in 0..<25 {
            var edits: [[UInt8]: Edit] = [:]
            let isShrinking = round % 8 > 5
            for _ in 0..<(1 + random.below(120)) {
                let key = key(random.below(700))
                edits[key] =
                    random.oneIn(isShrinking ? 1 : 5) ? .remove(key) : .put(Item(key: key, value: random.bytes(50)))
            }
            if round == 20 { for key in model.keys { edits[key] = .remove(key) } }
            for edit in edits.values { model[edit.key] = edit.item }
            tree = try tree.applying(edits.values.sorted { compareBytes($0.key, $1.key) < 0 })
            let fresh = try Tree.build(sorted(model), in: MemoryNodeStore())
            #expect(tree.root == fresh.root, "seed \(seed), round \(round)")
            tallest = max(tallest, try tree.height())
        }
        #expect(tallest >= 3)
    }

    @Test func oneEditAtATimeGivesTheSameRootAsAllAtOnce() throws {
        let items = generatedItems(1500)
        var random = SeededRandom(seed: 3)
        let store = MemoryNodeStore()
        var tree = try Tree.empty(in: store)
        for item in items.shuffled(using: &random) { tree = try tree.applying([.put(item)]) }
        #expect(try tree.root == Tree.build(items, in: MemoryNodeStore()).root)
        for item in items.shuffled(using: &random) { tree = try tree.applying([.remove(item.key)]) }
        #expect(try tree.root == Tree.empty(in: store).root)
    }

    @Test func editThatChangesNothingKeepsTheRoot() throws {
        let items = generatedItems(3000)
        let tree = try Tree.build(items, in: MemoryNodeStore())
        #expect(try tree.applying([]).root == tree.root)
        #expect(try tree.applying(items[100..<200].map(Edit.put)).root == tree.root)
        #expect(try tree.applying([.remove([1, 2, 3])]).root == tree.root)
    }
}
