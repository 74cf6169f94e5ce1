import FoundationEssentials
import GRDB
import ProllyTree
import Versioning

/// A row of `node`, column by column: what an `OverlayEntry` is in the database, but for its ranges.
struct NodeRow: FetchableRecord, PersistableRecord {
    static let databaseTableName = "node"
    static let persistenceConflictPolicy = PersistenceConflictPolicy(insert: .replace)

    enum Columns: String, ColumnExpression {
        case id, kind, mode, links, device, user, group, attributes, target, size, origin, data, whole, change
        case modifiedSeconds = "modified_s"
        case modifiedNanoseconds = "modified_ns"
        case accessedSeconds = "accessed_s"
        case accessedNanoseconds = "accessed_ns"
        case changedSeconds = "changed_s"
        case changedNanoseconds = "changed_ns"
        case baseValue = "base_value"
        case baseLocation = "base_location"
        case baseLimit = "base_limit"
    }

    let id: OverlayEntryID
    /// 1 file, 2 directory, 3 symbolic link, else `SpecialKind`.
    let kind: Int
    let mode: UInt16
    let modified: Timestamp
    let accessed: Timestamp
    let changed: Timestamp
    let owner: Owner?
    let links: Int
    let device: UInt32?
    let attributes: [UInt8]?
    let target: [UInt8]?
    let origin: [UInt8]?
    let sizeBytes: UInt64?
    /// The base entry as in the tree.
    let base: Item?
    let baseLimit: UInt64?
    let writeTarget: DataFileID?
    /// The data file that holds the whole of the file, byte for byte; its ranges are not in `range` then.
    let whole: DataFileID?
    let change: Int64

    init(row: Row) {
        id = OverlayEntryID(row[Columns.id])
        kind = row[Columns.kind]
        mode = UInt16(truncatingIfNeeded: row[Columns.mode] as Int64)
        modified = Self.time(row, .modifiedSeconds, .modifiedNanoseconds)
        accessed = Self.time(row, .accessedSeconds, .accessedNanoseconds)
        changed = Self.time(row, .changedSeconds, .changedNanoseconds)
        if let user: Int64 = row[Columns.user], let group: Int64 = row[Columns.group] {
            owner = Owner(userID: UInt32(truncatingIfNeeded: user), groupID: UInt32(truncatingIfNeeded: group))
        } else {
            owner = nil
        }
        links = row[Columns.links]
        device = (row[Columns.device] as Int64?).map { UInt32(truncatingIfNeeded: $0) }
        attributes = Self.bytes(row, .attributes)
        target = Self.bytes(row, .target)
        origin = Self.bytes(row, .origin)
        sizeBytes = (row[Columns.size] as Int64?).map { UInt64(bitPattern: $0) }
        base = Self.bytes(row, .baseValue).map { value in
            Item(key: [], value: value, location: Self.bytes(row, .baseLocation) ?? [])
        }
        baseLimit = (row[Columns.baseLimit] as Int64?).map { UInt64(bitPattern: $0) }
        writeTarget = (row[Columns.data] as Int64?).map(DataFileID.init)
        whole = (row[Columns.whole] as Int64?).map(DataFileID.init)
        change = row[Columns.change]
    }

    init(_ entry: OverlayEntry) {
        id = entry.id
        (mode, links, change) = (entry.mode, entry.links, entry.change)
        (modified, accessed, changed, owner) = (entry.modified, entry.accessed, entry.changed, entry.owner)
        attributes = entry.attributes.isEmpty ? nil : encodeAttributes(entry.attributes)
        origin = entry.origin?.bytes
        switch entry.kind {
        case .file: (kind, target, device) = (1, nil, nil)
        case .directory: (kind, target, device) = (2, nil, nil)
        case .symlink(let bytes): (kind, target, device) = (3, bytes, nil)
        case .special(let special, let number): (kind, target, device) = (special.rawValue, nil, number)
        }
        let content = entry.content
        sizeBytes = content?.sizeBytes
        base = content?.base?.item(at: .root)
        baseLimit = content?.baseLimit
        writeTarget = content?.writeTarget
        whole = content?.wholeDataFile
    }

