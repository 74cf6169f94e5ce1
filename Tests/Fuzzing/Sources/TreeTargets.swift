import ProllyTree
import Versioning

/// Tree nodes, entries, keys, block lists and extents: what is in the tree.
let treeTargets: [FuzzTarget] = [
    FuzzTarget(name: "tree-node", seeds: { nodeSeeds.map { joined($0.logical, $0.location) } }) { input in
        let (logical, location) = inTwo(input)
        tryNode(logical, location)
    },
    FuzzTarget(name: "entry", seeds: { entrySeeds.map { $0.entry.encoded() } }) { input in
        guard let entry = try? Entry(decoding: input) else { return }
        require(entry.encoded() == input, "an entry has one encoding")
        _ = (entry.sizeBytes, entry.file?.contentID)
    },
    FuzzTarget(
        name: "located-entry",
        seeds: { entrySeeds.map { joined($0.entry.encoded(), encodeExtents($0.extents)) } }
    ) { input in
        let (value, location) = inTwo(input)
        guard let entry = try? LocatedEntry(Item(key: [], value: value, location: location)) else { return }
        require(entry.entry.encoded() == value, "an entry has one encoding")
        if entry.inlineList != nil { require(encodeExtents(entry.extents) == location, "extents have one encoding") }
        _ = entry.inlineList?.sizeBytes
    },
    FuzzTarget(name: "tree-key", seeds: { ["", "\0a", "a/b\0c", "..\0x"].map { Array($0.utf8) } }) { input in
        guard let path = try? TreePath(key: input) else { return }
        require(path.key == input, "a path has one key")
        require((try? TreePath(parsing: path.bytes)) == path, "the path of a key is a path")
        require(path.components.allSatisfy { EntryName.fault(in: $0.bytes) == nil }, "parts of a path are names")
        _ = path.description
    },
    FuzzTarget(name: "tree-path", seeds: { ["", "a/b", "/./a//b/", "../x"].map { Array($0.utf8) } }) { input in
        guard let path = try? TreePath(parsing: input) else { return }
        require((try? TreePath(key: path.key)) == path, "the key of a path is that path's")
        require((try? TreePath(parsing: escapedText(path.bytes))) == path, "a path comes back from its text")
    },
    FuzzTarget(
        name: "block-list", seeds: { [joined(someList.encodedLogical(), someList.encodedLocation())] }
    ) { input in
        let (logical, location) = inTwo(input)
        tryList(logical, location)
    },
    FuzzTarget(name: "extents", seeds: { [[UInt8(someExtents.count)] + encodeExtents(someExtents)] }) { input in
        guard let count = input.first else { return }
        let bytes = Array(input.dropFirst())
        guard let extents = try? decodeExtents(bytes, count: Int(count)) else { return }
        require(encodeExtents(extents) == bytes, "extents have one encoding")
        require(extents.allSatisfy { $0.end >= $0.offset }, "an extent ends behind its beginning")
    },
]

func tryNode(_ logical: [UInt8], _ location: [UInt8]) {
    guard let node = try? Node(id: NodeID(hashing: logical), logical: logical, location: location) else { return }
    var items: [Item] = []
    for index in 0..<node.count {
        let item = node.item(index)
        require(node.firstIndex(notBelow: item.key) == index, "a key is found where it is")
        require(node.itemsBefore(index) <= node.itemCount, "counts ascend")
        if !node.isLeaf { _ = node.child(index) }
        items.append(item)
    }
    if node.itemCount > 0, !node.isLeaf {
        for rank in [0, node.itemCount / 2, node.itemCount - 1] {
            require((0..<node.count).contains(node.childIndex(ofRank: rank)), "each rank has a child")
        }
    }
    require(node.relocated(items).logical == logical, "a node has one encoding")
}

func tryList(_ logical: [UInt8], _ location: [UInt8]) {
    guard let list = try? BlockList(logical: logical, location: location) else { return }
    require(list.encodedLogical() == logical && list.encodedLocation() == location, "a list has one encoding")
    _ = (list.sizeBytes, list.contentID)
}

// MARK: Seeds

let someExtents = [
    Extent(pack: PackID(high: 1, low: 2), offset: 0, storedLength: 5, codec: .raw, plainOffset: 0),
    Extent(pack: PackID(high: 1, low: 2), offset: 1 << 40, storedLength: 3, codec: .zstd, plainOffset: 1 << 41),
    .zeros,
]

let someList = BlockList(
    blocks: [
        BlockReference(id: BlockID(hashing: Array("hello".utf8)), length: 5),
        BlockReference(id: BlockID(hashing: Array("world".utf8)), length: 4 << 20),
        BlockReference(id: ZeroBlocks.id(length: 7), length: 7),
    ], extents: someExtents)

let entrySeeds: [LocatedEntry] = {
    let time = Timestamp(seconds: 1_800_000_000, nanoseconds: 123_456_789)
    let content = FileContent(someList)
    let list = FileContent(sizeBytes: 1 << 40, blocks: .list(ContentID(hashing: [1])))
    return [
        LocatedEntry(Entry(kind: .file(content), mode: 0o644, modified: time), of: someList),
        LocatedEntry(Entry(kind: .file(list), mode: 0o4755, modified: time, owner: Owner(userID: 1000, groupID: 1))),
        LocatedEntry(
            Entry(
                kind: .directory, mode: 0o755, modified: Timestamp(seconds: -1, nanoseconds: 0),
                attributes: [ExtendedAttribute(name: Array("user.a".utf8), value: [1, 2, 3])])),
        LocatedEntry(Entry(kind: .symlink(target: Array("../target".utf8)), mode: 0o777, modified: time)),
    ]
}()

let nodeSeeds: [(logical: [UInt8], location: [UInt8])] = {
    func run(_ bytes: [UInt8]) -> [UInt8] { [UInt8(bytes.count)] + bytes }
    let keys = ["", "\0a", "\0b", "a\0c"].map { Array($0.utf8) }
    let items = zip(keys, entrySeeds).map { key, entry in (key, entry.entry.encoded(), encodeExtents(entry.extents)) }
    let leaf: [UInt8] = [1, 0, UInt8(items.count)] + items.flatMap { run($0.0) + run($0.1) }
    let inner: [UInt8] =
        [1, 1, 2] + run(keys[1]) + run(NodeID(hashing: [1]).bytes + [3]) + run(keys[3])
        + run(NodeID(hashing: [2]).bytes + [0xff, 0x01])
    let locations: [UInt8] = items.flatMap { run($0.2) }
    return [(leaf, locations), (leaf, []), (inner, []), ([1, 0, 0], [])]
}()
