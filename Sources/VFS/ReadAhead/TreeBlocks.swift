import BlockingIO
import ObjectDatabase
import ProllyTree
import Versioning

/// Finds the blocks of many files of one tree at once.
struct TreeBlocks: Sendable {
    let database: ObjectDatabase
    let tree: SnapshotTree

    /// A part of a file.
    struct Wanted: Sendable {
        let rank: UInt64
        let within: Range<UInt64>
    }

    struct Found: Sendable {
        let placed: PlacedBlock
        /// Which of the wanted needs it; of several one.
        let file: Int
        /// It is all of a small file, as `NeighbourReadAhead` knows them.
        let isSmallFile: Bool
    }

    /// The stored blocks that hold these parts, each once, by pack and offset. Tree nodes are visited in the order of
    /// ranks, so each is decoded once however the files are shuffled; block lists are loaded side by side. Blocks while
    /// they are fetched. Throws when a rank is no file, or the store's or the tree's error.
    func blocks(of wanted: [Wanted]) throws -> [Found] {
        let found = Monitor<[Found]>([])
        var large: [(Int, LocatedEntry)] = []
        for index in wanted.indices.sorted(by: { wanted[$0].rank < wanted[$1].rank }) {
            guard let item = try tree.item(atRank: wanted[index].rank) else { throw VFSError.notFound }
            let located = try LocatedEntry(item: item)
            guard located.entry.file != nil else { throw VFSError.invalidArgument }
            if let list = located.inlineList {
                found.update { Self.add(FileMap(list), wanted[index], index, isInline: true, to: &$0) }
            } else {
                large.append((index, located))
            }
        }
        try concurrently(large, threads: database.ioThreads) { [database] index, located in
            let map = try database.lists.map(of: located)
            found.update { Self.add(map, wanted[index], index, isInline: false, to: &$0) }
        }
        var seen: Set<PlacedBlock> = []
        return found.look { $0 }.filter { seen.insert($0.placed).inserted }
            .sorted { $0.placed.extent.storageOrder < $1.placed.extent.storageOrder }
    }

    private static func add(
        _ map: FileMap, _ wanted: Wanted, _ index: Int, isInline: Bool, to found: inout [Found]
    ) {
        let isSmall = isInline && map.list.blocks.count == 1
        let end = min(wanted.within.upperBound, map.sizeBytes)
        guard wanted.within.lowerBound < end else { return }
        for block in map.blockIndex(at: wanted.within.lowerBound)...map.blockIndex(at: end - 1)
        where !map.list.blocks[block].isZeros {
            found.append(Found(placed: map.list.blocks[block], file: index, isSmallFile: isSmall))
        }
    }
}
