import ProllyTree
import Versioning

/// A block that is cut, hashed and compressed, ready to go into a pack.
struct PreparedBlock: Sendable {
    let reference: BlockReference
    let codec: Codec
    private let stored: Stored

    private enum Stored: Sendable {
        /// Zeros, or a block that is known.
        case nothing
        case plain(BlockBytes)
        case packed([UInt8])
    }

    /// Hashes `plain`, 1 byte ... 4 MiB, and compresses it unless it is known. Costs CPU; run it on a worker.
    init(_ plain: BlockBytes, isKnown: (BlockID) -> Bool) {
        self = plain.withUnsafeBytes { bytes in
            if ZeroBlocks.isZero(bytes) { return .zeros(length: plain.count) }
            let reference = BlockReference(id: BlockID(hashing: bytes), length: UInt32(plain.count))
            if isKnown(reference.id) { return PreparedBlock(reference: reference, codec: .raw, stored: .nothing) }
            if let packed = Zstandard.compressIfWorthIt(bytes) {
                return PreparedBlock(reference: reference, codec: .zstd, stored: .packed(packed))
            }
            return PreparedBlock(reference: reference, codec: .raw, stored: .plain(plain))
        }
    }

    private init(reference: BlockReference, codec: Codec, stored: Stored) {
        self.reference = reference
        self.codec = codec
        self.stored = stored
    }

    /// What goes into the pack: nothing for zeros, and for a block that is known.
    func withStored<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        switch stored {
        case .nothing: try body(UnsafeRawBufferPointer(start: nil, count: 0))
        case .plain(let bytes): try bytes.withUnsafeBytes(body)
        case .packed(let bytes): try bytes.withUnsafeBytes(body)
        }
    }

    /// A block of zeros, made without reading any.
    static func zeros(length: Int) -> PreparedBlock {
        PreparedBlock(
            reference: BlockReference(id: ZeroBlocks.id(length: length), length: UInt32(length)), codec: .zeros,
            stored: .nothing)
    }
}
