import FoundationEssentials
import GRDB
import Glibc
import ProllyTree
package import Versioning

/// Sealing: a commit works on a copy of the overlay while writers go on in the current one.
///
/// A seal copies the tables (data files are not copied: they become read-only, because every file's next write begins a
/// new one). When the commit is published, `rebase` drops from the current overlay what the commit holds; when it
/// failed, `abandonSeal` drops the copy. Either way nothing written meanwhile is lost.
extension Workspace {
    /// What is sealed; `nil` when nothing is.
    package func sealState() throws -> SealState? {
        try read { overlay in
            guard let change = try overlay.metaNumber("sealed") else { return nil }
            return SealState(change: change, commit: try overlay.meta("sealed-commit").flatMap { CommitID(hex: $0) })
        }
    }

    /// Seals what is staged. The caller sees to it that everything written so far is in the overlay. The seal is
    /// durable when this returns. Throws `.alreadySealed`.
    package func seal() throws -> SealState {
        let state = try write { overlay in
            guard try overlay.metaNumber("sealed") == nil else { throw WorkspaceError.alreadySealed }
            try overlay.copyToSealed()
            let change = try overlay.lastChange()
            try overlay.setMeta("sealed", String(change))
            return SealState(change: change, commit: nil)
        }
        try makeDurable()
        return state
    }

    /// Notes, durably, which commit is about to be published from the seal, so that a crash just after the publication
    /// is recognised.
    package func recordSealedCommit(_ commit: CommitID) throws {
        try write { overlay in
            guard try overlay.metaNumber("sealed") != nil else { throw WorkspaceError.notSealed }
            try overlay.setMeta("sealed-commit", commit.hex)
        }
        try makeDurable()
    }

    /// Gives the seal up: everything staged stays staged.
    package func abandonSeal() throws {
        try write { try $0.dropSealed() }
        try removeUnusedData()
    }

    /// Makes `commit`, which was published from the seal, the new base. What the commit holds is no longer staged; what
    /// was written since the seal is.
    ///
    /// - Parameter oldEntry: the entry of a path in the base so far.
    /// - Parameter others: paths that others put or changed between the base so far and the new one.
    /// - Parameter entry: the entry of a path in the new base.
    /// - Returns: paths that were changed both since the seal and by others in the new base; each is a conflict to
    ///   resolve.
    @discardableResult
    package func rebase(
        to commit: CommitID, oldEntry: @escaping (TreePath) throws -> LocatedEntry?, others: [TreePath] = [],
        entry: @escaping (TreePath) throws -> LocatedEntry?
    ) throws -> [TreePath] {
        let sealed = try readSealed { try SealedCopy($0) }
        let conflicts = try write { overlay in
            guard let change = try overlay.metaNumber("sealed") else { throw WorkspaceError.notSealed }
            var conflicts: [TreePath] = []
            if try overlay.lastChange() == change {
                try overlay.clear()
            } else {
                var rebase = Rebase(overlay: overlay, sealed: sealed, oldEntry: oldEntry, entry: entry)
                _ = try rebase.directory(.root)
                for path in others where try entry(path) != nil {
                    if let hidden = try overlay.hidingDirectory(of: path) { rebase.note(hidden) }
                }
                conflicts = rebase.conflicts
                for path in conflicts { try overlay.addRebaseConflict(path, theirs: try entry(path)) }
            }
            try overlay.setMeta("base", commit.hex)
            try overlay.dropSealed()
            try overlay.dropConflicts(upTo: change)
            return conflicts
        }
        try makeDurable()
        try removeUnusedData()
        return conflicts
    }

    /// Deletes nodes that no name leads to (files that were unlinked while open when the process ended) and data files
    /// that nothing refers to. Call when nothing is open.
    package func removeOrphans() throws {
        try write { overlay in
            for id in try overlay.namelessNodes() { try overlay.remove(id) }
        }
        try removeUnusedData()
    }

    private func removeUnusedData() throws {
        let used = try read { try $0.usedData() }
        let newest = try read { try $0.metaNumber("data") ?? 0 }
        let root = directory + "/data"
        let groups = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
        for group in groups {
            for name in (try? FileManager.default.contentsOfDirectory(atPath: "\(root)/\(group)")) ?? [] {
                guard let id = Int64(name), id <= newest, !used.contains(id) else { continue }
                unlink("\(root)/\(group)/\(name)")
            }
        }
    }
}

