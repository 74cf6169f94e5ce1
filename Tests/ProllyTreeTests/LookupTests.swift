import ProllyTree
import TestSupport
import Testing

@Suite struct LookupTests {
    private let items = generatedItems(6000, seed: 5)
    private let tree: Tree<MemoryNodeStore>

    init() throws { tree = try Tree.build(items, in: MemoryNodeStore()) }

    @Test func everyKeyIsFoundWithItsRank() throws {
        for (index, item) in items.enumerated() where index % 7 == 0 || index < 3 || index > items.count - 3 {
            let found = try #require(try tree.find(item.key))
            #expect(found.item == item)
            #expect(found.rank == UInt64(index))
            #expect(try tree.item(atRank: UInt64(index)) == item)
        }
        #expect(try tree.item(atRank: UInt64(items.count)) == nil)
        #expect(try tree.item(atRank: .max) == nil)
    }

    @Test func keysThatAreNotThereHaveTheRankOfTheNext() throws {
        var random = SeededRandom(seed: 6)
        for _ in 0..<400 {
            let key =
                random.oneIn(2) ? items[random.below(items.count)].key + [random.oneIn(2) ? 0 : 200] : random.bytes(5)
            let rank = items.firstIndex { compareBytes($0.key, key) >= 0 } ?? items.count
            #expect(try tree.rank(of: key) == UInt64(rank))
            #expect(try tree.get(key) == nil)
            var cursor = try Cursor(tree, from: key)
            #expect(try cursor.next() == (rank < items.count ? items[rank] : nil))
            #expect(try cursor.next() == (rank + 1 < items.count ? items[rank + 1] : nil))
        }
    }

    @Test func cursorFromARankWalksToTheEnd() throws {
        for rank in [0, 1, 4999, 5999] {
            var cursor = try Cursor(tree, fromRank: UInt64(rank))
            var count = 0
            while let item = try cursor.next() {
                #expect(item == items[rank + count])
                count += 1
            }
            #expect(count == items.count - rank)
            #expect(cursor.isAtEnd)
        }
        #expect(try Cursor(tree, fromRank: 6000).isAtEnd)
    }

    /// Leaves are fetched ahead up to the end that the caller knows, and no further.
    @Test func nothingIsPreparedBehindTheEnd() throws {
        let store = CountingStore()
        let tree = try Tree.build(items, in: store)
        let (from, to) = (items[500].key, items[3000].key)
        for cursor in [
            try Cursor(tree, from: from, preparingUpTo: to),
            try Cursor(tree, fromRank: 500, ahead: 32, preparingUpTo: to),
        ] {
            var cursor = cursor
            while let key = cursor.key(), compareBytes(key, to) < 0 { try cursor.advance() }
        }
        let prepared = store.takePrepared()
        let keys = try prepared.map { id in try store.load(id).key(0) }
        #expect(keys.count > 4)
        #expect(keys.allSatisfy { compareBytes($0, to) <= 0 })
    }

    @Test func rangeHasItsStartAndNotItsEnd() throws {
        var found: [Item] = []
        try tree.forEach(from: items[40].key, to: items[90].key) {
            found.append($0)
            return true
        }
        #expect(found == Array(items[40..<90]))
    }

    @Test func emptyTreeHasNothing() throws {
        let empty = try Tree.empty(in: MemoryNodeStore())
        #expect(try empty.count() == 0)
        #expect(try empty.get([1]) == nil)
        #expect(try empty.get([]) == nil)
        #expect(try empty.rank(of: [1]) == 0)
        #expect(try empty.item(atRank: 0) == nil)
        #expect(try Cursor(empty).isAtEnd)
    }

    @Test func emptyKeyIsAKey() throws {
        let tree = try Tree.build([Item(key: [], value: [1])] + items, in: MemoryNodeStore())
        #expect(try tree.get([])?.value == [1])
        #expect(try tree.find(items[0].key)?.rank == 1)
    }
}
