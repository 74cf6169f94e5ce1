import FoundationEssentials
import GRDB
import ProllyTree
package import Versioning

/// What the overlay says of a name in a directory.
package enum StagedName: Hashable, Sendable {
    /// Nothing: the base decides.
    case untouched
    /// The base's entry of that name is gone.
    case removed
    case node(OverlayEntry)
}

/// The overlay's tables within one transaction: the current ones or, read-only, the sealed ones.
package struct Overlay {
    fileprivate let database: Database
    fileprivate let prefix: String
    private let counters: Counters

    init(_ database: Database, sealed: Bool, _ counters: Counters) {
        self.database = database
        prefix = sealed ? "sealed_" : ""
        self.counters = counters
    }

    // MARK: Reading

    package func node(_ id: OverlayEntryID) throws -> OverlayEntry? {
        guard
            let row = try Row.fetchOne(
                database.cachedStatement(sql: "SELECT * FROM \(prefix)node WHERE id = ?"), arguments: [id.value])
        else { return nil }
        return try node(row)
    }

    package func lookup(_ parent: OverlayEntryID, _ name: [UInt8]) throws -> StagedName {
        let statement = try database.cachedStatement(
            sql: "SELECT node FROM \(prefix)name WHERE parent = ? AND name = ?")
        guard let row = try Row.fetchOne(statement, arguments: [parent.value, blob(name)]) else { return .untouched }
        guard let id: Int64 = row[0] else { return .removed }
        guard let node = try node(OverlayEntryID(id)) else {
            throw WorkspaceError.corrupt(path: "overlay", reason: "the name \(printableName(name)) has no node \(id)")
        }
        return .node(node)
    }

    /// The names that the overlay decides in a directory, in order of bytes; `nil` for one that is gone.
    package func names(in parent: OverlayEntryID) throws -> [(name: [UInt8], node: OverlayEntryID?)] {
        let statement = try database.cachedStatement(
            sql: "SELECT name, node FROM \(prefix)name WHERE parent = ? ORDER BY name")
        // By a cursor: rows take ten times the room of what is kept.
        let rows = try Row.fetchCursor(statement, arguments: [parent.value])
        var names: [(name: [UInt8], node: OverlayEntryID?)] = []
        while let row = try rows.next() { names.append((bytes(row[0]), (row[1] as Int64?).map(OverlayEntryID.init))) }
        return names
    }

    /// What the overlay says of a path: nothing when a directory above it does not change, removed when one is.
    package func state(at path: TreePath) throws -> StagedName {
        var directory = OverlayEntryID.root
        var state = StagedName.untouched
        for name in path.components {
            state = try lookup(directory, name)
            guard case .node(let node) = state else { return state }
            directory = node.id
        }
        return path.isRoot ? try node(.root).map(StagedName.node) ?? .untouched : state
    }

    /// The names that the overlay decides in a directory with their nodes, which come without ranges; `nil` for one that
    /// is gone.
    package func namedNodes(in parent: OverlayEntryID) throws -> [(name: [UInt8], node: OverlayEntry?)] {
        let statement = try database.cachedStatement(
            sql: """
                SELECT name.name AS own_name, node.* FROM \(prefix)name AS name
                LEFT JOIN \(prefix)node AS node ON node.id = name.node WHERE parent = ?
                """)
        return try Row.fetchAll(statement, arguments: [parent.value]).map { row in
            let isThere = (row["id"] as Int64?) != nil
            return (bytes(row["own_name"]), isThere ? try node(row, withRanges: false) : nil)
        }
    }

    package func nodeCount() throws -> Int {
        try Int.fetchOne(database, sql: "SELECT count(*) FROM \(prefix)node") ?? 0
    }

    /// Whether any directory holds the node.
    package func hasName(_ id: OverlayEntryID) throws -> Bool {
        let statement = try database.cachedStatement(sql: "SELECT 1 FROM \(prefix)name WHERE node = ? LIMIT 1")
        return try Row.fetchOne(statement, arguments: [id.value]) != nil
    }

    // MARK: Changing

    /// Adds a node without a name and answers it with its id.
    package func insert(_ node: OverlayEntry) throws -> OverlayEntry {
        var node = node
        node.id = OverlayEntryID(try next(.node))
        try write(node)
        return node
    }

    /// Saves a node's attributes and content under its id.
    ///
    /// - Parameter saved: the ranges that are stored, when the caller knows them: only what differs is written then.
    package func update(_ node: OverlayEntry, saved: StagedRanges? = nil) throws {
        try write(node, saved: saved)
    }

    /// Notes a committed file whose bytes ranges are going to show.
    package func insertCloned(_ located: LocatedEntry) throws -> ClonedEntryID {
        let item = located.item(at: .root)
        let statement = try database.cachedStatement(sql: "INSERT INTO cloned (value, location) VALUES (?, ?)")
        try statement.execute(arguments: [blob(item.value), blob(item.location)])
        return ClonedEntryID(database.lastInsertedRowID)
    }

    package func setName(_ parent: OverlayEntryID, _ name: [UInt8], _ node: OverlayEntryID?) throws {
        let statement = try database.cachedStatement(
            sql: "INSERT OR REPLACE INTO \(prefix)name (parent, name, node) VALUES (?, ?, ?)")
        try statement.execute(arguments: [parent.value, blob(name), node?.value])
    }

    package func forgetName(_ parent: OverlayEntryID, _ name: [UInt8]) throws {
        let statement = try database.cachedStatement(sql: "DELETE FROM \(prefix)name WHERE parent = ? AND name = ?")
        try statement.execute(arguments: [parent.value, blob(name)])
    }

    /// One of a node's names is gone: deletes the node if it was the last, with everything below a directory.
    package func dropName(of id: OverlayEntryID) throws {
        guard try hasName(id) else { return try remove(id) }
        let statement = try database.cachedStatement(
            sql: "UPDATE \(prefix)node SET links = (SELECT count(*) FROM \(prefix)name WHERE node = ?) WHERE id = ?")
        try statement.execute(arguments: [id.value, id.value])
    }

    /// Deletes a node with its ranges and, for a directory, with everything below it that has no name elsewhere.
    package func remove(_ id: OverlayEntryID) throws {
        let children = try names(in: id)
        for (table, column) in [("name", "parent"), ("range", "node"), ("node", "id")] {
            let statement = try database.cachedStatement(sql: "DELETE FROM \(prefix)\(table) WHERE \(column) = ?")
            try statement.execute(arguments: [id.value])
        }
        for child in children {
            if let node = child.node { try dropName(of: node) }
        }
    }

    /// The next change number.
    package func nextChange() throws -> Int64 { try next(.change) }

    /// The number of the last change, when this process makes them; otherwise one that is not below it.
    package func lastChange() throws -> Int64 { try counters.last(.change) ?? metaNumber("change") ?? 0 }

    /// The number of the newest change that a node shows. Looks at every node.
    func newestChange() throws -> Int64 {
        try Int64.fetchOne(database, sql: "SELECT max(change) FROM node") ?? 0
    }

    /// A data file number never used before.
    package func nextDataFile() throws -> DataFileID { DataFileID(try next(.data)) }

    private func next(_ kind: Counters.Kind) throws -> Int64 {
        try counters.next(kind) { count in
            // Node 1 is the root.
            let taken = try metaNumber(kind.rawValue) ?? (kind == .node ? OverlayEntryID.root.value : 0)
            try setMeta(kind.rawValue, String(taken + count))
            return taken
        }
    }

    func metaNumber(_ key: String) throws -> Int64? { try meta(key).flatMap { Int64($0) } }

    func meta(_ key: String) throws -> String? {
        let statement = try database.cachedStatement(sql: "SELECT value FROM meta WHERE key = ?")
        return try String.fetchOne(statement, arguments: [key])
    }

    func setMeta(_ key: String, _ value: String?) throws {
        if let value {
            let statement = try database.cachedStatement(sql: "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)")
            try statement.execute(arguments: [key, value])
        } else {
            try database.execute(sql: "DELETE FROM meta WHERE key = ?", arguments: [key])
        }
    }

    // MARK: Rows

    private func node(_ row: Row, withRanges: Bool = true) throws -> OverlayEntry {
        let id = OverlayEntryID(row["id"])
        func fault(_ reason: String) -> WorkspaceError {
            .corrupt(path: "overlay", reason: "node \(id.value): \(reason)")
        }
        let kind: OverlayEntry.Kind
        switch row["kind"] as Int {
        case 1: kind = .file(try content(row, id, withRanges: withRanges))
        case 2: kind = .directory
        case 3: kind = .symlink(target: bytes(row["target"]))
        case let other:
            guard let special = SpecialKind(rawValue: other) else { throw fault("kind \(other)") }
            kind = .special(special, device: UInt32(truncatingIfNeeded: row["device"] as Int64? ?? 0))
        }
        var owner: Owner?
        if let user: Int64 = row["user"], let group: Int64 = row["group"] {
            owner = Owner(userID: UInt32(truncatingIfNeeded: user), groupID: UInt32(truncatingIfNeeded: group))
        }
        func time(_ name: String) -> Timestamp {
            Timestamp(
                seconds: row[name + "_s"], nanoseconds: UInt32(truncatingIfNeeded: row[name + "_ns"] as Int64))
        }
        return OverlayEntry(
            id: id, kind: kind, mode: UInt16(truncatingIfNeeded: row["mode"] as Int64), modified: time("modified"),
            accessed: time("accessed"), changed: time("changed"), owner: owner,
            attributes: try decodeAttributes(bytes(row["attributes"])), links: row["links"],
            origin: try (row["origin"] as Data?).map { origin in
                do throws(PathFault) {
                    return try TreePath(parsing: [UInt8](origin))
                } catch {
                    throw fault(error.reason)
                }
            }, change: row["change"])
    }

    private func content(_ row: Row, _ id: OverlayEntryID, withRanges: Bool) throws -> StagedContent {
        var content = StagedContent()
        if let value: Data = row["base_value"] {
            content.base = try located(value, row["base_location"], "node \(id.value)")
        }
        content.baseLimit = UInt64(bitPattern: row["base_limit"] as Int64? ?? 0)
        content.sizeBytes = UInt64(bitPattern: row["size"] as Int64? ?? 0)
        content.writeTarget = (row["data"] as Int64?).map(DataFileID.init)
        if let whole: Int64 = row["whole"] {
            content.ranges.insert(start: 0, end: content.sizeBytes, data: DataFileID(whole))
            return content
        }
        guard withRanges else { return content }
        let statement = try database.cachedStatement(
            sql: "SELECT start, \"end\", data, \"from\" FROM \(prefix)range WHERE node = ? ORDER BY start")
        let ranges = try Row.fetchAll(statement, arguments: [id.value]).map { row in
            StagedRanges.Range(
                start: UInt64(bitPattern: row[0]), end: UInt64(bitPattern: row[1]),
                source: StagedRanges.Source(stored: row[2]), from: UInt64(bitPattern: row[3]))
        }
        content.ranges = StagedRanges(ranges)
        for case .cloned(let entry) in Set(ranges.map(\.source)) { content.cloned[entry] = try cloned(entry) }
        return content
    }

    private func cloned(_ id: ClonedEntryID) throws -> LocatedEntry {
        let statement = try database.cachedStatement(sql: "SELECT value, location FROM cloned WHERE id = ?")
        guard let row = try Row.fetchOne(statement, arguments: [id.value]) else {
            throw WorkspaceError.corrupt(path: "overlay", reason: "there is no cloned entry \(id.value)")
        }
        return try located(row[0], row[1], "cloned entry \(id.value)")
    }

    private func located(_ value: Data, _ location: Data?, _ what: String) throws -> LocatedEntry {
        do {
            return try LocatedEntry(Item(key: [], value: [UInt8](value), location: bytes(location)))
        } catch {
            throw WorkspaceError.corrupt(path: "overlay", reason: "\(what): \(error.reason)")
        }
    }

    private func write(_ node: OverlayEntry, saved: StagedRanges? = nil) throws {
        let content = node.content
        let base = content?.base?.item(at: .root)
        var target: [UInt8]?
        var device: UInt32?
        let kind: Int
        switch node.kind {
        case .file: kind = 1
        case .directory: kind = 2
        case .symlink(let bytes): (kind, target) = (3, bytes)
        case .special(let special, let number): (kind, device) = (special.rawValue, number)
        }
        let arguments: StatementArguments = [
            node.id.value, kind, node.mode, node.modified.seconds, node.modified.nanoseconds, node.accessed.seconds,
            node.accessed.nanoseconds, node.changed.seconds, node.changed.nanoseconds, node.links, device,
            node.owner?.userID, node.owner?.groupID,
            node.attributes.isEmpty ? nil : blob(encodeAttributes(node.attributes)),
            target.map(blob), content.map { Int64(bitPattern: $0.sizeBytes) }, node.origin.map { blob($0.bytes) },
            base.map { blob($0.value) }, base.map { blob($0.location) },
            content.map { Int64(bitPattern: $0.baseLimit) }, content?.writeTarget?.value, content?.wholeDataFile?.value,
            node.change,
        ]
        let statement = try database.cachedStatement(
            sql: """
                INSERT OR REPLACE INTO \(prefix)node (id, kind, mode, modified_s, modified_ns, accessed_s, accessed_ns,
                    changed_s, changed_ns, links, device, user, "group", attributes, target, size, origin, base_value,
                    base_location, base_limit, data, whole, change)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """)
        try statement.execute(arguments: arguments)
        guard let content else { return }
        // One range that is the whole file stands in the node's own row.
        let ranges = content.wholeDataFile == nil ? content.ranges : StagedRanges()
        if ranges.isEmpty, saved?.isEmpty == true { return }
        // Ranges that were whole may stand in either place.
        try writeRanges(ranges, saved: saved?.isWhole == true ? nil : saved, of: node.id.value)
    }

    private func writeRanges(_ ranges: StagedRanges, saved: StagedRanges?, of id: Int64) throws {
        let add = try database.cachedStatement(
            sql: "INSERT OR REPLACE INTO \(prefix)range (node, start, \"end\", data, \"from\") VALUES (?, ?, ?, ?, ?)")
        if let saved {
            let remove = try database.cachedStatement(sql: "DELETE FROM \(prefix)range WHERE node = ? AND start = ?")
            let present = Set(ranges.ranges)
            for range in saved.ranges where !present.contains(range) {
                try remove.execute(arguments: [id, Int64(bitPattern: range.start)])
            }
        } else {
            let clear = try database.cachedStatement(sql: "DELETE FROM \(prefix)range WHERE node = ?")
            try clear.execute(arguments: [id])
        }
        let known = Set(saved?.ranges ?? [])
        for range in ranges.ranges where !known.contains(range) {
            try add.execute(
                arguments: [
                    id, Int64(bitPattern: range.start), Int64(bitPattern: range.end), range.source.stored,
                    Int64(bitPattern: range.from),
                ])
        }
    }
}

