package import ProllyTree

/// One path that differs between two trees.
package struct PathChange: Hashable, Sendable {
    package let path: TreePath
    package let old: LocatedEntry?
    package let new: LocatedEntry?

    package init(path: TreePath, old: LocatedEntry?, new: LocatedEntry?) {
        self.path = path
        self.old = old
        self.new = new
    }

    /// A directory's time moves when names in it come or go.
    package var isOnlyTimeOfDirectory: Bool {
        guard let old, let new else { return false }
        return old.entry.isDirectory && old.entry.differsOnlyInTime(from: new.entry)
    }

    package var isAttributesOnly: Bool {
        guard let old, let new else { return false }
        return old.entry.kind == new.entry.kind
    }
}

package enum VersioningError: Error, Sendable {
    case tree(TreeError)
    /// A tree holds a key or a value that does not decode: made by a newer or a broken writer.
    case badEntry(key: [UInt8], reason: String)
}

extension LocatedEntry {
    /// The entry of a tree's item.
    package init(item: Item) throws(VersioningError) {
        do {
            try self.init(item)
        } catch {
            throw .badEntry(key: item.key, reason: error.reason)
        }
    }
}

extension TreePath {
    package init(itemKey key: [UInt8]) throws(VersioningError) {
        do {
            try self.init(key: key)
        } catch {
            throw .badEntry(key: key, reason: error.reason)
        }
    }
}

extension PathChange {
    fileprivate init(item change: ItemChange) throws(VersioningError) {
        self.init(
            path: try TreePath(itemKey: change.key), old: try change.old.map(LocatedEntry.init(item:)),
            new: try change.new.map(LocatedEntry.init(item:)))
    }
}

extension Tree {
    /// Calls `body` for every path that differs, in the order of keys, until it answers false.
    package func pathChanges(to other: Tree, _ body: (PathChange) throws -> Bool) throws {
        try diff(to: other) { try body(PathChange(item: $0)) }
    }

    /// What an edit would change; `nil` when that is nothing.
    package func change(_ edit: Edit) throws -> PathChange? {
        let old = try get(edit.key)
        if old?.value == edit.item?.value { return nil }
        return try PathChange(
            path: TreePath(itemKey: edit.key), old: old.map(LocatedEntry.init(item:)),
            new: edit.item.map(LocatedEntry.init(item:)))
    }

    /// The same for a path and everything below it only: what else differs costs nothing.
    package func pathChanges(to other: Tree, atOrBelow path: TreePath, _ body: (PathChange) throws -> Bool) throws {
        if path.isRoot { return try pathChanges(to: other, body) }
        var goesOn = true
        let ranges = [
            (path.key, Optional(path.key + [0])), (path.childKeys.from, Optional(path.childKeys.to)), path.deeperKeys,
        ]
        for (from, end) in ranges where goesOn {
            try diff(to: other, from: from, upTo: end) { change in
                goesOn = try body(PathChange(item: change))
                return goesOn
            }
        }
    }

    /// How many paths differ (not counting directories whose time alone does), and the counts of `other` when this tree has `counts`.
    package func difference(
        to other: Tree, from counts: Commit.Counts
    ) throws -> (paths: Int, counts: Commit.Counts) {
        var (paths, counts) = (0, counts)
        try pathChanges(to: other) { change in
            if !change.isOnlyTimeOfDirectory { paths += 1 }
            counts.add(change.old?.entry, sign: -1)
            counts.add(change.new?.entry, sign: 1)
            return true
        }
        return (paths, counts)
    }

    package func pathChanges(to other: Tree) throws -> [PathChange] {
        var changes: [PathChange] = []
        try pathChanges(to: other) {
            changes.append($0)
            return true
        }
        return changes
    }

    /// The entry at a path; `nil` when there is none.
    package func entry(at path: TreePath) throws -> LocatedEntry? {
        try get(path.key).map { item in try LocatedEntry(item: item) }
    }

    /// Calls `body` for each child of a directory in order of names, beginning after the name `after`, until it answers
    /// false.
    package func forEachChild(
        of directory: TreePath, after: [UInt8]? = nil, _ body: (TreePath, LocatedEntry) throws -> Bool
    ) throws {
        let keys = directory.childKeys
        let from = after.map { keys.from + $0 + [0] } ?? keys.from
        try forEach(from: from, to: keys.to) { item in
            try body(TreePath(itemKey: item.key), LocatedEntry(item: item))
        }
    }

    /// Calls `body` for everything below a directory (not itself), in the order of keys: all children, then all deeper
    /// paths.
    package func forEachDescendant(
        of directory: TreePath, _ body: (TreePath, LocatedEntry) throws -> Bool
    ) throws {
        var goesOn = true
        for (from, to) in [(directory.childKeys.from, Optional(directory.childKeys.to)), directory.deeperKeys]
        where goesOn {
            try forEach(from: from, to: to) { item in
                goesOn = try body(TreePath(itemKey: item.key), LocatedEntry(item: item))
                return goesOn
            }
        }
    }
}
