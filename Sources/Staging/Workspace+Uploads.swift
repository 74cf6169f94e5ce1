import FoundationEssentials
import GRDB
package import ProllyTree
package import Versioning

/// Blocks that were uploaded ahead of the commit (see `Repository.uploadAhead`). A record is of one change of a node:
/// whatever is written later counts as another, so a record that is still of the node's change is of its bytes.
///
/// That holds for as long as no write goes unnoticed: after a mount that was killed, bytes may have reached a data file
/// that no change was counted for, and all records are dropped.
extension Workspace {
    /// Files that are ready: changed, not uploaded as they are, and last written before `time`. At most `limit`.
    package func filesToUpload(writtenBefore time: Timestamp, limit: Int) throws -> [OverlayEntry] {
        try read { overlay in
            try overlay.rows(
                """
                SELECT node.id FROM node LEFT JOIN uploaded ON uploaded.node = node.id
                WHERE kind = 1 AND links > 0 AND node.change > 0 AND modified_s < ? AND uploaded.change IS NOT node.change
                    AND (whole IS NOT NULL OR EXISTS (SELECT 1 FROM range WHERE range.node = node.id))
                LIMIT ?
                """, [time.seconds, limit]
            ).compactMap { try overlay.node(OverlayEntryID($0[0])) }
        }
    }

    /// Notes where the content of nodes lies, unless they were changed meanwhile.
    package func recordUploads(_ uploads: [(node: OverlayEntry, blocks: BlockList)]) throws {
        try write { overlay in
            for (node, blocks) in uploads where try overlay.node(node.id)?.change == node.change {
                try overlay.execute(
                    "INSERT OR REPLACE INTO uploaded (node, change, blocks) VALUES (?, ?, ?)",
                    [node.id.value, node.change, Data(encode(blocks))])
            }
        }
    }

    /// Where the content of a node lies, if it was uploaded as it is now.
    package func uploaded(_ node: OverlayEntry) throws -> BlockList? {
        try read { overlay in
            let row = try overlay.rows(
                "SELECT blocks FROM uploaded WHERE node = ? AND change = ?", [node.id.value, node.change]
            ).first
            return try row.map { try decode([UInt8]($0[0] as Data)) }
        }
    }

    /// Whether anything is uploaded that a commit could use. Forgets records of nodes that are gone or were changed.
    package func hasUploads() throws -> Bool {
        try write { overlay in
            try overlay.execute(
                """
                DELETE FROM uploaded WHERE NOT EXISTS (SELECT 1 FROM node WHERE id = uploaded.node AND change = uploaded.change)
                    AND NOT EXISTS (SELECT 1 FROM sealed_node WHERE id = uploaded.node AND change = uploaded.change)
                """)
            return try !overlay.rows("SELECT 1 FROM uploaded LIMIT 1").isEmpty
        }
    }

    package func dropUploads() throws {
        try write { try $0.execute("DELETE FROM uploaded") }
    }

    /// The lease on the commits that staged files show.
    package func baseLease() throws -> String? { try read { try $0.meta("base-lease") } }

    package func setBaseLease(_ id: String?) throws { try write { try $0.setMeta("base-lease", id) } }

    /// The lease on what is uploaded ahead, and the tree that it protects.
    package func uploadLease() throws -> (id: String, tree: NodeID)? {
        try read { overlay in
            guard let id = try overlay.meta("upload-lease"),
                let tree = try overlay.meta("upload-tree").flatMap({ NodeID(hex: $0) })
            else { return nil }
            return (id, tree)
        }
    }

    package func setUploadLease(_ lease: (id: String, tree: NodeID)?) throws {
        try write { overlay in
            try overlay.setMeta("upload-lease", lease?.id)
            try overlay.setMeta("upload-tree", lease?.tree.hex)
        }
    }
}

private func encode(_ list: BlockList) -> [UInt8] {
    var output: [UInt8] = []
    for part in [list.encodedLogical(), list.encodedLocation()] {
        appendVarint(UInt64(part.count), to: &output)
        output += part
    }
    return output
}

private func decode(_ bytes: [UInt8]) throws -> BlockList {
    try bytes.withUnsafeBytes { raw in
        var reader = ByteReader(raw)
        let logical = try reader.bytes(try reader.count(limit: raw.count))
        return try BlockList(logical: logical, location: reader.bytes(try reader.count(limit: raw.count)))
    }
}
