import ObjectDatabase
import ProllyTree
package import Staging
package import Versioning

/// One line of `status` or `diff`.
package struct ChangeLine: Hashable, Sendable {
    package enum Kind: String, Sendable, Codable, CaseIterable {
        case added, modified, attributes, deleted, renamed
    }

    package let kind: Kind
    package let path: TreePath
    /// Where it was, for a rename.
    package let from: TreePath?
    package let isDirectory: Bool
    package let oldSizeBytes: UInt64?
    package let newSizeBytes: UInt64?
}

extension ChangeLine {
    init(_ kind: Kind, _ change: PathChange, from: TreePath? = nil) {
        let entry = (change.new ?? change.old)?.entry
        self.init(
            kind: kind, path: change.path, from: from, isDirectory: entry?.isDirectory ?? false,
            oldSizeBytes: change.old?.entry.sizeBytes, newSizeBytes: change.new?.entry.sizeBytes)
    }
}

extension Repository {
    /// What is staged in a workspace, as lines. A directory of which only the time moved (because names in it came or
    /// went) is not listed.
    ///
    /// Memory: what the lines take.
    package func stagedLines(_ workspace: Workspace) throws -> [ChangeLine] {
        let base = database.tree(try database.commit(workspace.base()).tree)
        var summary = StagedSummary()
        try workspace.read { overlay in
            try forEachStagedChange(overlay, base: base) { try summary.add($0, base) }
        }
        return summary.lines()
    }
}

/// Makes lines of staged changes as they come: directories before what is in them, a removal of a path before what is put
/// there anew.
private struct StagedSummary {
    private var found: [ChangeLine] = []
    private var removed: [TreePath: LocatedEntry] = [:]
    private var movedAway: Set<TreePath> = []
    /// Where staged directories come from.
    private var directoryOrigins: [TreePath: TreePath?] = [:]
    private var carriedDirectories: Set<TreePath> = []
    /// What is a rename if its origin turns out to be removed, with the line that it is otherwise.
    private var renames: [(origin: TreePath, line: ChangeLine, otherwise: ChangeLine?)] = []

    mutating func add(_ change: StagedChange, _ base: SnapshotTree) throws {
        switch change {
        case .removed(let path, let located): removed[path] = located
        case .carried(let path, let from, let located): carry(path, from, located)
        case .put(let path, let node):
            removed[path] = nil
            if node.isDirectory { directoryOrigins[path] = .some(node.origin) }
            let line = try line(path, node, base)
            if let origin = node.origin, origin != path {
                let rename = ChangeLine(
                    kind: .renamed, path: path, from: origin, isDirectory: node.isDirectory,
                    oldSizeBytes: line?.oldSizeBytes, newSizeBytes: node.sizeBytes)
                renames.append((origin, rename, line))
            } else if let line {
                found.append(line)
            }
        }
    }

    private mutating func carry(_ path: TreePath, _ from: TreePath, _ located: LocatedEntry) {
        removed[path] = nil
        movedAway.insert(from)
        if located.entry.isDirectory { carriedDirectories.insert(path) }
        // What lies in a renamed directory is told by the directory's own line.
        if let parent = path.parent {
            if let origin = directoryOrigins[parent], origin == from.parent { return }
            if carriedDirectories.contains(parent) { return }
        }
        found.append(
            ChangeLine(
                kind: .renamed, path: path, from: from, isDirectory: located.entry.isDirectory,
                oldSizeBytes: located.entry.sizeBytes, newSizeBytes: located.entry.sizeBytes))
    }

    /// What a node at a path is, if it is no rename; `nil` when only a directory's time moved.
    private func line(_ path: TreePath, _ node: OverlayEntry, _ base: SnapshotTree) throws -> ChangeLine? {
        let old = try base.entry(at: path)?.entry
        let kind: ChangeLine.Kind
        if let old {
            if old.isDirectory, node.isDirectory, old.differsOnlyInTime(from: node.entry(kind: .directory)) {
                return nil
            }
            let sameContent =
                node.content?.shows(old.kind)
                ?? (node.isDirectory == old.isDirectory && node.content == nil && old.file == nil)
            kind = sameContent && node.origin == path ? .attributes : .modified
        } else {
            kind = .added
        }
        return ChangeLine(
            kind: kind, path: path, from: nil, isDirectory: node.isDirectory, oldSizeBytes: old?.sizeBytes,
            newSizeBytes: node.sizeBytes)
    }

    func lines() -> [ChangeLine] {
        var (lines, movedAway) = (found, movedAway)
        for (origin, line, otherwise) in renames {
            if removed[origin] != nil {
                lines.append(line)
                movedAway.insert(origin)
            } else if let otherwise {
                lines.append(otherwise)
            }
        }
        for (path, located) in removed where !movedAway.contains(path) {
            lines.append(
                ChangeLine(
                    kind: .deleted, path: path, from: nil, isDirectory: located.entry.isDirectory,
                    oldSizeBytes: located.entry.sizeBytes, newSizeBytes: nil))
        }
        return lines.sorted { $0.path < $1.path }
    }
}
