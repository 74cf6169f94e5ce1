import Algorithms
import ProllyTree
package import Versioning

/// The blocks of one file, ready for random access: where each begins, and where it lies.
package final class FileMap: Sendable {
    package let list: BlockList
    /// `starts[i]` is the file offset of block i; one more element than blocks, the last being the size.
    package let starts: [UInt64]
    let id: ContentID

    package convenience init(_ list: BlockList) {
        self.init(list, id: list.contentID)
    }

    private init(_ list: BlockList, id: ContentID) {
        self.list = list
        self.id = id
        var starts: [UInt64] = [0]
        starts.reserveCapacity(list.blocks.count + 1)
        for placed in list.blocks { starts.append(starts[starts.count - 1] + UInt64(placed.block.length)) }
        self.starts = starts
    }

    package var sizeBytes: UInt64 { starts[starts.count - 1] }

    /// The block that holds this offset; `offset` < `sizeBytes`.
    package func blockIndex(at offset: UInt64) -> Int {
        starts.partitioningIndex { $0 > offset } - 1
    }
}

extension FileMap: StoredContent {
    static var objectKind: TwoPartObject.Kind { .blockList }

    static func key(_ id: ContentID) -> String { ObjectKeys.list(id) }

    static func decode(_ id: ContentID, logical: [UInt8], location: [UInt8]) throws(DecodingFault) -> FileMap {
        FileMap(try BlockList(logical: logical, location: location), id: id)
    }

    func extents() -> [Extent] { list.blocks.extents }

    func encoded(at extents: [Extent]) -> (logical: [UInt8], location: [UInt8]) {
        let moved = BlockList(blocks: list.blocks.references, extents: extents)
        return (moved.encodedLogical(), moved.encodedLocation())
    }

    var memoryBytes: Int { list.blocks.count * 96 + 256 }
}
