import Algorithms

package enum NodeKind {}
/// SHA-256 of a node's logical part.
package typealias NodeID = Identifier<NodeKind>

/// One item of the map as its users see it.
package struct Item: Hashable, Sendable {
    package var key: [UInt8]
    /// What is hashed into the tree's id.
    package var value: [UInt8]
    /// Where the value's data lies; carried beside it, hashed into no id, ignored by `diff`.
    package var location: [UInt8]

    package init(key: [UInt8], value: [UInt8], location: [UInt8] = []) {
        self.key = key
        self.value = value
        self.location = location
    }
}

/// A node's two parts as they are stored. `id` is the SHA-256 of `logical`.
package struct EncodedNode: Sendable {
    package let id: NodeID
    package let logical: [UInt8]
    package let location: [UInt8]

    package init(logical: [UInt8], location: [UInt8]) {
        id = NodeID(hashing: logical)
        self.logical = logical
        self.location = location
    }
}

/// A decoded node: the encoded bytes and where each item begins in them, so that a search allocates nothing.
///
/// Logical part (docs/reference/FORMAT.md, "Tree nodes"):
/// ```
/// 0   1       format, 1
/// 1   1       level: 0 for a leaf, else 1 + the level of the children
/// 2   varint  number of items
/// then, for each item in ascending order of keys
///     varint  length of the key, then the key        (interior: the child's last key)
///     varint  length of the value, then the value    (interior: child id, 32 bytes; items below it, varint)
/// ```
/// Location part: empty when every item's location is; else, for each item, a varint length and the bytes.
package final class Node: Sendable {
    package let id: NodeID
    package let level: Int
    private let logical: [UInt8]
    private let location: [UInt8]
    private let items: [Slot]
    private let locationStarts: [UInt32]
    /// For interior nodes: items below the children before the i-th; one more element than children.
    private let countsBefore: [UInt64]

    private struct Slot {
        var keyStart: UInt32
        var keyEnd: UInt32
        var valueStart: UInt32
        var valueEnd: UInt32
    }

    static let formatVersion: UInt8 = 1
    static let maximumLevel = 32
    /// Of each part. A node ends after 256 KiB and one item (`Splitter`).
    package static let maximumEncodedBytes = 4 << 20
    /// A tree has no more: what numbers items by their rank has 40 bits for it.
    package static let maximumItems: UInt64 = 1 << 40 - 2

    /// Decodes a node. The caller has checked that `id` is the digest of `logical`.
    package init(id: NodeID, logical: [UInt8], location: [UInt8]) throws(DecodingFault) {
        self.id = id
        self.logical = logical
        self.location = location
        let (level, items) = try Self.decodeItems(logical)
        self.level = level
        self.items = items
        locationStarts = try Self.decodeLocationStarts(location, count: items.count)
        countsBefore = try level == 0 ? [] : Self.decodeCounts(logical, items)
    }

    private static func decodeItems(_ logical: [UInt8]) throws(DecodingFault) -> (level: Int, items: [Slot]) {
        let result: Result<(Int, [Slot]), DecodingFault> = logical.withUnsafeBytes { raw in
            Result { () throws(DecodingFault) in
                var reader = ByteReader(raw)
                guard raw.count <= maximumEncodedBytes else { throw reader.fault("a node of at most 4 MiB") }
                guard try reader.byte() == formatVersion else { throw reader.fault("node format 1") }
                let level = Int(try reader.byte())
                guard level <= maximumLevel else { throw reader.fault("a level of at most \(maximumLevel)") }
                let count = try reader.count(limit: raw.count)
                var items: [Slot] = []
                items.reserveCapacity(count)
                for _ in 0..<count {
                    let key = try reader.raw(try reader.count(limit: raw.count))
                    let keyEnd = reader.offset
                    let value = try reader.raw(try reader.count(limit: raw.count))
                    let slot = Slot(
                        keyStart: UInt32(keyEnd - key.count), keyEnd: UInt32(keyEnd),
                        valueStart: UInt32(reader.offset - value.count), valueEnd: UInt32(reader.offset))
                    if let last = items.last {
                        let previous = UnsafeRawBufferPointer(rebasing: raw[Int(last.keyStart)..<Int(last.keyEnd)])
                        guard compareBytes(previous, key) < 0 else { throw reader.fault("ascending keys") }
                    }
                    items.append(slot)
                }
                guard reader.isAtEnd else { throw reader.fault("the end of the node") }
                guard level == 0 || count > 0 else { throw reader.fault("children in an interior node") }
                return (level, items)
            }
        }
        let decoded = try result.get()
        return (decoded.0, decoded.1)
    }

    private static func decodeLocationStarts(_ location: [UInt8], count: Int) throws(DecodingFault) -> [UInt32] {
        if location.isEmpty { return [] }
        let result: Result<[UInt32], DecodingFault> = location.withUnsafeBytes { raw in
            Result { () throws(DecodingFault) in
                var reader = ByteReader(raw)
                var starts: [UInt32] = []
                starts.reserveCapacity(count)
                for _ in 0..<count {
                    starts.append(UInt32(reader.offset))
                    _ = try reader.raw(try reader.count(limit: raw.count))
                }
                guard reader.isAtEnd else { throw reader.fault("the end of the locations") }
                return starts
            }
        }
        return try result.get()
    }

    private static func decodeCounts(_ logical: [UInt8], _ items: [Slot]) throws(DecodingFault) -> [UInt64] {
        let result: Result<[UInt64], DecodingFault> = logical.withUnsafeBytes { raw in
            Result { () throws(DecodingFault) in
                var counts: [UInt64] = [0]
                counts.reserveCapacity(items.count + 1)
                for slot in items {
                    let value = UnsafeRawBufferPointer(rebasing: raw[Int(slot.valueStart)..<Int(slot.valueEnd)])
                    var reader = ByteReader(value)
                    _ = try reader.raw(NodeID.byteCount)
                    let (sum, overflow) = counts[counts.count - 1].addingReportingOverflow(try reader.varint())
                    guard !overflow, reader.isAtEnd else { throw reader.fault("a child id and a count") }
                    guard sum <= maximumItems else { throw reader.fault("a tree of at most 2^40 items") }
                    counts.append(sum)
                }
                return counts
            }
        }
        return try result.get()
    }
}

