import FoundationEssentials
import GRDB
import ProllyTree
import Versioning

/// What the overlay says of a name in a directory.
package enum StagedName: Hashable, Sendable {
    /// Nothing: the base decides.
    case untouched
    /// The base's entry of that name is gone.
    case removed
    case node(StagedNode)
}

/// The overlay's tables within one transaction: the current ones or, read-only, the sealed ones.
package struct Overlay {
    fileprivate let database: Database
    fileprivate let prefix: String

    init(_ database: Database, sealed: Bool) {
        self.database = database
        prefix = sealed ? "sealed_" : ""
    }

    // MARK: Reading

    package func node(_ id: StagedNodeID) throws -> StagedNode? {
        guard
            let row = try Row.fetchOne(
                database.cachedStatement(sql: "SELECT * FROM \(prefix)node WHERE id = ?"), arguments: [id.value])
        else { return nil }
        return try node(row)
    }

    package func lookup(_ parent: StagedNodeID, _ name: [UInt8]) throws -> StagedName {
        let statement = try database.cachedStatement(
            sql: "SELECT node FROM \(prefix)name WHERE parent = ? AND name = ?")
        guard let row = try Row.fetchOne(statement, arguments: [parent.value, blob(name)]) else { return .untouched }
        guard let id: Int64 = row[0] else { return .removed }
        guard let node = try node(StagedNodeID(id)) else {
            throw WorkspaceError.corrupt(path: "overlay", reason: "the name \(printableName(name)) has no node \(id)")
        }
        return .node(node)
    }

    /// The names that the overlay decides in a directory, in order of bytes; `nil` for one that is gone.
    package func names(in parent: StagedNodeID) throws -> [(name: [UInt8], node: StagedNodeID?)] {
        let statement = try database.cachedStatement(
            sql: "SELECT name, node FROM \(prefix)name WHERE parent = ? ORDER BY name")
        return try Row.fetchAll(statement, arguments: [parent.value]).map { row in
            (bytes(row[0]), (row[1] as Int64?).map(StagedNodeID.init))
        }
    }

    package func nodeCount() throws -> Int {
        try Int.fetchOne(database, sql: "SELECT count(*) FROM \(prefix)node") ?? 0
    }

    /// Whether any directory holds the node.
    package func hasName(_ id: StagedNodeID) throws -> Bool {
        let statement = try database.cachedStatement(sql: "SELECT 1 FROM \(prefix)name WHERE node = ? LIMIT 1")
        return try Row.fetchOne(statement, arguments: [id.value]) != nil
    }

    // MARK: Changing

    /// Adds a node without a name and answers it with its id.
    package func insert(_ node: StagedNode) throws -> StagedNode {
        var node = node
        try write(node, id: nil)
        node.id = StagedNodeID(database.lastInsertedRowID)
        return node
    }

    /// Saves a node's attributes and content under its id.
    package func update(_ node: StagedNode) throws {
        try write(node, id: node.id)
    }

    package func setName(_ parent: StagedNodeID, _ name: [UInt8], _ node: StagedNodeID?) throws {
        let statement = try database.cachedStatement(
            sql: "INSERT OR REPLACE INTO \(prefix)name (parent, name, node) VALUES (?, ?, ?)")
        try statement.execute(arguments: [parent.value, blob(name), node?.value])
    }

    package func forgetName(_ parent: StagedNodeID, _ name: [UInt8]) throws {
        let statement = try database.cachedStatement(sql: "DELETE FROM \(prefix)name WHERE parent = ? AND name = ?")
        try statement.execute(arguments: [parent.value, blob(name)])
    }

    /// Deletes a node with its ranges and, for a directory, with everything below it.
    package func remove(_ id: StagedNodeID) throws {
        for child in try names(in: id) {
            if let node = child.node { try remove(node) }
        }
        for (table, column) in [("name", "parent"), ("range", "node"), ("node", "id")] {
            let statement = try database.cachedStatement(sql: "DELETE FROM \(prefix)\(table) WHERE \(column) = ?")
            try statement.execute(arguments: [id.value])
        }
    }

    /// The next change number.
    package func nextChange() throws -> Int64 {
        let next = try (metaNumber("change") ?? 0) + 1
        try setMeta("change", String(next))
        return next
    }

    package func lastChange() throws -> Int64 { try metaNumber("change") ?? 0 }

    /// A data file number never used before.
    package func nextDataFile() throws -> DataFileID {
        let next = try (metaNumber("data") ?? 0) + 1
        try setMeta("data", String(next))
        return DataFileID(next)
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

    private func node(_ row: Row) throws -> StagedNode {
        let id = StagedNodeID(row["id"])
        let kind: StagedNode.Kind
        switch row["kind"] as Int {
        case 1: kind = .file(try content(row, id))
        case 2: kind = .directory
        case 3: kind = .symlink(target: bytes(row["target"]))
        case let other: throw WorkspaceError.corrupt(path: "overlay", reason: "node \(id.value) is of kind \(other)")
        }
        var owner: Owner?
        if let user: Int64 = row["user"], let group: Int64 = row["group"] {
            owner = Owner(userID: UInt32(truncatingIfNeeded: user), groupID: UInt32(truncatingIfNeeded: group))
        }
        return StagedNode(
            id: id, kind: kind, mode: UInt16(truncatingIfNeeded: row["mode"] as Int64),
            modified: Timestamp(
                seconds: row["seconds"], nanoseconds: UInt32(truncatingIfNeeded: row["nanoseconds"] as Int64)),
            owner: owner, attributes: try decodeAttributes(bytes(row["attributes"])),
            origin: try (row["origin"] as Data?).map { origin in
                do throws(PathFault) {
                    return try TreePath(parsing: [UInt8](origin))
                } catch {
                    throw WorkspaceError.corrupt(path: "overlay", reason: "node \(id.value): \(error.reason)")
                }
            }, change: row["change"])
    }

    private func content(_ row: Row, _ id: StagedNodeID) throws -> StagedContent {
        var content = StagedContent()
        if let value: Data = row["base_value"] {
            do {
                let item = Item(key: [], value: [UInt8](value), location: bytes(row["base_location"]))
                content.base = try LocatedEntry(item)
            } catch {
                throw WorkspaceError.corrupt(path: "overlay", reason: "node \(id.value): \(error.reason)")
            }
        }
        content.baseLimit = UInt64(bitPattern: row["base_limit"] as Int64? ?? 0)
        content.sizeBytes = UInt64(bitPattern: row["size"] as Int64? ?? 0)
        content.writeTarget = (row["data"] as Int64?).map(DataFileID.init)
        let statement = try database.cachedStatement(
            sql: "SELECT start, \"end\", data FROM \(prefix)range WHERE node = ? ORDER BY start")
        content.ranges = StagedRanges(
            try Row.fetchAll(statement, arguments: [id.value]).map {
                StagedRanges.Range(
                    start: UInt64(bitPattern: $0[0]), end: UInt64(bitPattern: $0[1]), data: DataFileID($0[2]))
            })
        return content
    }

    private func write(_ node: StagedNode, id: StagedNodeID?) throws {
        let content = node.content
        let base = content?.base?.item(at: .root)
        var target: [UInt8]?
        if case .symlink(let bytes) = node.kind { target = bytes }
        let kind = content != nil ? 1 : target != nil ? 3 : 2
        let arguments: StatementArguments = [
            id?.value, kind, node.mode, node.modified.seconds, node.modified.nanoseconds, node.owner?.userID,
            node.owner?.groupID, node.attributes.isEmpty ? nil : blob(encodeAttributes(node.attributes)),
            target.map(blob), content.map { Int64(bitPattern: $0.sizeBytes) }, node.origin.map { blob($0.bytes) },
            base.map { blob($0.value) }, base.map { blob($0.location) },
            content.map { Int64(bitPattern: $0.baseLimit) }, content?.writeTarget?.value, node.change,
        ]
        let statement = try database.cachedStatement(
            sql: """
                INSERT OR REPLACE INTO \(prefix)node (id, kind, mode, seconds, nanoseconds, user, "group", attributes, target,
                    size, origin, base_value, base_location, base_limit, data, change)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """)
        try statement.execute(arguments: arguments)
        guard let content else { return }
        try writeRanges(content.ranges, of: id?.value ?? database.lastInsertedRowID)
    }

    private func writeRanges(_ ranges: StagedRanges, of id: Int64) throws {
        let clear = try database.cachedStatement(sql: "DELETE FROM \(prefix)range WHERE node = ?")
        try clear.execute(arguments: [id])
        let add = try database.cachedStatement(
            sql: "INSERT INTO \(prefix)range (node, start, \"end\", data) VALUES (?, ?, ?, ?)")
        for range in ranges.ranges {
            try add.execute(
                arguments: [id, Int64(bitPattern: range.start), Int64(bitPattern: range.end), range.data.value])
        }
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

    func namelessNodes() throws -> [StagedNodeID] {
        try rows(
            "SELECT id FROM \(prefix)node WHERE id <> 1 AND id NOT IN (SELECT node FROM \(prefix)name WHERE node IS NOT NULL)"
        )
        .map { StagedNodeID($0[0]) }
    }

    /// Numbers of all data files that a current or sealed range, or a write target, refers to.
    func usedData() throws -> Set<Int64> {
        Set(
            try rows(
                "SELECT data FROM range UNION SELECT data FROM sealed_range UNION SELECT data FROM node WHERE data IS NOT NULL"
            ).map { $0[0] })
    }
}
