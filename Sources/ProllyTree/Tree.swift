/// An ordered map of bytes with a content hash: a prolly tree (Merkle search tree with content-defined node ends).
///
/// A value: the root's id and where nodes are loaded from. Equal maps have equal roots in every store and after any
/// history.
package struct Tree<Store: NodeStore>: Sendable {
    package let root: NodeID
    package let store: Store

    package init(root: NodeID, store: Store) {
        self.root = root
        self.store = store
    }

    /// Items in the whole tree. Loads the root.
    package func count() throws(TreeError) -> UInt64 {
        try store.load(root).itemCount
    }

    /// The item with this key, and its rank: how many items are before it.
    package func find(_ key: [UInt8]) throws(TreeError) -> (item: Item, rank: UInt64)? {
        let position = try locate(key)
        guard let node = position.node, position.index < node.count,
            node.withKey(position.index, { $0.elementsEqual(key) })
        else {
            return nil
        }
        return (node.item(position.index), position.rank)
    }

    package func get(_ key: [UInt8]) throws(TreeError) -> Item? {
        try find(key)?.item
    }

    /// How many items have keys below `key`.
    package func rank(of key: [UInt8]) throws(TreeError) -> UInt64 {
        try locate(key).rank
    }

    /// The item with `rank` items before it; `nil` past the end.
    package func item(atRank rank: UInt64) throws(TreeError) -> Item? {
        var node = try store.load(root)
        guard rank < node.itemCount else { return nil }
        var rest = rank
        while !node.isLeaf {
            let index = node.childIndex(ofRank: rest)
            rest -= node.itemsBefore(index)
            node = try loadChild(of: node, index)
            guard rest < node.itemCount else {
                throw .corrupt(node.id, reason: "holds fewer items than its parent says")
            }
        }
        return node.item(Int(rest))
    }

    /// The leaf and index of the first key not below `key` (the index may be one past the leaf's end, at the tree's
    /// end).
    private func locate(_ key: [UInt8]) throws(TreeError) -> (node: Node?, index: Int, rank: UInt64) {
        var node = try store.load(root)
        var before: UInt64 = 0
        while !node.isLeaf {
            let index = node.firstIndex(notBelow: key)
            before += node.itemsBefore(index)
            guard index < node.count else { return (nil, 0, before) }
            node = try loadChild(of: node, index)
        }
        let index = node.firstIndex(notBelow: key)
        return (node, index, before + UInt64(index))
    }

    /// Loads the i-th child and holds it against what its parent says of it. One level down, so that a damaged tree cannot
    /// make a loop.
    func loadChild(of node: Node, _ index: Int) throws(TreeError) -> Node {
        let child = try store.load(node.child(index))
        if let fault = node.fault(of: child, at: index) { throw .corrupt(child.id, reason: fault) }
        return child
    }

    /// Builds the tree of `items`, which come in strictly ascending order of keys, holding one node a level in memory.
    package static func build(_ items: some Sequence<Item>, in store: Store) throws(TreeError) -> Tree {
        var builder = TreeBuilder(store: store)
        for item in items { try builder.append(item) }
        return try builder.finish()
    }

    package static func empty(in store: Store) throws(TreeError) -> Tree {
        try build([], in: store)
    }
}

/// Builds a tree from items that arrive in order, one at a time.
package struct TreeBuilder<Store: NodeStore> {
    private let store: Store
    private var leaves: LevelBuilder<Store>
    private var lastKey: [UInt8]?

    package init(store: Store) {
        self.store = store
        leaves = LevelBuilder(level: 0, store: store)
    }

    /// - Precondition: the key is above the last one.
    package mutating func append(_ item: Item) throws(TreeError) {
        if let lastKey { precondition(compareBytes(lastKey, item.key) < 0, "items must come in order") }
        lastKey = item.key
        try leaves.append(item, itemCount: 1)
    }

    package mutating func finish() throws(TreeError) -> Tree<Store> {
        try leaves.finish()
        return Tree(root: try joinLevels(leaves.nodes, level: 0, store: store), store: store)
    }
}

/// Builds the levels above `nodes` (all the nodes of `level`) up to a single root, and answers its id.
func joinLevels<Store: NodeStore>(
    _ nodes: [ChildReference], level: Int, store: Store
) throws(TreeError) -> NodeID {
    var nodes = nodes
    var level = level
    while nodes.count > 1 {
        level += 1
        var builder = LevelBuilder(level: level, store: store)
        for node in nodes {
            try builder.append(Item(key: node.lastKey, value: node.value), itemCount: node.itemCount)
        }
        try builder.finish()
        nodes = builder.nodes
    }
    if let root = nodes.first { return root.id }
    let empty = encodeNode(level: 0, [])
    try store.save(empty)
    return empty.id
}