extension Node {
    package var count: Int { items.count }
    package var isLeaf: Bool { level == 0 }

    /// Items of the whole subtree.
    package var itemCount: UInt64 { isLeaf ? UInt64(items.count) : countsBefore[items.count] }

    /// Items of the subtrees before the i-th child, `i` in 0...count.
    package func itemsBefore(_ index: Int) -> UInt64 { isLeaf ? UInt64(index) : countsBefore[index] }

    /// About what the node holds in memory, for a cache's bound.
    package var memoryBytes: Int {
        logical.count + location.count + items.count * 16 + locationStarts.count * 4 + countsBefore.count * 8 + 160
    }

    package func key(_ index: Int) -> [UInt8] {
        Array(logical[Int(items[index].keyStart)..<Int(items[index].keyEnd)])
    }

    package func value(_ index: Int) -> [UInt8] {
        Array(logical[Int(items[index].valueStart)..<Int(items[index].valueEnd)])
    }

    package func location(_ index: Int) -> [UInt8] {
        if location.isEmpty { return [] }
        let result: Result<[UInt8], DecodingFault> = location.withUnsafeBytes { raw in
            Result { () throws(DecodingFault) in
                var reader = ByteReader(raw, at: Int(locationStarts[index]))
                return try reader.bytes(try reader.count(limit: raw.count))
            }
        }
        guard case .success(let bytes) = result else { preconditionFailure("locations were checked when decoded") }
        return bytes
    }

    package func item(_ index: Int) -> Item {
        Item(key: key(index), value: value(index), location: location(index))
    }

    /// The node with other locations, its items' keys and values being the same; the id does not change.
    package func relocated(_ items: [Item]) -> EncodedNode {
        let encoded = encodeNode(level: level, items)
        precondition(encoded.id == id, "only locations change")
        return encoded
    }

    package func child(_ index: Int) -> NodeID {
        precondition(!isLeaf)
        return logical.withUnsafeBytes { raw in
            NodeID(raw: UnsafeRawBufferPointer(rebasing: raw[Int(items[index].valueStart)...]))
        }
    }

    /// What is wrong with `child` as the i-th child of this node; `nil` when nothing is. The counts and keys that a node gives
    /// for its children are claims: whoever goes down holds them against the child.
    package func fault(of child: Node, at index: Int) -> String? {
        if child.level != level - 1 { return "level \(child.level) below a node of level \(level)" }
        guard child.count > 0 else { return "a node without items below another" }
        let claimed = countsBefore[index + 1] - countsBefore[index]
        if child.itemCount != claimed { return "it holds \(child.itemCount) items, and its parent says \(claimed)" }
        if compareKey(index, with: child, child.count - 1) != 0 {
            return "its last key is not the one that its parent says"
        }
        // The keys of a leaf ascend; of an inner node only those of the children are known here.
        if index > 0, compareKey(index - 1, with: child, 0) >= 0 {
            return "its first key lies before its parent's range"
        }
        return nil
    }

    /// Whether the i-th items of both nodes have the same value.
    func hasSameValue(_ index: Int, as other: Node, _ otherIndex: Int) -> Bool {
        let left = items[index]
        let right = other.items[otherIndex]
        return logical[Int(left.valueStart)..<Int(left.valueEnd)]
            == other.logical[Int(right.valueStart)..<Int(right.valueEnd)]
    }

    /// Order of the i-th key against a key of another node: negative, zero or positive.
    func compareKey(_ index: Int, with other: Node, _ otherIndex: Int) -> Int {
        withKey(index) { left in other.withKey(otherIndex) { compareBytes(left, $0) } }
    }

    package func withKey<Result>(_ index: Int, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        logical.withUnsafeBytes {
            body(UnsafeRawBufferPointer(rebasing: $0[Int(items[index].keyStart)..<Int(items[index].keyEnd)]))
        }
    }

    /// The first index whose key is not below `key`; `count` when all are.
    package func firstIndex(notBelow key: [UInt8]) -> Int {
        key.withUnsafeBytes { wanted in
            logical.withUnsafeBytes { raw in
                items.partitioningIndex { slot in
                    let candidate = UnsafeRawBufferPointer(rebasing: raw[Int(slot.keyStart)..<Int(slot.keyEnd)])
                    return compareBytes(candidate, wanted) >= 0
                }
            }
        }
    }

    /// The child that holds the item of this rank among the subtree's items; `rank` < `itemCount`.
    package func childIndex(ofRank rank: UInt64) -> Int {
        min(items.count, countsBefore.partitioningIndex { $0 > rank }) - 1
    }
}
