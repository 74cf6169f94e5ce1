/// What a parent says of one child.
struct ChildReference {
    var lastKey: [UInt8]
    var id: NodeID
    var itemCount: UInt64

    /// The value of the interior item that stands for this child.
    var value: [UInt8] {
        var bytes = id.bytes
        appendVarint(itemCount, to: &bytes)
        return bytes
    }
}

/// Turns a sorted run of items of one level into nodes, saving each as it ends.
struct LevelBuilder<Store: NodeStore> {
    private let store: Store
    private let level: Int
    private var splitter: Splitter
    private var pending: [Item] = []
    private var pendingItemCount: UInt64 = 0
    /// The nodes made so far, in order.
    private(set) var nodes: [ChildReference] = []

    init(level: Int, store: Store) {
        self.level = level
        self.store = store
        splitter = Splitter(level: level)
    }

    /// Whether the last item ended its node (true as well before the first item).
    var isAtBoundary: Bool { pending.isEmpty }

    /// Adds the next item; `itemCount` is 1 for a leaf item, else the items below the child.
    mutating func append(_ item: Item, itemCount: UInt64) throws(TreeError) {
        pending.append(item)
        pendingItemCount += itemCount
        if splitter.endsNode(afterKey: item.key, valueBytes: item.value.count) {
            try endNode()
        }
    }

    /// Ends the last node where the items end.
    mutating func finish() throws(TreeError) {
        if !pending.isEmpty { try endNode() }
        splitter = Splitter(level: level)
    }

    mutating func takeNodes() -> [ChildReference] {
        defer { nodes = [] }
        return nodes
    }

    private mutating func endNode() throws(TreeError) {
        let encoded = encodeNode(level: level, pending)
        try store.save(encoded)
        nodes.append(
            ChildReference(lastKey: pending[pending.count - 1].key, id: encoded.id, itemCount: pendingItemCount))
        pending.removeAll(keepingCapacity: true)
        pendingItemCount = 0
    }
}

/// The two parts of a node of these items; the layout is above `Node`.
func encodeNode(level: Int, _ items: [Item]) -> EncodedNode {
    var logical: [UInt8] = [Node.formatVersion, UInt8(level)]
    logical.reserveCapacity(Splitter.targetBytes)
    appendVarint(UInt64(items.count), to: &logical)
    for item in items {
        appendVarint(UInt64(item.key.count), to: &logical)
        logical.append(contentsOf: item.key)
        appendVarint(UInt64(item.value.count), to: &logical)
        logical.append(contentsOf: item.value)
    }
    var location: [UInt8] = []
    if items.contains(where: { !$0.location.isEmpty }) {
        for item in items {
            appendVarint(UInt64(item.location.count), to: &location)
            location.append(contentsOf: item.location)
        }
    }
    return EncodedNode(logical: logical, location: location)
}
