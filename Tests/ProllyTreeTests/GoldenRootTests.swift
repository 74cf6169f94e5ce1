import ProllyTree
import TestSupport
import Testing

/// Root hashes that pin the format: if one changes, every repository written before has other tree ids.
@Suite struct GoldenRootTests {
    @Test func emptyTree() throws {
        let tree = try Tree.empty(in: MemoryNodeStore())
        #expect(tree.root.hex == "fb50dc0717ff266cf9baf82b1ce7a1c2ef6d9247859680b11a19fb7077f5f222")
    }

    @Test func treeOfTenThousandItems() throws {
        let tree = try Tree.build(generatedItems(10_000), in: MemoryNodeStore())
        #expect(tree.root.hex == "e08e9c5b6a0e4637c0acfef3dd8481b27a3bab28b9273e5b9b63886e2211825e")
        #expect(try tree.height() == 2)
        #expect(try tree.count() == 10_000)
    }

    /// Long keys fill interior nodes fast.
    @Test func treeOfThreeLevels() throws {
        let long = [UInt8](repeating: 7, count: 3000)
        let items = generatedItems(4000).map { Item(key: $0.key + long, value: $0.value) }
        let tree = try Tree.build(items, in: MemoryNodeStore())
        #expect(tree.root.hex == "537c6b41041907e19fdef3b8a0d0223851fa4bb36c5703650be88fb7ffe69473")
        #expect(try tree.height() >= 3)
    }

    @Test func locationsAreHashedIntoNoID() throws {
        let items = generatedItems(2000)
        let bare = items.map { Item(key: $0.key, value: $0.value) }
        #expect(try Tree.build(items, in: MemoryNodeStore()).root == Tree.build(bare, in: MemoryNodeStore()).root)
    }

    @Test func locationsAreKept() throws {
        let items = generatedItems(2000)
        #expect(try Tree.build(items, in: MemoryNodeStore()).items() == items)
    }
}
