import BlockingIO
package import ObjectDatabase
import ProllyTree
package import Versioning

/// Why files cannot be fetched ahead as asked. Lines count from 1.
package enum PrefetchFault: Error, Hashable, Sendable {
    case badPath(line: Int, PathFault)
    case notFound(line: Int, TreePath)
    case notAFile(line: Int, TreePath, isDirectory: Bool)
    case tooManyFiles(limit: Int)
    /// The files take more than the cache may.
    case doesNotFit(neededBytes: UInt64, limitBytes: UInt64)
    /// What was fetched is not in the cache: its disk is full, or another program made it smaller.
    case notKept(path: TreePath)
}

/// Files of one commit whose bytes are to be fetched: those below a path in the order of packs, or a list in its own
/// order. Holds 40 bytes a file.
package struct PrefetchSet: Sendable {
    /// A file, and where its first block lies, if its entry tells.
    struct File: Sendable {
        let ordered: OrderedFile
        let pack: PackID
        let plainOffset: UInt64

        init(_ located: LocatedEntry, rank: UInt64) {
            ordered = OrderedFile(rank: rank, sizeBytes: located.entry.sizeBytes)
            // Files whose blocks are in a list of their own come last.
            pack = located.inlineList?.blocks.first?.extent.pack ?? PrefetchSet.unknownPack
            plainOffset = located.inlineList?.blocks.first?.extent.plainOffset ?? rank
        }

        /// Order of packs, and of places in one.
        func isBefore(_ other: File) -> Bool {
            (pack.high, pack.low, plainOffset) < (other.pack.high, other.pack.low, other.plainOffset)
        }
    }

    let blocks: TreeBlocks
    private(set) var files: [File]
    /// Files of a list that did not fit (`keepWhatFits`).
    package private(set) var leftOutFiles = 0

    package var count: Int { files.count }
    /// Sum of the sizes.
    package var bytes: UInt64 { files.reduce(0) { $0 + $1.ordered.sizeBytes } }
    package var order: [OrderedFile] { files.map(\.ordered) }

    package static let maximumFiles = 64 << 20
    private static let slice = 4096
    private static let pageBytes: UInt64 = 4096
    private static let cellBytes: UInt64 = 4 << 20
    private static let unknownPack = PackID(high: .max, low: .max)

    /// The file at `path`, or those below it whose paths from there match one of `globs` (all when there is none). Reads
    /// the tree below, in parallel; blocks while nodes are fetched. Throws `.pathNotFound`, the tree's or the store's
    /// error.
    package init(
        of database: ObjectDatabase, _ commit: Commit, below path: TreePath, matching globs: [Glob],
        named revision: String
    ) throws {
        let tree = database.tree(commit.tree)
        blocks = TreeBlocks(database: database, tree: tree)
        let top = try database.entry(at: path, in: commit, named: revision)
        guard top.entry.isDirectory else {
            guard top.entry.file != nil, let found = try tree.find(path.key) else {
                throw PrefetchFault.notAFile(line: 1, path, isDirectory: false)
            }
            files = [File(top, rank: found.rank)]
            return
        }
        let (children, deeper) = (path.childKeys, path.deeperKeys)
        let ranges = [
            try tree.rank(of: children.from)..<tree.rank(of: children.to),
            try tree.rank(of: deeper.from)..<(deeper.to.map { to in try tree.rank(of: to) } ?? tree.count()),
        ]
        let slices = ranges.flatMap { range in
            stride(from: range.lowerBound, to: range.upperBound, by: Self.slice).map {
                $0..<min($0 + UInt64(Self.slice), range.upperBound)
            }
        }
        let found = Monitor<[File]>([])
        try concurrently(slices, threads: database.ioThreads) { slice in
            let files = try Self.files(in: tree, slice, below: path, matching: globs)
            found.update { $0 += files }
        }
        files = found.look { $0 }.sorted { $0.isBefore($1) }
        guard files.count <= Self.maximumFiles else {
            throw PrefetchFault.tooManyFiles(limit: Self.maximumFiles)
        }
    }

    private static func files(
        in tree: SnapshotTree, _ ranks: Range<UInt64>, below path: TreePath, matching globs: [Glob]
    ) throws -> [File] {
        var files: [File] = []
        var cursor = try Cursor(tree, fromRank: ranks.lowerBound)
        for rank in ranks {
            guard let item = try cursor.next() else { break }
            let located = try LocatedEntry(item: item)
            guard located.entry.file != nil else { continue }
            if !globs.isEmpty {
                guard let relative = try TreePath(itemKey: item.key).relative(to: path),
                    globs.contains(where: { $0.matches(relative.bytes) })
                else { continue }
            }
            files.append(File(located, rank: rank))
        }
        return files
    }

    /// The files of a list, in its order; a path may stand in it more than once. Every one is looked for before this
    /// returns.
    ///
    /// - Parameter paths: relative to `directory`, as bytes; `nil` for a line without one.
    /// - Throws: `.badPath`, `.notFound`, `.notAFile` for the first line that is wrong, or the tree's or the store's
    ///   error.
    package init(
        of database: ObjectDatabase, _ commit: Commit, listed paths: [[UInt8]?], in directory: TreePath
    ) throws {
        let tree = database.tree(commit.tree)
        blocks = TreeBlocks(database: database, tree: tree)
        guard paths.count <= Self.maximumFiles else {
            throw PrefetchFault.tooManyFiles(limit: Self.maximumFiles)
        }
        var wanted: [(line: Int, path: TreePath, key: [UInt8])] = []
        wanted.reserveCapacity(paths.count)
        for (index, bytes) in paths.enumerated() {
            guard let bytes else { continue }
            do {
                let path = directory.appending(path: try TreePath(parsing: bytes))
                wanted.append((index + 1, path, path.key))
            } catch {
                throw PrefetchFault.badPath(line: index + 1, error)
            }
        }
        // In the order of keys each tree node is visited once.
        wanted.sort { $0.key.lexicographicallyPrecedes($1.key) }
        let all = wanted
        let found = Monitor((files: [(line: Int, file: File)](), fault: (line: Int, fault: PrefetchFault)?.none))
        let slices = stride(from: 0, to: all.count, by: Self.slice).map { $0..<min($0 + Self.slice, all.count) }
        try concurrently(slices, threads: database.ioThreads) { slice in
            for index in slice {
                let (line, path, key) = all[index]
                let item = try tree.find(key)
                let located = try item.map { try LocatedEntry(item: $0.item) }
                found.update { found in
                    if let item, let located, located.entry.file != nil {
                        found.files.append((line, File(located, rank: item.rank)))
                    } else if line < found.fault?.line ?? .max {
                        found.fault = (
                            line,
                            located.map { .notAFile(line: line, path, isDirectory: $0.entry.isDirectory) }
                                ?? .notFound(line: line, path)
                        )
                    }
                }
            }
        }
        let (listed, fault) = found.look { $0 }
        if let fault { throw fault.fault }
        files = listed.sorted { $0.line < $1.line }.map(\.file)
    }

    /// Puts files of a list that lie within the same 4 MiB of a pack where the first of them stands: a shuffled list
    /// over small files would be one GET a file otherwise.
    package mutating func gatherNeighbours() {
        struct Cell: Hashable {
            let pack: PackID
            let number: UInt64
        }
        var firsts: [Cell: Int] = [:]
        let turns = files.enumerated().map { index, file -> Int in
            if file.pack == Self.unknownPack { return index }
            let cell = Cell(pack: file.pack, number: file.plainOffset / Self.cellBytes)
            if let first = firsts[cell] { return first }
            firsts[cell] = index
            return index
        }
        files = files.indices.sorted {
            (turns[$0], files[$0].plainOffset, $0) < (turns[$1], files[$1].plainOffset, $1)
        }.map { files[$0] }
    }

    // MARK: Room

    /// What the files take in the cache, about: their pages, those that neighbours share once.
    package var cachedBytes: UInt64 {
        var total: UInt64 = 0
        var last: (pack: PackID, endPage: UInt64)?
        for file in files.sorted(by: { $0.isBefore($1) }) where file.ordered.sizeBytes > 0 {
            var first = file.plainOffset / Self.pageBytes
            let end = (file.plainOffset + file.ordered.sizeBytes + Self.pageBytes - 1) / Self.pageBytes
            if let last, last.pack == file.pack { first = max(first, last.endPage) }
            if end > first { total += (end - first) * Self.pageBytes }
            last = (file.pack, max(end, last?.pack == file.pack ? last?.endPage ?? 0 : 0))
        }
        return total
    }

    /// Throws `.doesNotFit` when the cache cannot hold all of it.
    package func checkRoom(limitBytes: UInt64) throws(PrefetchFault) {
        let needed = cachedBytes
        if needed > limitBytes { throw .doesNotFit(neededBytes: needed, limitBytes: limitBytes) }
    }

    /// Leaves out the end of a list that the cache cannot hold together with what comes before.
    package mutating func keepWhatFits(limitBytes: UInt64) {
        guard cachedBytes > limitBytes else { return }
        var bytes: UInt64 = 0
        let kept = files.firstIndex { file in
            bytes += (file.ordered.sizeBytes / Self.pageBytes + 1) * Self.pageBytes
            return bytes > limitBytes
        }
        guard let kept else { return }
        leftOutFiles = files.count - kept
        files.removeSubrange(kept...)
    }
}
