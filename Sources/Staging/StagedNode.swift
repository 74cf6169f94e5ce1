package import Versioning

/// A file, directory or link of the overlay; stable while it exists.
package struct StagedNodeID: Hashable, Sendable, Comparable {
    package let value: Int64

    package init(_ value: Int64) {
        self.value = value
    }

    /// The root directory, which always exists.
    package static let root = StagedNodeID(1)

    package static func < (left: Self, right: Self) -> Bool { left.value < right.value }
}

/// A file of staged bytes in the workspace's `data` directory.
package struct DataFileID: Hashable, Sendable {
    package let value: Int64

    package init(_ value: Int64) {
        self.value = value
    }
}

/// One node of the overlay: something new, or a copy of something in the base tree whose attributes, content or
/// children changed.
package struct StagedNode: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        case file(StagedContent)
        case directory
        case symlink(target: [UInt8])
    }

    package var id: StagedNodeID
    package var kind: Kind
    package var mode: UInt16
    package var modified: Timestamp
    package var owner: Owner?
    package var attributes: [ExtendedAttribute]
    /// Where it was in the base tree; `nil` for what is new. A directory's unstaged children are those of its origin.
    package var origin: TreePath?
    /// The number of the last change to attributes or content; 0 while it only stands for its origin.
    package var change: Int64

    package init(
        id: StagedNodeID = StagedNodeID(0), kind: Kind, mode: UInt16, modified: Timestamp, owner: Owner? = nil,
        attributes: [ExtendedAttribute] = [], origin: TreePath? = nil, change: Int64 = 0
    ) {
        self.id = id
        self.kind = kind
        self.mode = mode
        self.modified = modified
        self.owner = owner
        self.attributes = attributes
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

    package var content: StagedContent? {
        if case .file(let content) = kind { return content }
        return nil
    }

    package var sizeBytes: UInt64 {
        switch kind {
        case .file(let content): content.sizeBytes
        case .directory: 0
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

    /// Whether the bytes are exactly the base's.
    package var isUnchanged: Bool {
        guard let base else { return false }
        return ranges.isEmpty && baseLimit == base.entry.sizeBytes && sizeBytes == baseLimit
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

    /// A piece of the file and where its bytes come from.
    package enum Source: Hashable, Sendable {
        case base
        case data(DataFileID)
        case zeros
    }

    /// The source of the byte at `offset` (< `sizeBytes`), and where that piece ends.
    package func source(at offset: UInt64) -> (source: Source, end: UInt64) {
        let next = ranges.range(atOrAfter: offset)
        if let next, next.start <= offset { return (.data(next.data), min(next.end, sizeBytes)) }
        let gapEnd = min(next?.start ?? sizeBytes, sizeBytes)
        if base != nil, offset < baseLimit { return (.base, min(gapEnd, baseLimit)) }
        return (.zeros, gapEnd)
    }
}
