import GRDB
import ProllyTree
import Versioning

/// Questions about the overlay as a whole.
extension Overlay {
    func execute(_ sql: String, _ arguments: StatementArguments = []) throws {
        try database.execute(sql: sql, arguments: arguments)
    }

    func rows(_ sql: String, _ arguments: StatementArguments = []) throws -> [Row] {
        try Row.fetchAll(database, sql: sql, arguments: arguments)
    }

    func stagedPaths() throws -> [TreePath] {
        let rows = try Row.fetchCursor(
            database,
            sql: """
                SELECT node.origin, name.name FROM \(prefix)name AS name JOIN \(prefix)node AS node ON node.id = name.parent
                WHERE node.origin IS NOT NULL
                """)
        var paths: [TreePath] = []
        while let row = try rows.next() {
            paths.append(try TreePath(parsing: bytes(row[0])).appending(entryName(row[1])))
        }
        return paths
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

    /// Numbers of the data files that files are written to.
    func writeTargets() throws -> Set<Int64> {
        Set(try rows("SELECT data FROM node WHERE data IS NOT NULL").map { $0[0] })
    }

    /// How far the ranges, current or sealed, reach in each data file.
    func dataEnds() throws -> [(DataFileID, UInt64)] {
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
