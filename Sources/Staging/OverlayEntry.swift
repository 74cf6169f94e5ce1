package import Versioning

/// A file, directory or link of the overlay; stable while it exists.
package struct OverlayEntryID: Hashable, Sendable, Comparable {
    package let value: Int64

    package init(_ value: Int64) {
        self.value = value
    }

    /// The root directory, which always exists.
    package static let root = OverlayEntryID(1)

    package static func < (left: Self, right: Self) -> Bool { left.value < right.value }
}

/// A file of staged bytes in the workspace's `data` directory.
package struct DataFileID: Hashable, Sendable {
    package let value: Int64

    package init(_ value: Int64) {
        self.value = value
    }
}

/// A committed file whose bytes ranges of other files show (see `StagedRanges.Source.cloned`).
package struct ClonedEntryID: Hashable, Sendable {
    package let value: Int64

    package init(_ value: Int64) {
        self.value = value
    }
}

/// What only a workspace keeps and no commit: pipes, sockets and device nodes.
package enum SpecialKind: Int, Hashable, Sendable {
    case pipe = 4
    case socket, characterDevice, blockDevice
}

/// One node of the overlay: something new, or a copy of something in the base tree whose attributes, content or
/// children changed.
package struct OverlayEntry: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        case file(StagedContent)
        case directory
        case symlink(target: [UInt8])
        case special(SpecialKind, device: UInt32)
    }

    package var id: OverlayEntryID
    package var kind: Kind
    package var mode: UInt16
    package var modified: Timestamp
    /// `st_atime` and `st_ctime`, which a commit does not keep.
    package var accessed: Timestamp
    package var changed: Timestamp
    package var owner: Owner?
    package var attributes: [ExtendedAttribute]
    /// How many names a file has; how many subdirectories a new directory has.
    package var links: Int
    /// Where it was in the base tree; `nil` for what is new. A directory's unstaged children are those of its origin.
    package var origin: TreePath?
    /// The number of the last change to attributes or content; 0 while it only stands for its origin.
    package var change: Int64

    package init(
        id: OverlayEntryID = OverlayEntryID(0), kind: Kind, mode: UInt16, modified: Timestamp,
        accessed: Timestamp? = nil,
        changed: Timestamp? = nil, owner: Owner? = nil, attributes: [ExtendedAttribute] = [], links: Int? = nil,
        origin: TreePath? = nil, change: Int64 = 0
    ) {
        self.id = id
        self.kind = kind
        self.mode = mode
        self.modified = modified
        self.accessed = accessed ?? modified
        self.changed = changed ?? modified
        self.owner = owner
        self.attributes = attributes
        self.links = links ?? (kind == .directory ? 0 : 1)
        self.origin = origin
        self.change = change
    }

    /// A node that stands for an entry of the base tree, unchanged so far.
    package init(copying located: LocatedEntry, at path: TreePath) {
        let entry = located.entry
        let kind: Kind =
            switch entry.kind {
            case .file: .file(StagedContent(base: located))
            case .directory: .directory
            case .symlink(let target): .symlink(target: target)
            }
        self.init(
            kind: kind, mode: entry.mode, modified: entry.modified, owner: entry.owner, attributes: entry.attributes,
            origin: path)
    }

    package var isDirectory: Bool { kind == .directory }

    package var isSpecial: Bool {
        if case .special = kind { return true }
        return false
    }

    package var content: StagedContent? {
        if case .file(let content) = kind { return content }
        return nil
    }

    package var sizeBytes: UInt64 {
        switch kind {
        case .file(let content): content.sizeBytes
        case .directory, .special: 0
        case .symlink(let target): UInt64(target.count)
        }
    }
}

