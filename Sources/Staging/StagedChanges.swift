import FoundationEssentials
import GRDB
package import ProllyTree
package import Versioning

/// One path that the overlay changes against its base tree.
package enum StagedChange: Hashable, Sendable {
    /// The path is this node now. `moved` tells where its content comes from when that is another path of the base.
    case put(TreePath, OverlayEntry)
    /// The path has the base's entry of another path (it lies in a directory that was renamed).
    case carried(TreePath, from: TreePath, LocatedEntry)
    case removed(TreePath, LocatedEntry)

    package var path: TreePath {
        switch self {
        case .put(let path, _), .carried(let path, _, _), .removed(let path, _): path
        }
    }
}

/// Calls `body` with all that an overlay changes, directory by directory. A path that is removed may be put later; the
/// last word about a path counts. Pipes, sockets and devices are left out.
///
/// Cost: proportional to what is staged, and to what lies below directories that were renamed, replaced or removed. Memory:
/// the names of one directory at a time.
package func forEachStagedChange<Store: NodeStore>(
    _ overlay: Overlay, base: Tree<Store>, _ body: (StagedChange) throws -> Void
) throws {
    guard let root = try overlay.node(.root) else { return }
    try withoutActuallyEscaping(body) { body in
        if root.change > 0 { try body(.put(.root, root)) }
        var walk = OverlayWalk(overlay: overlay, base: base, emit: body)
        try walk.run(from: root)
    }
}

extension OverlayEntry {
    /// Whether a file or link is just what the base has: a change that was undone, or another name of a committed file.
    fileprivate func isSame(as replaced: LocatedEntry?) -> Bool {
        guard let replaced else { return false }
        switch kind {
        case .directory, .special: return false
        case .symlink(let target): return entry(kind: .symlink(target: target)) == replaced.entry
        case .file(let content):
            guard let base = content.wholeBase else { return false }
            return entry(kind: base.entry.kind) == replaced.entry
        }
    }

    /// The entry this node becomes.
    package func entry(kind: Entry.Kind) -> Entry {
        Entry(kind: kind, mode: mode, modified: modified, owner: owner, attributes: attributes)
    }
}

extension Overlay {
    /// Pipes, sockets and devices, which no commit takes, in the order of paths.
    package func specialFiles() throws -> [(path: TreePath, kind: SpecialKind)] {
        try rows("SELECT node.kind, name.parent, name.name FROM node JOIN name ON name.node = node.id WHERE kind >= 4")
            .compactMap { row in
                guard let kind = SpecialKind(rawValue: row[0]) else { return nil }
                return (try path(OverlayEntryID(row[1])).appending(entryName(row[2])), kind)
            }
            .sorted { $0.path < $1.path }
    }

    /// The path of a directory.
    private func path(_ id: OverlayEntryID) throws -> TreePath {
        var names: [EntryName] = []
        var directory = id
        while directory != .root {
            guard let row = try rows("SELECT parent, name FROM name WHERE node = ?", [directory.value]).first else {
                throw WorkspaceError.corrupt(path: "overlay", reason: "directory \(directory.value) has no name")
            }
            names.append(try entryName(row[1]))
            directory = OverlayEntryID(row[0])
        }
        return names.reversed().reduce(.root) { $0.appending($1) }
    }
}

private struct OverlayWalk<Store: NodeStore> {
    let overlay: Overlay
    let base: Tree<Store>
    let emit: (StagedChange) throws -> Void
    /// Directories that are still to be walked: trees are deeper than a stack.
    private var waiting: [(node: OverlayEntry, path: TreePath, staysInPlace: Bool)] = []

    init(overlay: Overlay, base: Tree<Store>, emit: @escaping (StagedChange) throws -> Void) {
        self.overlay = overlay
        self.base = base
        self.emit = emit
    }

    mutating func run(from root: OverlayEntry) throws {
        waiting = [(root, .root, true)]
        while let next = waiting.popLast() {
            try directory(next.node, at: next.path, staysInPlace: next.staysInPlace)
        }
    }

    /// - Parameter staysInPlace: the base's directory of this path is this one, and so is every directory above.
    ///   Otherwise what the base has below the path was noted as removed, and all that is here now is put there anew,
    ///   also what comes from that very path.
    private mutating func directory(_ node: OverlayEntry, at path: TreePath, staysInPlace: Bool) throws {
        let names = try overlay.names(in: node.id)
        if !staysInPlace, let origin = node.origin {
            let decided = Set(names.map(\.name))
            try base.forEachChild(of: origin) { child, entry in
                if !decided.contains(child.name) { try carry(child, entry, to: path.appending(child.name)) }
                return true
            }
        }
        for (name, childID) in names {
            let childPath = path.appending(name)
            guard childPath.bytes.count <= TreePath.maximumBytes else {
                throw WorkspaceError.pathTooLong(beginning: Array(childPath.bytes.prefix(200)))
            }
            let replaced = staysInPlace ? try base.entry(at: childPath) : nil
            guard let childID, let child = try overlay.node(childID), !child.isSpecial else {
                if let replaced { try remove(childPath, replaced) }
                continue
            }
            let childStaysInPlace = staysInPlace && child.origin == childPath
            if let replaced, !(child.isDirectory && childStaysInPlace) { try removeContents(childPath, replaced) }
            if child.change > 0 || !childStaysInPlace, !child.isSame(as: replaced) {
                try emit(.put(childPath, child))
            }
            if child.isDirectory { waiting.append((child, childPath, childStaysInPlace)) }
        }
    }

    private func carry(_ from: TreePath, _ entry: LocatedEntry, to path: TreePath) throws {
        try emit(.carried(path, from: from, entry))
        guard entry.entry.isDirectory else { return }
        try base.forEachDescendant(of: from) { child, entry in
            guard let rest = child.relative(to: from) else { return true }
            let target = path.appending(path: rest)
            try emit(.carried(target, from: child, entry))
            return true
        }
    }

    private func remove(_ path: TreePath, _ entry: LocatedEntry) throws {
        try emit(.removed(path, entry))
        try removeContents(path, entry)
    }

    private func removeContents(_ path: TreePath, _ entry: LocatedEntry) throws {
        guard entry.entry.isDirectory else { return }
        try base.forEachDescendant(of: path) { child, entry in
            try emit(.removed(child, entry))
            return true
        }
    }
}