extension StagedRanges {
    /// Whether it may stand in the node's row: a single range of written bytes from the beginning.
    fileprivate var isWhole: Bool {
        guard ranges.count == 1, let range = ranges.first, case .data = range.source else { return false }
        return range.start == 0 && range.from == 0
    }
}

extension StagedContent {
    /// The data file that holds the whole of a file, byte for byte.
    fileprivate var wholeDataFile: DataFileID? {
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

private func blob(_ bytes: [UInt8]) -> Data { Data(bytes) }

private func bytes(_ data: Data?) -> [UInt8] { data.map { [UInt8]($0) } ?? [] }

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

private func decodeAttributes(_ bytes: [UInt8]) throws -> [ExtendedAttribute] {
    try bytes.withUnsafeBytes { raw in
        var reader = ByteReader(raw)
        var attributes: [ExtendedAttribute] = []
        while !reader.isAtEnd {
            let name = try reader.bytes(try reader.count(limit: raw.count))
            attributes.append(
                ExtendedAttribute(name: name, value: try reader.bytes(try reader.count(limit: raw.count))))
        }
        return attributes
    }
}

extension Overlay {
    func execute(_ sql: String, _ arguments: StatementArguments = []) throws {
        try database.execute(sql: sql, arguments: arguments)
    }

    func rows(_ sql: String, _ arguments: StatementArguments = []) throws -> [Row] {
        try Row.fetchAll(database, sql: sql, arguments: arguments)
    }

    func stagedPlaces() throws -> [TreePath] {
        let rows = try Row.fetchCursor(
            database,
            sql: """
                SELECT node.origin, name.name FROM \(prefix)name AS name JOIN \(prefix)node AS node ON node.id = name.parent
                WHERE node.origin IS NOT NULL
                """)
        var places: [TreePath] = []
        while let row = try rows.next() {
            places.append(try TreePath(parsing: bytes(row[0])).appending(bytes(row[1])))
        }
        return places
    }

    func namelessNodes() throws -> [OverlayEntryID] {
        try rows(
            "SELECT id FROM \(prefix)node WHERE id <> 1 AND id NOT IN (SELECT node FROM \(prefix)name WHERE node IS NOT NULL)"
        )
        .map { OverlayEntryID($0[0]) }
    }

    /// Numbers of all data files that a current or sealed range, or a write target, refers to.
    func usedData() throws -> Set<Int64> {
        Set(
            try rows(
                """
                SELECT data FROM range UNION SELECT data FROM sealed_range UNION SELECT data FROM node WHERE data IS NOT NULL
                UNION SELECT whole FROM node WHERE whole IS NOT NULL
                UNION SELECT whole FROM sealed_node WHERE whole IS NOT NULL
                """
            ).map { $0[0] })
    }

    /// How far the ranges, current or sealed, reach in each data file.
    func dataEnds() throws -> [(data: DataFileID, end: UInt64)] {
        try rows(
            """
            SELECT data, MAX(upTo) FROM (
                SELECT data, "end" - start + "from" AS upTo FROM range WHERE data > 0
                UNION ALL SELECT data, "end" - start + "from" FROM sealed_range WHERE data > 0
                UNION ALL SELECT whole, size FROM node WHERE whole IS NOT NULL
                UNION ALL SELECT whole, size FROM sealed_node WHERE whole IS NOT NULL)
            GROUP BY data
            """
        ).map { (DataFileID($0[0]), UInt64(bitPattern: $0[1])) }
    }

    /// The last parts of the names of files that show bytes of these data files.
    func names(showing files: Set<Int64>) throws -> [[UInt8]] {
        try rows(
            """
            SELECT range.data, name.name FROM name JOIN range ON range.node = name.node WHERE range.data > 0
            UNION SELECT node.whole, name.name FROM name JOIN node ON node.id = name.node WHERE node.whole IS NOT NULL
            """
        ).filter { files.contains($0[0]) }.map { bytes($0[1]) }
    }

    /// Forgets cloned entries that no range refers to.
    func removeUnusedCloned() throws {
        try execute(
            """
            DELETE FROM cloned WHERE id NOT IN
                (SELECT -data FROM range WHERE data < 0 UNION SELECT -data FROM sealed_range WHERE data < 0)
            """)
    }
}