/// A file's bytes: staged ranges over what is left of the base content, zeros elsewhere.
package struct StagedContent: Hashable, Sendable {
    /// The file's entry in the base tree, whose bytes show through below `baseLimit`; `nil` for a new file.
    package var base: LocatedEntry?
    /// Bytes from here on never come from the base: the smallest size the file has had since.
    package var baseLimit: UInt64
    package var sizeBytes: UInt64
    package var ranges: StagedRanges
    /// The files that `.cloned` ranges show.
    package var cloned: [ClonedEntryID: LocatedEntry] = [:]
    /// Where new writes go; `nil` before the first and after a seal (then the next write begins a new data file).
    package var writeTarget: DataFileID?

    /// A new, empty file.
    package init() {
        base = nil
        baseLimit = 0
        sizeBytes = 0
        ranges = StagedRanges()
    }

    package init(base: LocatedEntry) {
        self.base = base
        baseLimit = base.entry.sizeBytes
        sizeBytes = baseLimit
        ranges = StagedRanges()
    }

    /// The committed file whose bytes these are, all of them and no others; `nil` when there is none. It need not be the
    /// file that the base tree has at this path: a whole copy shows another one.
    package var wholeBase: LocatedEntry? {
        guard let base, ranges.isEmpty, baseLimit == base.entry.sizeBytes, sizeBytes == baseLimit else { return nil }
        return base
    }

    /// Whether the bytes are known to be those of this version.
    package func shows(_ version: Entry.Kind?) -> Bool {
        guard let version, let wholeBase else { return false }
        return wholeBase.entry.kind == version
    }

    /// Whether what is written now may cover bytes that lie elsewhere: of the base, of a committed file that was cloned, or
    /// in a data file from before a seal or a copy. In one and the same data file it cannot.
    ///
    /// - Parameter saved: the ranges that the overlay has, when that is known.
    package func mayCoverOlderBytes(saved: StagedRanges?) -> Bool {
        guard base == nil, let saved else { return true }
        return !ranges.isOnly(in: writeTarget) || !saved.isOnly(in: writeTarget)
    }

    package mutating func wrote(start: UInt64, end: UInt64, data: DataFileID) {
        ranges.insert(start: start, end: end, data: data)
        sizeBytes = max(sizeBytes, end)
    }

    /// Cuts or extends (by zeros).
    package mutating func resize(to size: UInt64) {
        if size < sizeBytes {
            ranges.truncate(to: size)
            baseLimit = min(baseLimit, size)
        }
        sizeBytes = size
    }

    /// Cuts or extends. Answers the data files whose bytes from `size` on are worth giving back, or in which room was
    /// reserved; nothing more is written to them.
    package mutating func cut(to size: UInt64, reservedIn: DataFileID?) -> Set<DataFileID> {
        guard size <= sizeBytes else {
            resize(to: size)
            return []
        }
        var lost: [DataFileID: UInt64] = [:]
        for range in ranges.ranges {
            guard case .data(let data) = range.source, let part = range.clipped(size, .max) else { continue }
            lost[data, default: 0] += part.end - part.start
        }
        var freed = Set(lost.keys)
        if let writeTarget, writeTarget == reservedIn { freed.insert(writeTarget) }
        resize(to: size)
        let isWorthwhile = size == 0 || lost.values.reduce(0, +) >= Self.worthwhileBytes
        if !isWorthwhile, reservedIn == nil || reservedIn != writeTarget { return [] }
        if let writeTarget, freed.contains(writeTarget) { self.writeTarget = nil }
        return freed
    }

    /// A new data file takes about as much room as it saves below this.
    private static let worthwhileBytes: UInt64 = 64 << 10

    /// The data files that belong to it: those that it shows, and that which takes its writes, where room may be reserved.
    package var dataFiles: Set<DataFileID> {
        var files = ranges.dataFiles
        if let writeTarget { files.insert(writeTarget) }
        return files
    }

    /// Makes zeros of `start ..< end`, as far as the file goes.
    package mutating func punch(start: UInt64, end: UInt64) {
        ranges.insert(StagedRanges.Range(start: start, end: min(end, sizeBytes), source: .zeros, from: 0))
    }

    /// A piece of the file and where its bytes come from.
    package enum Source: Hashable, Sendable {
        case base
        case data(DataFileID)
        case cloned(ClonedEntryID)
        case zeros
    }

    package struct Piece: Hashable, Sendable {
        package let source: Source
        /// Where in the source the piece begins.
        package let from: UInt64
        /// Where in the file it ends.
        package let end: UInt64
    }

    /// The source of the byte at `offset` (< `sizeBytes`), and where that piece ends.
    package func source(at offset: UInt64) -> Piece {
        let next = ranges.range(atOrAfter: offset)
        if let next, next.start <= offset {
            let from = next.from + (offset - next.start)
            let end = min(next.end, sizeBytes)
            switch next.source {
            case .zeros: return Piece(source: .zeros, from: from, end: end)
            case .data(let data): return Piece(source: .data(data), from: from, end: end)
            case .cloned(let entry): return Piece(source: .cloned(entry), from: from, end: end)
            }
        }
        let gapEnd = min(next?.start ?? sizeBytes, sizeBytes)
        if base != nil, offset < baseLimit {
            return Piece(source: .base, from: offset, end: min(gapEnd, baseLimit))
        }
        return Piece(source: .zeros, from: offset, end: gapEnd)
    }

    /// The pieces of `start ..< end`, which lies within the file, in order.
    package func pieces(from start: UInt64, to end: UInt64) -> [Piece] {
        var pieces: [Piece] = []
        var offset = start
        while offset < end {
            let piece = source(at: offset)
            pieces.append(Piece(source: piece.source, from: piece.from, end: min(piece.end, end)))
            offset = piece.end
        }
        return pieces
    }
}
