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

/// What a block's bytes must be, in short: the first 16 bytes of their SHA-256.
package struct BlockProof: Hashable, Sendable {
    package let high: UInt64
    package let low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
}

/// Where a block is said to lie in the plain bytes of its pack, and what it must be.
///
/// Blocks of one pack do not overlap, but nothing proves where they lie: of two addresses that overlap the cache keeps
/// one (`BlockTables`). A block whose plain bytes are all zeros never comes here: the caller answers it by itself, and
/// the cache takes zeros on disk for a hole.
package struct BlockAddress: Hashable, Sendable {
    /// 1…4 MiB.
    package static let lengthLimitBytes = 4 << 20

    package let key: CacheKey
    /// In the plain (decompressed) bytes of the pack.
    package let offset: UInt64
    /// Bytes, 1…`lengthLimitBytes`.
    package let length: Int
    /// What `verify` proves. Locations are not part of any hash, so one that is wrong may point at another block which is
    /// here and verified; this tells them apart without hashing again.
    package let proof: BlockProof

    package init(key: CacheKey, offset: UInt64, length: Int, proof: BlockProof) {
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

    /// The segments whose blocks may lie in a range of this one: its own, the one before, and the next where it reaches
    /// into that. A block is shorter than a segment.
    func neighbours(upTo end: UInt64) -> [SegmentID] {
        let first = number == 0 ? 0 : number - 1
        let last = UInt32(clamping: (end - 1) / Self.sizeBytes)
        return (first...max(number, last)).map(neighbour)
    }

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

/// What a file of a `KeyedDirectory` is named after.
protocol FileKey: Hashable, Sendable {
    /// Begins with two hexadecimal digits.
    var fileName: String { get }

    /// `nil` for what is no name of ours.
    init?(fileName: String)
}

extension FileKey {
    /// The first two digits: a directory holds one 256th of the files.
    var shardName: String { String(fileName.prefix(2)) }
}

/// Of a pack: 32 hexadecimal digits of the key, `-`, and eight of the number.
extension SegmentID: FileKey {
    var fileName: String { key.fileName + "-" + withUnsafeBytes(of: number.bigEndian) { hexEncoded($0) } }

    init?(fileName: String) {
        let parts = fileName.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, let key = CacheKey(fileName: String(parts[0])),
            let bytes = hexDecoded(String(parts[1])),
            bytes.count == 4
        else { return nil }
        self.init(kind: .pack, key: key, number: bytes.reduce(0) { $0 << 8 | UInt32($1) })
        guard self.fileName == fileName else { return nil }
    }
}

extension CacheKey: FileKey {
    /// 32 lower-case hexadecimal digits.
    var fileName: String {
        withUnsafeBytes(of: high.bigEndian) { hexEncoded($0) } + withUnsafeBytes(of: low.bigEndian) { hexEncoded($0) }
    }

    init?(fileName: String) {
        guard let bytes = hexDecoded(fileName), bytes.count == 16 else { return nil }
        func word(_ slice: ArraySlice<UInt8>) -> UInt64 { slice.reduce(0) { $0 << 8 | UInt64($1) } }
        self.init(high: word(bytes[..<8]), low: word(bytes[8...]))
        // Upper-case digits are no name of ours.
        guard self.fileName == fileName else { return nil }
    }
}