    func encode(to container: inout PersistenceContainer) {
        container[Columns.id] = id.value
        container[Columns.kind] = kind
        container[Columns.mode] = mode
        container[Columns.modifiedSeconds] = modified.seconds
        container[Columns.modifiedNanoseconds] = modified.nanoseconds
        container[Columns.accessedSeconds] = accessed.seconds
        container[Columns.accessedNanoseconds] = accessed.nanoseconds
        container[Columns.changedSeconds] = changed.seconds
        container[Columns.changedNanoseconds] = changed.nanoseconds
        container[Columns.links] = links
        container[Columns.device] = device
        container[Columns.user] = owner?.userID
        container[Columns.group] = owner?.groupID
        container[Columns.attributes] = attributes.map { Data($0) }
        container[Columns.target] = target.map { Data($0) }
        container[Columns.size] = sizeBytes.map { Int64(bitPattern: $0) }
        container[Columns.origin] = origin.map { Data($0) }
        container[Columns.baseValue] = base.map { Data($0.value) }
        container[Columns.baseLocation] = base.map { Data($0.location) }
        container[Columns.baseLimit] = baseLimit.map { Int64(bitPattern: $0) }
        container[Columns.data] = writeTarget?.value
        container[Columns.whole] = whole?.value
        container[Columns.change] = change
    }

    private static func time(_ row: Row, _ seconds: Columns, _ nanoseconds: Columns) -> Timestamp {
        Timestamp(seconds: row[seconds], nanoseconds: UInt32(truncatingIfNeeded: row[nanoseconds] as Int64))
    }

    private static func bytes(_ row: Row, _ column: Columns) -> [UInt8]? {
        (row[column] as Data?).map { [UInt8]($0) }
    }
}

/// A row of `range`: staged bytes of a file.
struct RangeRow: FetchableRecord, PersistableRecord {
    static let databaseTableName = "range"
    static let persistenceConflictPolicy = PersistenceConflictPolicy(insert: .replace)

    enum Columns: String, ColumnExpression {
        case node, start, end, data, from
    }

    let node: OverlayEntryID
    let range: StagedRanges.Range

    init(node: OverlayEntryID, range: StagedRanges.Range) {
        self.node = node
        self.range = range
    }

    init(row: Row) {
        node = OverlayEntryID(row[Columns.node])
        range = StagedRanges.Range(
            start: UInt64(bitPattern: row[Columns.start]), end: UInt64(bitPattern: row[Columns.end]),
            source: StagedRanges.Source(stored: row[Columns.data]), from: UInt64(bitPattern: row[Columns.from]))
    }

    func encode(to container: inout PersistenceContainer) {
        container[Columns.node] = node.value
        container[Columns.start] = Int64(bitPattern: range.start)
        container[Columns.end] = Int64(bitPattern: range.end)
        container[Columns.data] = range.source.stored
        container[Columns.from] = Int64(bitPattern: range.from)
    }
}

/// A row of `cloned`: a committed file whose bytes ranges of others show.
struct ClonedRow: FetchableRecord {
    let item: Item

    init(row: Row) {
        item = Item(key: [], value: [UInt8](row["value"] as Data), location: [UInt8](row["location"] as Data))
    }
}

extension StagedRanges {
    /// Whether it may stand in the node's row: a single range of written bytes from the beginning.
    var isWhole: Bool {
        guard ranges.count == 1, let range = ranges.first, case .data = range.source else { return false }
        return range.start == 0 && range.from == 0
    }
}

extension StagedContent {
    /// The data file that holds the whole of a file, byte for byte.
    var wholeDataFile: DataFileID? {
        guard ranges.isWhole, let range = ranges.ranges.first, range.end == sizeBytes,
            case .data(let data) = range.source
        else { return nil }
        return data
    }
}

extension StagedRanges.Source {
    /// As the column `data` holds it: a data file's number, a cloned entry's negated, 0 for zeros.
    var stored: Int64 {
        switch self {
        case .zeros: 0
        case .data(let data): data.value
        case .cloned(let entry): -entry.value
        }
    }

    init(stored: Int64) {
        self = stored == 0 ? .zeros : stored > 0 ? .data(DataFileID(stored)) : .cloned(ClonedEntryID(-stored))
    }
}

private func encodeAttributes(_ attributes: [ExtendedAttribute]) -> [UInt8] {
    var output: [UInt8] = []
    for attribute in attributes {
        for run in [attribute.name, attribute.value] {
            appendVarint(UInt64(run.count), to: &output)
            output += run
        }
    }
    return output
}
