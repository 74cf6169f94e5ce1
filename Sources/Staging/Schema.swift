import GRDB

/// The overlay's tables. `sealed_*` are copies made at a seal, read by the commit under way.
///
/// - `node`: what is staged (see `OverlayEntry`); `base_value`, `base_location` are the base entry as in the tree.
/// - `name`: what a directory's overlay says of a name: a node, or (`node` null) that the base's entry is gone.
/// - `range`: staged byte ranges of a file, unless all of it lies in one data file (`node.whole`): of a data file, of a `cloned` entry (its id negated), or (0) zeros.
/// - `cloned`: committed entries that ranges refer to; written once and shared with what is sealed.
/// - `uploaded`: blocks of a node's content, as of one change, that are in the store already.
/// - `conflict`: paths that a commit could not merge, since when the user knows, and what was decided.
enum Schema {
    /// The steps from an empty database to the present tables. A step that was released is never changed.
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        // Workspaces from before there were steps have these tables already.
        migrator.registerMigration("tables", migrate: create)
        migrator.registerMigration("told") { database in
            try database.execute(
                sql: "ALTER TABLE conflict ADD COLUMN told INTEGER; UPDATE conflict SET told = change")
        }
        return migrator
    }

    private static func create(_ database: Database) throws {
        try database.execute(
            sql: """
                CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
                CREATE TABLE IF NOT EXISTS conflict (
                    path BLOB PRIMARY KEY, theirs BLOB, change INTEGER NOT NULL, reason TEXT NOT NULL, resolution TEXT
                ) WITHOUT ROWID;
                CREATE TABLE IF NOT EXISTS cloned (
                    id INTEGER PRIMARY KEY AUTOINCREMENT, value BLOB NOT NULL, location BLOB NOT NULL);
                CREATE TABLE IF NOT EXISTS uploaded (
                    node INTEGER PRIMARY KEY, change INTEGER NOT NULL, blocks BLOB NOT NULL);
                """)
        for prefix in ["", "sealed_"] {
            try database.execute(
                sql: """
                    CREATE TABLE IF NOT EXISTS \(prefix)node (
                        id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, mode INTEGER NOT NULL,
                        modified_s INTEGER NOT NULL, modified_ns INTEGER NOT NULL, accessed_s INTEGER NOT NULL,
                        accessed_ns INTEGER NOT NULL, changed_s INTEGER NOT NULL, changed_ns INTEGER NOT NULL,
                        links INTEGER NOT NULL, device INTEGER, user INTEGER, "group" INTEGER,
                        attributes BLOB, target BLOB, size INTEGER, origin BLOB, base_value BLOB, base_location BLOB,
                        base_limit INTEGER, data INTEGER, whole INTEGER, change INTEGER NOT NULL);
                    CREATE TABLE IF NOT EXISTS \(prefix)name (
                        parent INTEGER NOT NULL, name BLOB NOT NULL, node INTEGER, PRIMARY KEY (parent, name)) WITHOUT ROWID;
                    CREATE TABLE IF NOT EXISTS \(prefix)range (
                        node INTEGER NOT NULL, start INTEGER NOT NULL, "end" INTEGER NOT NULL, data INTEGER NOT NULL,
                        "from" INTEGER NOT NULL, PRIMARY KEY (node, start)) WITHOUT ROWID;
                    CREATE INDEX IF NOT EXISTS \(prefix)name_node ON \(prefix)name (node);
                    """)
        }
    }

    static let copiedTables = ["node", "name", "range"]
}
