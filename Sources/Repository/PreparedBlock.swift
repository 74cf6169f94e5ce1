import ProllyTree
import Versioning

/// A block that is cut, hashed and compressed, ready to go into a pack.
struct PreparedBlock: Sendable {
    let reference: BlockReference
    let codec: Codec
    /// Empty for zeros, and for a block that is known.
    let stored: [UInt8]

    /// Hashes `plain`, 1 byte ... 4 MiB, and compresses it unless it is known. Costs CPU; run it on a worker.
    init(_ plain: [UInt8], isKnown: (BlockID) -> Bool) {
        if plain.withUnsafeBytes(ZeroBlocks.isZero) {
            self = .zeros(length: plain.count)
            return
        }
        let reference = BlockReference(id: BlockID(hashing: plain), length: UInt32(plain.count))
        if isKnown(reference.id) {
            self.init(reference: reference, codec: .raw, stored: [])
        } else if let packed = plain.withUnsafeBytes({ Zstandard.compressIfWorthIt($0) }) {
            self.init(reference: reference, codec: .zstd, stored: packed)
        } else {
            self.init(reference: reference, codec: .raw, stored: plain)
        }
    }

    private init(reference: BlockReference, codec: Codec, stored: [UInt8]) {
        self.reference = reference
        self.codec = codec
        self.stored = stored
    }

    /// A block of zeros, made without reading any.
    static func zeros(length: Int) -> PreparedBlock {
        PreparedBlock(
            reference: BlockReference(id: ZeroBlocks.id(length: length), length: UInt32(length)), codec: .zeros,
            stored: [])
    }
}
