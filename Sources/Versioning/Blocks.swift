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

    /// Where the stored bytes end in the pack.
    package var end: UInt64 { offset + UInt64(storedLength) }

    /// Packs, and the order of bytes in one: compare to visit blocks as they lie in the store.
    package var storageOrder: (UInt64, UInt64, UInt64) { (pack.high, pack.low, offset) }

    package static let zeros = Extent(
        pack: PackID(high: 0, low: 0), offset: 0, storedLength: 0, codec: .zeros, plainOffset: 0)
}

/// A block and where it lies.
package struct PlacedBlock: Hashable, Sendable {
    package let block: BlockReference
    package let extent: Extent

    package init(block: BlockReference, extent: Extent) {
        self.block = block
        self.extent = extent
    }

    /// Nothing of it is stored: all its bytes are zero.
    package var isZeros: Bool { extent.codec == .zeros }

    /// The same block somewhere else.
    package func moved(to extent: Extent) -> PlacedBlock { PlacedBlock(block: block, extent: extent) }
}

extension [PlacedBlock] {
    package var references: [BlockReference] { map(\.block) }
    package var extents: [Extent] { map(\.extent) }
    /// Those that lie in packs.
    package var stored: [PlacedBlock] { filter { !$0.isZeros } }
}

/// The blocks of a file in order, and where each lies.
package struct BlockList: Hashable, Sendable {
    package let blocks: [PlacedBlock]

    package init(_ blocks: [PlacedBlock]) {
        self.blocks = blocks
    }

    /// `extents` has one element a block.
    package init(blocks: [BlockReference], extents: [Extent]) {
        precondition(blocks.count == extents.count)
        self.init(zip(blocks, extents).map(PlacedBlock.init))
    }

    package static let empty = BlockList([])

    /// Blocks have 256 KiB or more but the last, so every file of 455 GiB fits, and one that is cut as most are, of 1.8 TB.
    package static let maximumBlocks = (64 << 20) / BlockReference.encodedBytes
    /// Of each part of a stored list; a location takes a little more than a block's record.
    package static let maximumEncodedBytes = 96 << 20

    package var sizeBytes: UInt64 { blocks.reduce(0) { $0 + UInt64($1.block.length) } }

    /// The same blocks, each where `location` says.
    package func moved(_ location: (PlacedBlock) throws -> Extent) rethrows -> BlockList {
        BlockList(try blocks.map { $0.moved(to: try location($0)) })
    }

    /// Logical part: for each block its id (32 bytes) and its length (4 bytes, little-endian).
    package func encodedLogical() -> [UInt8] { encodeBlocks(blocks.references) }

    /// Location part: for each block its codec (1 byte) and, unless it is zeros, pack (16 bytes), offset, stored length
    /// and plain offset (varints).
    package func encodedLocation() -> [UInt8] { encodeExtents(blocks.extents) }

    package init(logical: [UInt8], location: [UInt8]) throws(DecodingFault) {
        let references = try decodeBlocks(logical)
        self.init(try decodePlacedBlocks(references, location: location))
    }

    package var contentID: ContentID { Versioning.contentID(of: blocks.references) }
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
    guard bytes.count / BlockReference.encodedBytes <= BlockList.maximumBlocks else {
        throw DecodingFault(reason: "expected at most \(BlockList.maximumBlocks) blocks", offset: bytes.count)
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
                let offset = try packOffset(&reader)
                let stored = try reader.count(limit: maximumBlockBytes)
                extents.append(
                    Extent(
                        pack: PackID(high: high, low: low), offset: offset, storedLength: UInt32(stored), codec: codec,
                        plainOffset: try packOffset(&reader)))
            }
            guard reader.isAtEnd else { throw reader.fault("the end of the extents") }
            return extents
        }
    }
    return try result.get()
}

/// No pack is longer, plain or as it is stored: no store has objects of this size, and sums of offsets cannot overflow.
package let maximumPackBytes: UInt64 = 1 << 48

private func packOffset(_ reader: inout ByteReader) throws(DecodingFault) -> UInt64 {
    let offset = try reader.varint()
    guard offset <= maximumPackBytes else { throw reader.fault("an offset of at most 2^48 in a pack") }
    return offset
}

/// Blocks with the places that a location part gives them. Location parts are in no hash, so each place is held against the
/// block that it is said to hold: zeros must be what the block's id says, and plain bytes as many as the block has.
package func decodePlacedBlocks(
    _ blocks: [BlockReference], location: [UInt8]
) throws(DecodingFault) -> [PlacedBlock] {
    let extents = try decodeExtents(location, count: blocks.count)
    var placed: [PlacedBlock] = []
    placed.reserveCapacity(blocks.count)
    for (block, extent) in zip(blocks, extents) {
        let isPossible =
            switch extent.codec {
            case .zeros: ZeroBlocks.id(length: Int(block.length)) == block.id
            case .raw: extent.storedLength == block.length
            case .zstd: extent.storedLength > 0
            }
        guard isPossible else {
            throw DecodingFault(reason: "block \(block.id) cannot be stored as its location says", offset: 0)
        }
        placed.append(PlacedBlock(block: block, extent: extent))
    }
    return placed
}