/// The sealed overlay's nodes by id, and where each is.
private struct SealedCopy {
    var nodes: [StagedNodeID: (node: StagedNode, path: TreePath)] = [:]
    var names: [StagedNodeID: [[UInt8]: StagedNodeID?]] = [:]
    /// Sealed directories by the path in the old base that they stand for.
    var directoriesByOrigin: [TreePath: TreePath] = [:]

    init(_ overlay: Overlay) throws {
        try visit(overlay, .root, .root)
    }

    private mutating func visit(_ overlay: Overlay, _ id: StagedNodeID, _ path: TreePath) throws {
        guard let node = try overlay.node(id) else { return }
        nodes[id] = (node, path)
        guard node.isDirectory else { return }
        if let origin = node.origin { directoriesByOrigin[origin] = path }
        var children: [[UInt8]: StagedNodeID?] = [:]
        for (name, child) in try overlay.names(in: id) {
            children[name] = .some(child)
            if let child { try visit(overlay, child, path.appending(name)) }
        }
        names[id] = children
    }

    /// Where what was at `path` in the old base is in the commit made from the seal.
    func translate(_ path: TreePath) -> TreePath {
        var ancestor: TreePath? = path
        while let directory = ancestor {
            if let moved = directoriesByOrigin[directory], let rest = path.relative(to: directory) {
                return moved.appending(path: rest)
            }
            ancestor = directory.parent
        }
        return path
    }
}

/// Takes out of the current overlay what the commit made from the sealed one holds.
private struct Rebase {
    let overlay: Overlay
    let sealed: SealedCopy
    let oldEntry: (TreePath) throws -> LocatedEntry?
    let entry: (TreePath) throws -> LocatedEntry?
    private(set) var conflicts: [TreePath] = []

    init(
        overlay: Overlay, sealed: SealedCopy, oldEntry: @escaping (TreePath) throws -> LocatedEntry?,
        entry: @escaping (TreePath) throws -> LocatedEntry?
    ) {
        self.overlay = overlay
        self.sealed = sealed
        self.oldEntry = oldEntry
        self.entry = entry
    }

    /// Answers whether nothing of this directory needs to stay staged (its name and parent aside).
    ///
    /// - Parameter adopted: the directory of the new base that this one, made since the seal, is to stand for.
    mutating func directory(
        _ id: StagedNodeID, at path: TreePath = .root, adopted: TreePath? = nil
    ) throws -> Bool {
        guard var node = try overlay.node(id) else { return true }
        let counterpart = sealed.nodes[id]
        let origin = adopted ?? counterpart?.path ?? node.origin.map(sealed.translate)
        let before = sealed.names[id] ?? [:]
        var isClean = node.change == counterpart?.node.change
        let names = try overlay.names(in: id)
        for (name, child) in names {
            let childPath = path.appending(name)
            let isSame = before[name].map { $0 == child } ?? false
            var adopted: TreePath?
            if !before.keys.contains(name), try isChangedByOthers(name, from: node.origin, to: origin) {
                adopted = try adoptable(child, origin?.appending(name))
                if adopted == nil { note(childPath) }
            }
            guard let child else {
                if isSame { try overlay.forgetName(id, name) } else { isClean = false }
                continue
            }
            let isChildClean = try self.node(child, at: childPath, adopted: adopted)
            if isSame, isChildClean {
                try overlay.forgetName(id, name)
                try overlay.remove(child)
            } else {
                isClean = false
            }
        }
        // A name that was sealed and is gone since is in the commit: hide it.
        let present = Set(names.map(\.name))
        for (name, child) in before where child != nil && !present.contains(name) {
            try overlay.setName(id, name, nil)
            isClean = false
        }
        node.origin = origin
        if node.change == counterpart?.node.change { node.change = 0 }
        try overlay.update(node)
        return isClean
    }

