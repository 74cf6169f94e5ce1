import BlockingIO

/// Opaque 128-bit name of a pack or of a whole object. The cache never looks inside.
package struct CacheKey: Hashable, Sendable {
    package let high: UInt64
    package let low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
}

/// Where a block lies in the plain bytes of its pack, and what it must be.
///
/// Blocks of one pack do not overlap. A block whose plain bytes are all zeros never comes here: the caller answers
/// it by itself, and the cache takes zeros on disk for a hole.
package struct BlockAddress: Hashable, Sendable {
    /// 1…4 MiB.
    package static let lengthLimitBytes = 4 << 20

    package let key: CacheKey
    /// In the plain (decompressed) bytes of the pack.
    package let offset: UInt64
    /// Bytes, 1…`lengthLimitBytes`.
    package let length: Int
    /// What `verify` proves, in short: the first eight bytes of the block's SHA-256. Locations are not part of any
    /// hash, so one that is wrong may point at another block which is here and verified; this tells them apart
    /// without hashing again.
    package let proof: UInt64

    package init(key: CacheKey, offset: UInt64, length: Int, proof: UInt64) {
        precondition(length >= 1 && length <= Self.lengthLimitBytes, "a block has 1 byte to 4 MiB")
        precondition(offset / SegmentID.sizeBytes <= UInt64(UInt32.max), "a pack is at most 32 PiB")
        self.key = key
        self.offset = offset
        self.length = length
        self.proof = proof
    }

    var end: UInt64 { offset + UInt64(length) }
    var segment: SegmentID { SegmentID(kind: .pack, key: key, number: UInt32(offset / SegmentID.sizeBytes)) }
}

/// The unit of least-recently-used order and of eviction: 8 MiB of a pack's plain space, or one whole object.
/// A block belongs to the segment in which it starts, and may reach into the next.
struct SegmentID: Hashable, Sendable {
    enum Kind: UInt64 {
        case pack = 1
        case object = 2
    }

    static let sizeBytes: UInt64 = 8 << 20

    let kind: Kind
    let key: CacheKey
    /// Counts `sizeBytes` from the start of the pack; 0 for an object.
    let number: UInt32

    static func object(_ key: CacheKey) -> SegmentID { SegmentID(kind: .object, key: key, number: 0) }

    func neighbour(_ number: UInt32) -> SegmentID { SegmentID(kind: kind, key: key, number: number) }

    /// Evenly spread and the same in every process, unlike `hashValue`: it places the segment in the shared table.
    var placement: UInt64 {
        var hash = key.low ^ (key.high &* 0x9E37_79B9_7F4A_7C15)
        hash ^= (UInt64(number) << 2 | kind.rawValue) &* 0xD6E8_FEB8_6659_FD93
        hash = (hash ^ (hash >> 30)) &* 0xBF58_476D_1CE4_E5B9
        hash = (hash ^ (hash >> 27)) &* 0x94D0_49BB_1331_11EB
        return hash ^ (hash >> 31)
    }
}

extension CacheKey {
    /// 32 lower-case hexadecimal digits.
    var fileName: String {
        withUnsafeBytes(of: high.bigEndian) { hexEncoded($0) } + withUnsafeBytes(of: low.bigEndian) { hexEncoded($0) }
    }

    /// The first two digits: a directory holds one 256th of the files.
    var shardName: String { String(fileName.prefix(2)) }

    init?(fileName: String) {
        guard let bytes = hexDecoded(fileName), bytes.count == 16 else { return nil }
        func word(_ slice: ArraySlice<UInt8>) -> UInt64 { slice.reduce(0) { $0 << 8 | UInt64($1) } }
        self.init(high: word(bytes[..<8]), low: word(bytes[8...]))
        // Upper-case digits are no name of ours.
        guard self.fileName == fileName else { return nil }
    }
}
