import GRDB
import ProllyTree
import Versioning

/// Between rows and overlay entries.
extension Overlay {
    func entry(_ row: Row, withRanges: Bool = true) throws -> OverlayEntry {
        let row = NodeRow(row: row)
        func fault(_ reason: String) -> WorkspaceError {
            .corrupt(path: "overlay", reason: "node \(row.id.value): \(reason)")
        }
        let kind: OverlayEntry.Kind
        switch row.kind {
        case 1: kind = .file(try content(row, withRanges: withRanges))
        case 2: kind = .directory
        case 3: kind = .symlink(target: row.target ?? [])
        case let other:
            guard let special = SpecialKind(rawValue: other) else { throw fault("kind \(other)") }
            kind = .special(special, device: row.device ?? 0)
        }
        return OverlayEntry(
            id: row.id, kind: kind, mode: row.mode, modified: row.modified, accessed: row.accessed,
            changed: row.changed, owner: row.owner, attributes: try decodeAttributes(row.attributes ?? []),
            links: row.links,
            origin: try row.origin.map { origin in
                do throws(PathFault) {
                    return try TreePath(parsing: origin)
                } catch {
                    throw fault(error.reason)
                }
            }, change: row.change)
    }

    private func content(_ row: NodeRow, withRanges: Bool) throws -> StagedContent {
        var content = StagedContent()
        if let base = row.base { content.base = try located(base, "node \(row.id.value)") }
        content.baseLimit = row.baseLimit ?? 0
        content.sizeBytes = row.sizeBytes ?? 0
        content.writeTarget = row.writeTarget
        if let whole = row.whole {
            content.ranges.insert(start: 0, end: content.sizeBytes, data: whole)
            return content
        }
        guard withRanges else { return content }
        let statement = try database.cachedStatement(
            sql: "SELECT * FROM \(prefix)range WHERE node = ? ORDER BY start")
        let ranges = try RangeRow.fetchAll(statement, arguments: [row.id.value]).map(\.range)
        content.ranges = StagedRanges(ranges)
        for case .cloned(let entry) in Set(ranges.map(\.source)) { content.cloned[entry] = try cloned(entry) }
        return content
    }

    private func cloned(_ id: ClonedEntryID) throws -> LocatedEntry {
        let statement = try database.cachedStatement(sql: "SELECT * FROM cloned WHERE id = ?")
        guard let row = try ClonedRow.fetchOne(statement, arguments: [id.value]) else {
            throw WorkspaceError.corrupt(path: "overlay", reason: "there is no cloned entry \(id.value)")
        }
        return try located(row.item, "cloned entry \(id.value)")
    }

    private func located(_ item: Item, _ what: String) throws -> LocatedEntry {
        do {
            return try LocatedEntry(item)
        } catch {
            throw WorkspaceError.corrupt(path: "overlay", reason: "\(what): \(error.reason)")
        }
    }

    /// Saves an entry; only the current tables are written to.
    ///
    /// - Parameter saved: the ranges that are stored, when the caller knows them: only what differs is written then.
    func write(_ entry: OverlayEntry, saved: StagedRanges? = nil) throws {
        precondition(prefix.isEmpty, "what is sealed does not change")
        try NodeRow(entry).insert(database)
        guard let content = entry.content else { return }
        // One range that is the whole file stands in the node's own row.
        let ranges = content.wholeDataFile == nil ? content.ranges : StagedRanges()
        if ranges.isEmpty, saved?.isEmpty == true { return }
        // Ranges that were whole may stand in either place.
        try writeRanges(ranges, saved: saved?.isWhole == true ? nil : saved, of: entry.id)
    }

    private func writeRanges(_ ranges: StagedRanges, saved: StagedRanges?, of id: OverlayEntryID) throws {
        if let saved {
            let remove = try database.cachedStatement(sql: "DELETE FROM range WHERE node = ? AND start = ?")
            let present = Set(ranges.ranges)
            for range in saved.ranges where !present.contains(range) {
                try remove.execute(arguments: [id.value, Int64(bitPattern: range.start)])
            }
        } else {
            let clear = try database.cachedStatement(sql: "DELETE FROM range WHERE node = ?")
            try clear.execute(arguments: [id.value])
        }
        let known = Set(saved?.ranges ?? [])
        for range in ranges.ranges where !known.contains(range) {
            try RangeRow(node: id, range: range).insert(database)
        }
    }
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
