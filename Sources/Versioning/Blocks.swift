package import ProllyTree

/// One block of a file: what its bytes are and how many.
package struct BlockReference: Hashable, Sendable {
    package let id: BlockID
    /// Plain bytes, 1 byte ... 4 MiB.
    package let length: UInt32

    package init(id: BlockID, length: UInt32) {
        self.id = id
        self.length = length
    }

    static let encodedBytes = BlockID.byteCount + 4
}

/// How a block's bytes are stored.
package enum Codec: UInt8, Sendable {
    case raw = 0
    case zstd = 1
    /// All bytes are zero; nothing is stored and no pack is named.
    case zeros = 2
}

/// Where a block lies: bytes `offset ..< offset + storedLength` of a pack.
package struct Extent: Hashable, Sendable {
    package let pack: PackID
    package let offset: UInt64
    package let storedLength: UInt32
    package let codec: Codec
    /// Where the block's plain bytes would begin if the whole pack were unpacked: its place in the block cache.
    package let plainOffset: UInt64

    package init(pack: PackID, offset: UInt64, storedLength: UInt32, codec: Codec, plainOffset: UInt64) {
        self.pack = pack
        self.offset = offset
        self.storedLength = storedLength
        self.codec = codec
        self.plainOffset = plainOffset
    }

    package static let zeros = Extent(
        pack: PackID(high: 0, low: 0), offset: 0, storedLength: 0, codec: .zeros, plainOffset: 0)
}

/// The blocks of a file in order, and where each lies. `extents` has one element a block.
package struct BlockList: Hashable, Sendable {
    package let blocks: [BlockReference]
    package let extents: [Extent]

    package init(blocks: [BlockReference], extents: [Extent]) {
        precondition(blocks.count == extents.count)
        self.blocks = blocks
        self.extents = extents
    }

    package static let empty = BlockList(blocks: [], extents: [])

    package var sizeBytes: UInt64 { blocks.reduce(0) { $0 + UInt64($1.length) } }

    /// Logical part: for each block its id (32 bytes) and its length (4 bytes, little-endian).
    package func encodedLogical() -> [UInt8] { encodeBlocks(blocks) }

    /// Location part: for each block its codec (1 byte) and, unless it is zeros, pack (16 bytes), offset, stored length
    /// and plain offset (varints).
    package func encodedLocation() -> [UInt8] { encodeExtents(extents) }

    package init(logical: [UInt8], location: [UInt8]) throws(DecodingFault) {
        blocks = try decodeBlocks(logical)
        extents = try decodeExtents(location, count: blocks.count)
    }

    package var contentID: ContentID { Versioning.contentID(of: blocks) }
}

/// No block: the SHA-256 of nothing. One: its id. More: the SHA-256 of their encoded list.
func contentID(of blocks: [BlockReference]) -> ContentID {
    switch blocks.count {
    case 0: ContentID(hashing: [])
    case 1: ContentID(sameBytesAs: blocks[0].id)
    default: ContentID(hashing: encodeBlocks(blocks))
    }
}

func encodeBlocks(_ blocks: [BlockReference]) -> [UInt8] {
    var output: [UInt8] = []
    output.reserveCapacity(blocks.count * BlockReference.encodedBytes)
    for block in blocks {
        block.id.append(to: &output)
        withUnsafeBytes(of: block.length.littleEndian) { output.append(contentsOf: $0) }
    }
    return output
}

package func encodeExtents(_ extents: [Extent]) -> [UInt8] {
    var output: [UInt8] = []
    for extent in extents {
        output.append(extent.codec.rawValue)
        if extent.codec == .zeros { continue }
        withUnsafeBytes(of: extent.pack.high.bigEndian) { output.append(contentsOf: $0) }
        withUnsafeBytes(of: extent.pack.low.bigEndian) { output.append(contentsOf: $0) }
        appendVarint(extent.offset, to: &output)
        appendVarint(UInt64(extent.storedLength), to: &output)
        appendVarint(extent.plainOffset, to: &output)
    }
    return output
}

extension Identifier {
    /// The same digest as the id of another kind of thing.
    package init<Other>(sameBytesAs other: Identifier<Other>) {
        let bytes = other.bytes
        self = bytes.withUnsafeBytes { Identifier(raw: $0) }
    }
}

package let maximumBlockBytes = 4 << 20

func decodeBlocks(_ bytes: [UInt8]) throws(DecodingFault) -> [BlockReference] {
    guard bytes.count.isMultiple(of: BlockReference.encodedBytes) else {
        throw DecodingFault(reason: "expected whole 36-byte block records", offset: bytes.count)
    }
    var blocks: [BlockReference] = []
    blocks.reserveCapacity(bytes.count / BlockReference.encodedBytes)
    let fault: DecodingFault? = bytes.withUnsafeBytes { raw in
        for start in stride(from: 0, to: raw.count, by: BlockReference.encodedBytes) {
            let id = BlockID(raw: UnsafeRawBufferPointer(rebasing: raw[start..<start + BlockID.byteCount]))
            let stored = raw.loadUnaligned(fromByteOffset: start + BlockID.byteCount, as: UInt32.self)
            let length = UInt32(littleEndian: stored)
            guard length > 0, length <= maximumBlockBytes else {
                return DecodingFault(reason: "expected a block of 1 byte to 4 MiB, not \(length)", offset: start)
            }
            blocks.append(BlockReference(id: id, length: length))
        }
        return nil
    }
    if let fault { throw fault }
    return blocks
}

package func decodeExtents(_ bytes: [UInt8], count: Int) throws(DecodingFault) -> [Extent] {
    let result: Result<[Extent], DecodingFault> = bytes.withUnsafeBytes { raw in
        Result { () throws(DecodingFault) in
            var reader = ByteReader(raw)
            var extents: [Extent] = []
            extents.reserveCapacity(count)
            for _ in 0..<count {
                guard let codec = Codec(rawValue: try reader.byte()) else { throw reader.fault("a known codec") }
                if codec == .zeros {
                    extents.append(.zeros)
                    continue
                }
                let high = UInt64(bigEndian: try reader.raw(8).loadUnaligned(as: UInt64.self))
                let low = UInt64(bigEndian: try reader.raw(8).loadUnaligned(as: UInt64.self))
                let offset = try reader.varint()
                let stored = try reader.count(limit: maximumBlockBytes)
                extents.append(
                    Extent(
                        pack: PackID(high: high, low: low), offset: offset, storedLength: UInt32(stored), codec: codec,
                        plainOffset: try reader.varint()))
            }
            guard reader.isAtEnd else { throw reader.fault("the end of the extents") }
            return extents
        }
    }
    return try result.get()
}
