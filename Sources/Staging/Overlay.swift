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
    let database: Database
    let prefix: String
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
        return try entry(row)
    }

    package func lookup(_ parent: OverlayEntryID, _ name: EntryName) throws -> StagedName {
        let statement = try database.cachedStatement(
            sql: "SELECT node FROM \(prefix)name WHERE parent = ? AND name = ?")
        guard let row = try Row.fetchOne(statement, arguments: [parent.value, blob(name)]) else { return .untouched }
        guard let id: Int64 = row[0] else { return .removed }
        guard let node = try node(OverlayEntryID(id)) else {
            throw WorkspaceError.corrupt(path: "overlay", reason: "the name \(name) has no node \(id)")
        }
        return .node(node)
    }

    /// The names that the overlay decides in a directory, in order of bytes; `nil` for one that is gone.
    package func names(in parent: OverlayEntryID) throws -> [(name: EntryName, node: OverlayEntryID?)] {
        let statement = try database.cachedStatement(
            sql: "SELECT name, node FROM \(prefix)name WHERE parent = ? ORDER BY name")
        // By a cursor: rows take ten times the room of what is kept.
        let rows = try Row.fetchCursor(statement, arguments: [parent.value])
        var names: [(name: EntryName, node: OverlayEntryID?)] = []
        while let row = try rows.next() {
            names.append((try entryName(row[0]), (row[1] as Int64?).map(OverlayEntryID.init)))
        }
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
    package func namedNodes(in parent: OverlayEntryID) throws -> [(name: EntryName, node: OverlayEntry?)] {
        let statement = try database.cachedStatement(
            sql: """
                SELECT name.name AS own_name, node.* FROM \(prefix)name AS name
                LEFT JOIN \(prefix)node AS node ON node.id = name.node WHERE parent = ?
                """)
        return try Row.fetchAll(statement, arguments: [parent.value]).map { row in
            let isThere = (row["id"] as Int64?) != nil
            return (try entryName(row["own_name"]), isThere ? try entry(row, withRanges: false) : nil)
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

    package func setName(_ parent: OverlayEntryID, _ name: EntryName, _ node: OverlayEntryID?) throws {
        let statement = try database.cachedStatement(
            sql: "INSERT OR REPLACE INTO \(prefix)name (parent, name, node) VALUES (?, ?, ?)")
        try statement.execute(arguments: [parent.value, blob(name), node?.value])
    }

    package func forgetName(_ parent: OverlayEntryID, _ name: EntryName) throws {
        let statement = try database.cachedStatement(sql: "DELETE FROM \(prefix)name WHERE parent = ? AND name = ?")
        try statement.execute(arguments: [parent.value, blob(name)])
    }

    /// One of a node's names is gone: deletes the node if it was the last, with everything below a directory.
    package func dropName(of id: OverlayEntryID) throws {
        guard try hasName(id) else { return try remove(id) }
        try countNames(of: id)
    }

    /// Deletes a node with its ranges and, for a directory, with everything below it that has no name elsewhere.
    package func remove(_ id: OverlayEntryID) throws {
        var doomed = [id]
        while let id = doomed.popLast() {
            let children = try names(in: id)
            for (table, column) in [("name", "parent"), ("range", "node"), ("node", "id")] {
                let statement = try database.cachedStatement(sql: "DELETE FROM \(prefix)\(table) WHERE \(column) = ?")
                try statement.execute(arguments: [id.value])
            }
            for case let child? in children.map(\.node) {
                if try hasName(child) { try countNames(of: child) } else { doomed.append(child) }
            }
        }
    }

    private func countNames(of id: OverlayEntryID) throws {
        let statement = try database.cachedStatement(
            sql: "UPDATE \(prefix)node SET links = (SELECT count(*) FROM \(prefix)name WHERE node = ?) WHERE id = ?")
        try statement.execute(arguments: [id.value, id.value])
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
}

func blob(_ bytes: [UInt8]) -> Data { Data(bytes) }

/// A name as a row holds it.
func entryName(_ data: Data) throws(WorkspaceError) -> EntryName {
    do throws(PathFault) {
        return try EntryName(checking: [UInt8](data))
    } catch {
        throw .corrupt(path: "overlay", reason: error.reason)
    }
}

func blob(_ name: EntryName) -> Data { Data(name.bytes) }

func bytes(_ data: Data?) -> [UInt8] { data.map { [UInt8]($0) } ?? [] }
