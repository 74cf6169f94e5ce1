import BlockingIO
import CZstd
import ProllyTree
import Versioning

/// How tree nodes and block lists are stored: a logical part, whose SHA-256 is the object's id, and a location part,
/// which is hashed into no id (repacking rewrites it) but carries a checksum of its own.
///
/// ```
/// 0   4   "TARN"
/// 4   1   format, 1
/// 5   1   kind: "N" tree node, "L" block list ("D": see `tombstone`)
/// 6   1   codec of the logical part: 0 raw, 1 zstd
/// 7   1   codec of the location part
/// 8   4   logical part, plain bytes        (all numbers little-endian)
/// 12  4   logical part, stored bytes
/// 16  4   location part, plain bytes
/// 20  4   location part, stored bytes
/// 24  32  SHA-256 of the location part's plain bytes
/// 56      logical part as stored, then location part as stored
/// then 16 random bytes, or nothing
/// ```
/// The random bytes give each writing of an object a version (ETag) of its own, so that what was meant for an older writing
/// never meets a newer one.
package struct TwoPartObject {
    enum Kind: UInt8 {
        case node = 0x4e
        case blockList = 0x4c

        /// What a part may unpack to: a few bytes of zstd can promise any number. A node ends after 256 KiB and one entry
        /// (`Splitter`, `Entry.maximumAttributeBytes`).
        package var maximumPartBytes: Int {
            switch self {
            case .node: Node.maximumEncodedBytes
            case .blockList: BlockList.maximumEncodedBytes
            }
        }
    }

    let logical: [UInt8]
    let location: [UInt8]

    private static let magic = Array("TARN".utf8)
    private static let format: UInt8 = 1
    private static let headerBytes = 56
    private static let compressionLevel: Int32 = 3

    /// What a whole object has at most: parts that zstd makes longer are stored raw.
    static func maximumBytes(_ kind: Kind) -> Int { headerBytes + 2 * kind.maximumPartBytes + nonceBytes }

    static func encode(kind: Kind, logical: [UInt8], location: [UInt8]) -> [UInt8] {
        let (logicalCodec, storedLogical) = pack(logical)
        let (locationCodec, storedLocation) = pack(location)
        var output = magic + [format, kind.rawValue, logicalCodec, locationCodec]
        for count in [logical.count, storedLogical.count, location.count, storedLocation.count] {
            withUnsafeBytes(of: UInt32(count).littleEndian) { output.append(contentsOf: $0) }
        }
        Identifier<TwoPartObject>(hashing: location).append(to: &output)
        return output + storedLogical + storedLocation + nonce()
    }

    private static let nonceBytes = 16

    private static func nonce() -> [UInt8] {
        var random = HostRandom()
        return (0..<nonceBytes).map { _ in UInt8.random(in: 0...255, using: &random) }
    }

    /// What a collector puts in the place of an object that it deletes, where the store cannot delete on condition. To readers
    /// the object is not there; a writer replaces it.
    static func tombstone() -> [UInt8] { tombstonePrefix + nonce() }

    private static let tombstonePrefix = magic + [format, 0x44]
    /// No object has this size: it is less than a header.
    package static let tombstoneBytes = 6 + nonceBytes

    static func isTombstone(_ bytes: [UInt8]) -> Bool {
        bytes.count == tombstoneBytes && bytes.starts(with: tombstonePrefix)
    }

    private static func pack(_ plain: [UInt8]) -> (codec: UInt8, stored: [UInt8]) {
        let packed = plain.withUnsafeBytes { Zstandard.compress($0, level: compressionLevel) }
        return packed.count < plain.count ? (1, packed) : (0, plain)
    }

    /// Decodes an object and checks it against the id (the SHA-256 of its logical part) and its own checksum.
    init<ID>(decoding bytes: [UInt8], kind: Kind, id: Identifier<ID>) throws(DecodingFault) {
        let result: Result<TwoPartObject, DecodingFault> = bytes.withUnsafeBytes { raw in
            Result { () throws(DecodingFault) in
                var reader = ByteReader(raw)
                guard try reader.bytes(4) == Self.magic else { throw reader.fault("the letters TARN") }
                guard try reader.byte() == Self.format else { throw reader.fault("object format 1") }
                guard try reader.byte() == kind.rawValue else { throw reader.fault("an object of kind \(kind)") }
                let codecs = (try reader.byte(), try reader.byte())
                var counts: [Int] = []
                for _ in 0..<4 {
                    counts.append(Int(UInt32(littleEndian: try reader.raw(4).loadUnaligned(as: UInt32.self))))
                }
                let checksum: Identifier<TwoPartObject> = try reader.identifier()
                let logical = try unpack(
                    &reader, codec: codecs.0, plain: counts[0], stored: counts[1], limit: kind.maximumPartBytes)
                let location = try unpack(
                    &reader, codec: codecs.1, plain: counts[2], stored: counts[3], limit: kind.maximumPartBytes)
                if !reader.isAtEnd { _ = try reader.raw(Self.nonceBytes) }
                guard reader.isAtEnd else { throw reader.fault("the end of the object") }
                guard Identifier<ID>(hashing: logical) == id else {
                    throw DecodingFault(reason: "its bytes do not have the SHA-256 that is its name", offset: 0)
                }
                guard Identifier(hashing: location) == checksum else {
                    throw DecodingFault(reason: "its location part does not match its checksum", offset: 24)
                }
                return TwoPartObject(logical: logical, location: location)
            }
        }
        self = try result.get()
    }

    private init(logical: [UInt8], location: [UInt8]) {
        self.logical = logical
        self.location = location
    }
}

private func unpack(
    _ reader: inout ByteReader, codec: UInt8, plain: Int, stored: Int, limit: Int
) throws(DecodingFault) -> [UInt8] {
    guard plain <= limit else { throw reader.fault("a part of at most \(limit >> 20) MiB") }
    let raw = try reader.raw(stored)
    switch codec {
    case 0 where plain == stored: return [UInt8](raw)
    case 1:
        // A frame says its own size; do not allocate what a damaged header asks for.
        guard ZSTD_getFrameContentSize(raw.baseAddress, raw.count) == UInt64(plain),
            let bytes = Zstandard.decompress(raw, plainBytes: plain)
        else { throw reader.fault("a zstd frame of \(plain) plain bytes") }
        return bytes
    default: throw reader.fault("a known codec with matching sizes")
    }
}
