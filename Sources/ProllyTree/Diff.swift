/// A key whose value differs between two trees. At least one side is present.
package struct ItemChange: Hashable, Sendable {
    package let old: Item?
    package let new: Item?

    package var key: [UInt8] { (new ?? old)?.key ?? [] }
}

extension Tree {
    /// Calls `body` for every key whose value differs between `self` (old) and `other` (new), in ascending order, until
    /// it answers false. Loads only nodes that are not shared, so the cost follows the difference, not the trees.
    ///
    /// - Parameters:
    ///   - from: only keys from this on are looked at.
    ///   - end: and only keys below this; `nil` for no end.
    package func diff(
        to other: Tree, from: [UInt8] = [], upTo end: [UInt8]? = nil, _ body: (ItemChange) throws -> Bool
    ) throws {
        try diff(to: other, from: from) { change in
            if let end, compareBytes(change.key, end) >= 0 { return false }
            return try body(change)
        }
    }

    private func diff(to other: Tree, from: [UInt8], _ body: (ItemChange) throws -> Bool) throws {
        var old = try DiffSide(self, from: from)
        var new = try DiffSide(other, from: from)
        while true {
            switch (old.level, new.level) {
            case (nil, nil):
                return
            case (.some(1...), nil):
                try old.descend()
            case (nil, .some(1...)):
                try new.descend()
            case (.some, nil):
                if try !body(ItemChange(old: old.item(), new: nil)) { return }
                old.advance()
            case (nil, .some):
                if try !body(ItemChange(old: nil, new: new.item())) { return }
                new.advance()
            case (.some(0), .some(0)):
                let order = old.compareKey(with: new)
                if order != 0 || !old.hasSameValue(as: new) {
                    let change = ItemChange(old: order <= 0 ? old.item() : nil, new: order >= 0 ? new.item() : nil)
                    if try !body(change) { return }
                }
                if order <= 0 { old.advance() }
                if order >= 0 { new.advance() }
            case (.some(let oldLevel), .some(let newLevel)):
                if oldLevel > newLevel {
                    if new.rises(toChild: old.childID, level: oldLevel) { continue }
                    try old.descend()
                } else if newLevel > oldLevel {
                    if old.rises(toChild: new.childID, level: newLevel) { continue }
                    try new.descend()
                } else if old.childID == new.childID {
                    old.advance()
                    new.advance()
                } else {
                    old.prepareChildren(notIn: new)
                    new.prepareChildren(notIn: old)
                    try old.descend()
                    try new.descend()
                }
            }
        }
    }
}

/// One side of a diff: a place that may stand at an interior item, so that a shared subtree is stepped over unread.
private struct DiffSide<Store: NodeStore> {
    private let tree: Tree<Store>
    /// Smaller keys are stepped over.
    private let from: [UInt8]
    private var frames: [(node: Node, index: Int)]
    /// Of the node at the top: children before it have been prepared.
    private var prepared: (node: NodeID, end: Int)?

    init(_ tree: Tree<Store>, from: [UInt8]) throws(TreeError) {
        self.tree = tree
        self.from = from
        let root = try tree.store.load(tree.root)
        frames = [(root, root.firstIndex(notBelow: from))]
        settle()
    }

    /// Level of the item stood at: 0 in a leaf; `nil` at the end.
    var level: Int? { frames.last?.node.level }
    var childID: NodeID { top.node.child(top.index) }
    private var top: (node: Node, index: Int) { frames[frames.count - 1] }

    func item() -> Item { top.node.item(top.index) }

    func compareKey(with other: DiffSide) -> Int {
        top.node.compareKey(top.index, with: other.top.node, other.top.index)
    }

    func hasSameValue(as other: DiffSide) -> Bool {
        top.node.hasSameValue(top.index, as: other.top.node, other.top.index)
    }

    mutating func advance() {
        frames[frames.count - 1].index += 1
        settle()
    }

    mutating func descend() throws(TreeError) {
        let child = try tree.loadChild(of: top.node, top.index)
        frames.append((child, child.firstIndex(notBelow: from)))
        settle()
    }

    /// Has this child and the next of its siblings prepared, but for those that the other side has too.
    mutating func prepareChildren(notIn other: DiffSide) {
        let (node, index) = top
        if let prepared, prepared.node == node.id, index < prepared.end { return }
        let shared = Set((other.top.index..<other.top.node.count).map(other.top.node.child))
        var ids: [NodeID] = []
        var end = index
        while end < node.count, ids.count < Self.preparedAtOnce {
            let id = node.child(end)
            if !shared.contains(id) { ids.append(id) }
            end += 1
        }
        prepared = (node.id, end)
        if ids.count > 1 { tree.store.prefetch(ids) }
    }

    private static var preparedAtOnce: Int { 32 }

    /// Goes back up to the item of `level` whose child is `id`, if this side stands at that child's very start.
    mutating func rises(toChild id: NodeID, level: Int) -> Bool {
        var depth = frames.count - 1
        while depth > 0, frames[depth].index == 0, frames[depth].node.level < level {
            if frames[depth].node.level == level - 1, frames[depth].node.id == id {
                frames.removeSubrange(depth...)
                return true
            }
            depth -= 1
        }
        return false
    }

    private mutating func settle() {
        while let last = frames.last, last.index >= last.node.count {
            frames.removeLast()
            if !frames.isEmpty { frames[frames.count - 1].index += 1 }
        }
    }
}
