import ProllyTree
import Versioning

/// A block that is cut, hashed and compressed, ready to go into a pack.
struct PreparedBlock: Sendable {
    let reference: BlockReference
    let codec: Codec
    /// Empty for zeros.
    let stored: [UInt8]

    /// Hashes and packs `plain`, 1 byte ... 4 MiB. Costs CPU; run it on a worker.
    init(_ plain: UnsafeRawBufferPointer) {
        let length = UInt32(plain.count)
        if ZeroBlocks.isZero(plain) {
            self.init(
                reference: BlockReference(id: ZeroBlocks.id(length: plain.count), length: length), codec: .zeros,
                stored: [])
            return
        }
        let reference = BlockReference(id: BlockID(hashing: plain), length: length)
        if let packed = Zstandard.compressIfWorthIt(plain) {
            self.init(reference: reference, codec: .zstd, stored: packed)
        } else {
            self.init(reference: reference, codec: .raw, stored: Array(plain))
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
