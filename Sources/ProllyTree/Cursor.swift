/// A place in a tree, moved forward item by item. Loads a node when it first steps into it, and has ever more of its
/// later siblings prepared the more nodes it has gone through.
package struct Cursor<Store: NodeStore> {
    private let tree: Tree<Store>
    private var frames: [Frame] = []
    /// How many siblings to have prepared at the next step into a node.
    private var ahead: Int
    /// Nothing is prepared that holds no key below it.
    private let end: [UInt8]?

    private struct Frame {
        let node: Node
        var index: Int
        /// Children before it have been loaded or prepared.
        var preparedEnd = 0
    }

    private static var maximumAhead: Int { 32 }

    /// A window, in nodes, that goes on growing: doubled, at least 1, at most 32.
    package static func grown(_ ahead: Int) -> Int { min(max(1, ahead * 2), maximumAhead) }

    /// Stands at the first item whose key is not below `key`.
    /// - Parameter end: the key at which the caller will stop, if it knows: what lies behind is not prepared.
    package init(
        _ tree: Tree<Store>, from key: [UInt8] = [], preparingUpTo end: [UInt8]? = nil
    ) throws(TreeError) {
        self.tree = tree
        ahead = 0
        self.end = end
        var node = try tree.store.load(tree.root)
        while true {
            let index = node.firstIndex(notBelow: key)
            frames.append(Frame(node: node, index: index))
            if node.isLeaf || index == node.count { break }
            node = try tree.loadChild(of: node, index)
        }
        try settle()
    }

    /// Stands at the item of this rank.
    /// - Parameter ahead: how many leaves to have prepared behind the first, up to 32.
    /// - Parameter end: as above.
    package init(
        _ tree: Tree<Store>, fromRank rank: UInt64, ahead: Int = 0, preparingUpTo end: [UInt8]? = nil
    ) throws(TreeError) {
        self.tree = tree
        self.ahead = min(ahead, Self.maximumAhead)
        self.end = end
        var node = try tree.store.load(tree.root)
        guard rank < node.itemCount else { return }
        var rest = rank
        while !node.isLeaf {
            let index = node.childIndex(ofRank: rest)
            rest -= node.itemsBefore(index)
            frames.append(Frame(node: node, index: index))
            if node.level == 1 { prepareSiblings() }
            node = try tree.loadChild(of: node, index)
            guard rest < node.itemCount else {
                throw .corrupt(node.id, reason: "holds fewer items than its parent says")
            }
        }
        frames.append(Frame(node: node, index: Int(rest)))
        try settle()
    }

    package var isAtEnd: Bool { frames.isEmpty }

    /// The item at this place; `nil` at the end.
    package var item: Item? {
        guard let leaf = frames.last else { return nil }
        return leaf.node.item(leaf.index)
    }

    package func key() -> [UInt8]? {
        guard let leaf = frames.last else { return nil }
        return leaf.node.key(leaf.index)
    }

    package mutating func advance() throws(TreeError) {
        guard !frames.isEmpty else { return }
        frames[frames.count - 1].index += 1
        try settle()
    }

    /// The item at this place, then one step forward; `nil` at the end.
    package mutating func next() throws(TreeError) -> Item? {
        guard let item else { return nil }
        try advance()
        return item
    }

    /// Leaves nodes that are used up and steps down to a leaf, so that the top frame is an item or there is none.
    private mutating func settle() throws(TreeError) {
        while let top = frames.last {
            if top.index >= top.node.count {
                frames.removeLast()
                if !frames.isEmpty { frames[frames.count - 1].index += 1 }
            } else if top.node.isLeaf {
                return
            } else {
                if top.node.level == 1 {
                    ahead = Self.grown(ahead)
                    prepareSiblings()
                }
                frames.append(Frame(node: try tree.loadChild(of: top.node, top.index), index: 0))
            }
        }
    }

    /// Has the leaves behind the one at the top frame prepared, half a window before the last prepared one is reached.
    private mutating func prepareSiblings() {
        let top = frames[frames.count - 1]
        guard ahead > 0, top.index + ahead / 2 >= top.preparedEnd else { return }
        let start = max(top.index + 1, top.preparedEnd)
        // A node's key is its last one: the first child that reaches the end may hold keys below it, too.
        let count = end.map { min(top.node.firstIndex(notBelow: $0) + 1, top.node.count) } ?? top.node.count
        let last = min(top.index + 1 + ahead, count)
        guard start < last else { return }
        frames[frames.count - 1].preparedEnd = last
        tree.store.prefetch((start..<last).map(top.node.child))
    }
}

extension Tree {
    /// Calls `body` for every item with `from` ≤ key < `to` (no upper end when `nil`) in order, until it answers false.
    package func forEach(
        from: [UInt8] = [], to: [UInt8]? = nil, _ body: (Item) throws -> Bool
    ) throws {
        var cursor = try Cursor(self, from: from, preparingUpTo: to)
        while let item = try cursor.next() {
            if let to, compareBytes(item.key, to) >= 0 { return }
            if try !body(item) { return }
        }
    }
}
