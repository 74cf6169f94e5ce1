import BlockCache
import BlockingIO
import ObjectDatabase
import Synchronization
import Versioning

/// A file that is being read: its blocks, and how far ahead of the reader to fetch.
final class OpenFile: Sendable {
    let map: FileMap
    private let fetcher: BlockFetcher
    private let pattern = Mutex(AccessPattern())

    init(map: FileMap, fetcher: BlockFetcher) {
        self.map = map
        self.fetcher = fetcher
    }

    /// One block, less than the smallest cut: it shares its pack with its neighbours in the directory.
    var isSmall: Bool { map.list.blocks.count == 1 && map.sizeBytes < UInt64(Chunker.minimumBytes) }

    /// Fills `buffer` from `offset`; answers how many bytes there were (0 at or past the end).
    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        guard offset < map.sizeBytes, !buffer.isEmpty else { return 0 }
        let count = Int(min(UInt64(buffer.count), map.sizeBytes - offset))
        var index = map.blockIndex(at: offset)
        readAhead(from: index, at: offset, count: count)
        let last = map.blockIndex(at: offset + UInt64(count) - 1)
        // Others come while this thread fetches the first.
        if last > index { fetcher.prefetch((index + 1...last).map { map.list.blocks[$0] }) }
        var done = 0
        while done < count {
            let within = Int(offset + UInt64(done) - map.starts[index])
            let part = min(count - done, Int(map.list.blocks[index].block.length) - within)
            try fetcher.read(
                map.list.blocks[index], within: within,
                into: UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + part])
            )
            done += part
            index += 1
        }
        return count
    }

    /// Sequential reading fetches ever further ahead, up to `maximumWindow` blocks; a jump begins anew.
    private func readAhead(from index: Int, at offset: UInt64, count: Int) {
        guard map.list.blocks.count > 1, fetcher.isUseful else { return }
        let limit = Int(clamping: fetcher.capacityBytes / 4 / UInt64(Chunker.averageBytes))
        let next = pattern.withLock { pattern in pattern.advance(index, offset, count, limit: limit) }
        guard let next else { return }
        let end = min(next.upperBound, map.list.blocks.count)
        guard next.lowerBound < end else { return }
        fetcher.prefetch((next.lowerBound..<end).map { map.list.blocks[$0] })
    }
}

/// Tells sequential reading from jumping about.
private struct AccessPattern {
    private var expectedOffset: UInt64 = 0
    private var window = 0
    private var fetchedTo = 0

    private static let firstWindow = 4
    private static let maximumWindow = 64
    /// The kernel's own read-ahead makes requests arrive a little out of order.
    private static let slackBytes: UInt64 = 1 << 20

    /// Blocks to fetch now, for a read that begins in block `index`.
    /// - Parameter limit: the most blocks to fetch ahead.
    mutating func advance(_ index: Int, _ offset: UInt64, _ count: Int, limit: Int) -> Range<Int>? {
        let isSequential =
            offset <= expectedOffset + Self.slackBytes && offset + Self.slackBytes >= expectedOffset
        expectedOffset = max(isSequential ? expectedOffset : 0, offset + UInt64(count))
        guard isSequential else {
            window = 0
            fetchedTo = 0
            return nil
        }
        // Ask again only when half of the last window is used up.
        guard index + window / 2 >= fetchedTo else { return nil }
        window = min(window == 0 ? Self.firstWindow : window * 2, Self.maximumWindow, limit)
        let start = max(fetchedTo, index)
        fetchedTo = index + window
        return start < fetchedTo ? start..<fetchedTo : nil
    }
}

/// Files read lately, by number, so that each read need not find the file anew.
final class OpenFileTable: Sendable {
    private let database: ObjectDatabase
    private let fetcher: BlockFetcher
    private let files = Mutex(BoundedCache<UInt64, OpenFile>(limit: 1024))

    init(database: ObjectDatabase, fetcher: BlockFetcher) {
        self.database = database
        self.fetcher = fetcher
    }

    func forget(_ number: UInt64) {
        files.withLock { $0.remove(number) }
    }

    func file(_ number: UInt64, _ entry: () throws -> LocatedEntry) throws -> OpenFile {
        if let file = files.withLock({ $0.value(for: number) }) { return file }
        let located = try entry()
        guard located.entry.file != nil else {
            throw located.entry.isDirectory ? VFSError.isADirectory : VFSError.invalidArgument
        }
        let file = OpenFile(map: try database.lists.map(of: located), fetcher: fetcher)
        return files.withLock { files in
            if let other = files.value(for: number) { return other }
            files.insert(file, for: number)
            return file
        }
    }
}