    /// Whether a name that was first decided after the seal means something else in the new base than in the one
    /// before.
    private func isChangedByOthers(_ name: [UInt8], from oldOrigin: TreePath?, to origin: TreePath?) throws -> Bool {
        let old = try oldOrigin.flatMap { try oldEntry($0.appending(name)) }
        let new = try origin.flatMap { try entry($0.appending(name)) }
        return old?.entry.kind != new?.entry.kind
    }

    /// A directory made on both sides is one directory: the path of the new base's, if `id` is one made since the seal.
    private func adoptable(_ id: StagedNodeID?, _ path: TreePath?) throws -> TreePath? {
        guard let id, let path, sealed.nodes[id] == nil, let node = try overlay.node(id), node.isDirectory,
            node.origin == nil,
            try entry(path)?.entry.isDirectory == true
        else { return nil }
        return path
    }

    mutating func note(_ path: TreePath) {
        if !conflicts.contains(path) { conflicts.append(path) }
    }

    private mutating func node(_ id: StagedNodeID, at path: TreePath, adopted: TreePath?) throws -> Bool {
        guard var node = try overlay.node(id) else { return true }
        if node.isDirectory { return try directory(id, at: path, adopted: adopted) }
        let counterpart = sealed.nodes[id]
        if let counterpart, counterpart.node.change == node.change {
            // Committed as it is; only its name may have changed since.
            if let located = try entry(counterpart.path), located.entry.file != nil, node.content != nil {
                node.kind = .file(StagedContent(base: located))
            }
            node.origin = counterpart.path
            node.change = 0
            try overlay.update(node)
            return true
        }
        let origin = counterpart?.path ?? node.origin.map(sealed.translate)
        if counterpart == nil, let origin, let base = node.content?.base {
            // First touched after the seal: if others changed it in the new base, their edit must not vanish unseen.
            if try entry(origin)?.entry.kind != base.entry.kind { note(path) }
        }
        node.origin = origin
        try overlay.update(node)
        return false
    }
}

extension Overlay {
    /// The directory above `path` that was removed or replaced here, so that what the base has there is not seen; `nil`
    /// when all are the base's own. One that was renamed takes what is in it along and hides nothing.
    fileprivate func hidingDirectory(of path: TreePath) throws -> TreePath? {
        var directory = StagedNodeID.root
        var prefix = TreePath.root
        for name in path.parent?.components ?? [] {
            prefix = prefix.appending(name)
            switch try lookup(directory, name) {
            case .untouched: return nil
            case .node(let node) where node.isDirectory && node.origin == prefix: directory = node.id
            case .node, .removed: return try isShownElsewhere(prefix) ? nil : prefix
            }
        }
        return nil
    }

    /// Whether a directory with a name stands for the base's directory of this path.
    private func isShownElsewhere(_ origin: TreePath) throws -> Bool {
        try !rows(
            "SELECT 1 FROM node JOIN name ON name.node = node.id WHERE kind = 2 AND origin = ? LIMIT 1", [origin.blob]
        ).isEmpty
    }

    fileprivate func copyToSealed() throws {
        for table in Schema.copiedTables {
            try execute("DELETE FROM sealed_\(table)")
            try execute("INSERT INTO sealed_\(table) SELECT * FROM \(table)")
        }
        // The next write to a file begins a new data file: the sealed ones stay as they are.
        try execute("UPDATE node SET data = NULL WHERE data IS NOT NULL")
    }

    fileprivate func dropSealed() throws {
        for table in Schema.copiedTables { try execute("DELETE FROM sealed_\(table)") }
        try setMeta("sealed", nil)
        try setMeta("sealed-commit", nil)
    }

    /// Nothing is staged any more; nodes that no name led to (open, unlinked files) stay.
    func clear() throws {
        let orphans = try namelessNodes()
        let kept = orphans.map { String($0.value) }.joined(separator: ",")
        try execute("DELETE FROM name")
        try execute("DELETE FROM range WHERE node NOT IN (\(kept))")
        try execute("DELETE FROM node WHERE id NOT IN (\(kept))")
        try resetRoot()
    }
}

extension Workspace {
    /// Begins at another commit. Only while nothing is staged.
    package func moveBase(to commit: CommitID) throws {
        try write { try $0.setMeta("base", commit.hex) }
    }
}
