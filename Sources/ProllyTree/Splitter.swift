/// Decides where nodes end. The decision after an item depends only on that item and on the items since the node began,
/// so the same map always has the same nodes, whatever the order of the edits that made it.
///
/// After `minimumBytes`, an item of s bytes ends its node with probability s / (target - minimum), drawn from a hash of
/// its key and level; a node that reaches `maximumBytes` ends there.
struct Splitter {
    static let minimumBytes = 16 << 10
    static let targetBytes = 64 << 10
    static let maximumBytes = 256 << 10
    /// An interior node has at least two children, so that every level is smaller than the one below.
    static let minimumChildren = 2

    private let level: Int
    private var bytes = 0
    private var items = 0

    init(level: Int) {
        self.level = level
    }

    /// Takes the next item of the node; true when the node ends after it, and then the next item begins a new one.
    mutating func endsNode(afterKey key: [UInt8], valueBytes: Int) -> Bool {
        let size = varintSize(UInt64(key.count)) + key.count + varintSize(UInt64(valueBytes)) + valueBytes
        bytes += size
        items += 1
        guard isBoundary(key, size) else { return false }
        bytes = 0
        items = 0
        return true
    }

    private func isBoundary(_ key: [UInt8], _ size: Int) -> Bool {
        if level > 0, items < Self.minimumChildren { return false }
        if bytes >= Self.maximumBytes { return true }
        if bytes < Self.minimumBytes { return false }
        let draw = keyHash(key, level: level) >> 32
        return draw * UInt64(Self.targetBytes - Self.minimumBytes) < UInt64(size) << 32
    }
}

/// FNV-1a (64 bits) over the level's byte and the key, then the finaliser of MurmurHash3. Part of the format.
func keyHash(_ key: [UInt8], level: Int) -> UInt64 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    hash = (hash ^ UInt64(level)) &* 0x100_0000_01b3
    for byte in key {
        hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3
    }
    hash = (hash ^ (hash >> 33)) &* 0xff51_afd7_ed55_8ccd
    hash = (hash ^ (hash >> 33)) &* 0xc4ce_b9fe_1a85_ec53
    return hash ^ (hash >> 33)
}
