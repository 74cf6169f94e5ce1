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
    package func stagedLines(_ workspace: Workspace) throws -> [ChangeLine] {
        let base = tree(try commit(workspace.base()).tree)
        let staged = try workspace.read { try stagedChanges($0, base: base) }
        var lines: [ChangeLine] = []
        var movedAway: Set<TreePath> = []
        for change in staged.values {
            switch change {
            case .removed: break
            case .carried(let path, let from, let located):
                movedAway.insert(from)
                // What lies in a renamed directory is told by the directory's own line.
                if case .put(_, let parent)? = path.parent.flatMap({ staged[$0] }), parent.origin == from.parent {
                    continue
                }
                if case .carried? = path.parent.flatMap({ staged[$0] }) { continue }
                lines.append(
                    ChangeLine(
                        kind: .renamed, path: path, from: from, isDirectory: located.entry.isDirectory,
                        oldSizeBytes: located.entry.sizeBytes, newSizeBytes: located.entry.sizeBytes))
            case .put(let path, let node):
                let old = try base.entry(at: path)?.entry
                let kind: ChangeLine.Kind
                var from: TreePath?
                if let origin = node.origin, origin != path, case .removed? = staged[origin] {
                    (kind, from) = (.renamed, origin)
                    movedAway.insert(origin)
                } else if let old {
                    if old.isDirectory, node.isDirectory, old.differsOnlyInTime(from: node.entry(kind: .directory)) {
                        continue
                    }
                    let sameContent =
                        node.content?.isUnchanged
                        ?? (node.isDirectory == old.isDirectory && node.content == nil && old.file == nil)
                    kind = sameContent && node.origin == path ? .attributes : .modified
                } else {
                    kind = .added
                }
                lines.append(
                    ChangeLine(
                        kind: kind, path: path, from: from, isDirectory: node.isDirectory,
                        oldSizeBytes: old?.sizeBytes, newSizeBytes: node.sizeBytes))
            }
        }
        for case .removed(let path, let located) in staged.values where !movedAway.contains(path) {
            lines.append(
                ChangeLine(
                    kind: .deleted, path: path, from: nil, isDirectory: located.entry.isDirectory,
                    oldSizeBytes: located.entry.sizeBytes, newSizeBytes: nil))
        }
        return lines.sorted { $0.path < $1.path }
    }
}
