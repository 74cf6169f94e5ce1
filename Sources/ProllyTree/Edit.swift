/// One change to a map: a new item under a key, or none.
package struct Edit: Hashable, Sendable {
    package let key: [UInt8]
    /// `nil` removes the key; removing one that is not there changes nothing.
    package let item: Item?

    package static func put(_ item: Item) -> Edit { Edit(key: item.key, item: item) }
    package static func remove(_ key: [UInt8]) -> Edit { Edit(key: key, item: nil) }
}

extension Tree {
    /// The tree after `edits`, which come in strictly ascending order of keys. Saves only the nodes that are new: the
    /// changed leaves, where their ends move a few neighbours, and the path to the root.
    package func applying(_ edits: [Edit]) throws(TreeError) -> Tree {
        for (left, right) in zip(edits, edits.dropFirst()) {
            precondition(compareBytes(left.key, right.key) < 0, "edits must come in order")
        }
        let rootNode = try store.load(root)
        var edits = edits.map { LevelEdit(key: $0.key, item: $0.item, itemCount: 1) }
        for level in 0...rootNode.level {
            if edits.isEmpty { return self }
            var rewrite = LevelRewrite(tree: self, level: level)
            try rewrite.apply(edits)
            if level == rootNode.level {
                return try collapse(Tree(root: joinLevels(rewrite.added, level: level, store: store), store: store))
            }
            edits = rewrite.editsForParents()
        }
        preconditionFailure("the root's level ends the loop")
    }

    /// The canonical root: the lowest node that holds everything.
    private func collapse(_ tree: Tree) throws(TreeError) -> Tree {
        var node = try store.load(tree.root)
        while !node.isLeaf, node.count == 1 {
            node = try loadChild(of: node, 0)
        }
        return Tree(root: node.id, store: store)
    }
}

private struct LevelEdit {
    let key: [UInt8]
    let item: Item?
    let itemCount: UInt64
}

/// Splits the nodes of one level anew where edits touch them, and notes which nodes went and which came.
private struct LevelRewrite<Store: NodeStore> {
    private let tree: Tree<Store>
    private let level: Int
    private var builder: LevelBuilder<Store>
    private var removedKeys: [[UInt8]] = []
    private(set) var added: [ChildReference] = []

    init(tree: Tree<Store>, level: Int) {
        self.tree = tree
        self.level = level
        builder = LevelBuilder(level: level, store: tree.store)
    }

    /// Runs from the node that the first edit falls into until a new node ends where an old one did and no edit falls
    /// into the next old node: from there on the old nodes stand. Then jumps to the node of the next edit. Loads no node
    /// that stands.
    mutating func apply(_ edits: [LevelEdit]) throws(TreeError) {
        var next = 0
        var cursor = try LevelCursor(tree, level: level, atNodeFor: edits[0].key)
        while next < edits.count {
            cursor = try cursor.moved(toNodeFor: edits[next].key)
            while let node = cursor.node {
                next = try rewrite(node, isLast: cursor.isLast, edits, from: next)
                if builder.isAtBoundary, next == edits.count || !cursor.siblingCovers(edits[next].key) { break }
                try cursor.advance()
            }
            if cursor.node == nil {
                // Past the last old node: what is left was appended to it by `rewrite`.
                try builder.finish()
            }
            added += builder.takeNodes()
        }
    }

    private mutating func rewrite(
        _ node: Node, isLast: Bool, _ edits: [LevelEdit], from first: Int
    ) throws(TreeError) -> Int {
        var next = first
        if node.count > 0 { removedKeys.append(node.key(node.count - 1)) }
        for index in 0..<node.count {
            let key = node.key(index)
            while next < edits.count, compareBytes(edits[next].key, key) < 0 {
                try add(edits[next])
                next += 1
            }
            if next < edits.count, edits[next].key == key {
                try add(edits[next])
                next += 1
            } else {
                try builder.append(node.item(index), itemCount: node.itemsBefore(index + 1) - node.itemsBefore(index))
            }
        }
        while isLast, next < edits.count {
            try add(edits[next])
            next += 1
        }
        return next
    }

    private mutating func add(_ edit: LevelEdit) throws(TreeError) {
        if let item = edit.item { try builder.append(item, itemCount: edit.itemCount) }
    }

    /// The parents' edits: the old nodes' items go, the new nodes' come.
    func editsForParents() -> [LevelEdit] {
        var byKey: [[UInt8]: LevelEdit] = [:]
        for key in removedKeys { byKey[key] = LevelEdit(key: key, item: nil, itemCount: 0) }
        for node in added {
            byKey[node.lastKey] = LevelEdit(
                key: node.lastKey, item: Item(key: node.lastKey, value: node.value), itemCount: node.itemCount)
        }
        return byKey.values.sorted { compareBytes($0.key, $1.key) < 0 }
    }
}

/// Walks the nodes (not the items) of one level from left to right.
private struct LevelCursor<Store: NodeStore> {
    private let tree: Tree<Store>
    private let level: Int
    /// Interior nodes from the root down to the parents of `node`.
    private var frames: [(node: Node, index: Int)] = []
    /// The node stood at; `nil` past the last.
    private(set) var node: Node?

    /// Stands at the node that `key` falls into: the first that ends at or after it, else the last.
    init(_ tree: Tree<Store>, level: Int, atNodeFor key: [UInt8]) throws(TreeError) {
        self.tree = tree
        self.level = level
        var current = try tree.store.load(tree.root)
        while current.level > level {
            let index = min(current.firstIndex(notBelow: key), current.count - 1)
            frames.append((current, index))
            current = try tree.loadChild(of: current, index)
        }
        node = current
    }

    /// The place of the node that `key` falls into; itself when that is where it stands.
    func moved(toNodeFor key: [UInt8]) throws(TreeError) -> LevelCursor {
        covers(key) ? self : try LevelCursor(tree, level: level, atNodeFor: key)
    }

    /// Whether `key`, which is above all nodes to the left, falls into this node.
    private func covers(_ key: [UInt8]) -> Bool {
        guard let node else { return false }
        if node.count == 0 || isLast { return true }
        return node.hasKey(node.count - 1, notBelow: key)
    }

    /// Whether `key`, which is above this node, falls into the next, as far as their parent tells.
    func siblingCovers(_ key: [UInt8]) -> Bool {
        guard let (parent, index) = frames.last, index + 1 < parent.count else { return false }
        return parent.hasKey(index + 1, notBelow: key)
    }

    var isLast: Bool { !frames.contains { $0.index + 1 < $0.node.count } }

    mutating func advance() throws(TreeError) {
        while let top = frames.last, top.index + 1 >= top.node.count { frames.removeLast() }
        guard !frames.isEmpty else {
            node = nil
            return
        }
        frames[frames.count - 1].index += 1
        var current = try tree.loadChild(of: frames[frames.count - 1].node, frames[frames.count - 1].index)
        while current.level > level {
            frames.append((current, 0))
            current = try tree.loadChild(of: current, 0)
        }
        node = current
    }
}

extension Node {
    /// Whether the key at `index` is `key` or comes after it.
    fileprivate func hasKey(_ index: Int, notBelow key: [UInt8]) -> Bool {
        withKey(index) { own in key.withUnsafeBytes { compareBytes($0, own) <= 0 } }
    }
}
