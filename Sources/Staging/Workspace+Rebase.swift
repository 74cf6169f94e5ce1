import GRDB
import ProllyTree
package import Versioning

extension Workspace {
    /// Makes a commit that was published from the seal the new base. What the commit holds is no longer staged; what
    /// was written since the seal is, and so are special files and names that share a file. To be followed by
    /// `finishMove`.
    ///
    /// - Returns: paths that were changed both since the seal and by others in the new base; each is a conflict to
    ///   resolve.
    @discardableResult
    package func rebase(_ move: BaseMove) throws -> [TreePath] {
        let sealed = try readSealed { try SealedCopy($0) }
        return try write { overlay in
            guard let change = try overlay.metaNumber("sealed") else { throw WorkspaceError.notSealed }
            var conflicts: [TreePath] = []
            if try overlay.lastChange() == change, try !overlay.hasKeptNodes() {
                try overlay.clear()
            } else {
                conflicts = try overlay.rebase(move, sealed)
            }
            try overlay.setMeta("base", move.commit.hex)
            try overlay.dropSealed()
            try overlay.dropConflicts(upTo: change)
            for path in conflicts { try overlay.addRebaseConflict(path, current: try move.newEntry(path)) }
            return conflicts
        }
    }

    /// Makes another commit of the branch the base of what is staged. Answers the paths that were changed here and by
    /// others in ways that do not go together: each is a conflict to resolve. To be followed by `finishMove`. Throws
    /// `.alreadySealed` while a commit is under way.
    package func update(_ move: BaseMove) throws -> [TreePath] {
        try write { overlay in
            guard try overlay.metaNumber("sealed") == nil else { throw WorkspaceError.alreadySealed }
            let conflicts = try overlay.rebase(move, SealedCopy())
            try overlay.setMeta("base", move.commit.hex)
            for path in conflicts { try overlay.addRebaseConflict(path, current: try move.newEntry(path)) }
            return conflicts
        }
    }

    /// Where the names that are staged would be in the base.
    package func stagedPaths() throws -> [TreePath] {
        try read { try $0.stagedPaths() }
    }

    /// Makes the move to another base durable, then deletes the data files that nothing refers to any more.
    package func finishMove() throws {
        try makeDurable()
        try removeUnusedData()
    }
}

extension Overlay {
    fileprivate func rebase(_ move: BaseMove, _ sealed: SealedCopy) throws -> [TreePath] {
        var rebase = try Rebase(overlay: self, sealed: sealed, move: move)
        try rebase.run()
        for path in move.others where try move.newEntry(path) != nil {
            if let hidden = try hidingDirectory(of: path) { rebase.note(hidden) }
        }
        return rebase.conflicts
    }
}

/// Takes out of the current overlay what the commit made from the sealed one holds, and puts the rest on the new base.
private struct Rebase {
    let overlay: Overlay
    let sealed: SealedCopy
    let move: BaseMove
    private(set) var conflicts: [TreePath] = []
    /// Files put on the new base: one with several names is met several times.
    private var visited: Set<OverlayEntryID> = []

    /// Paths at which the commit has not what was sealed: a conflict was decided for the branch's version.
    private let decidedForOthers: Set<TreePath>

    init(overlay: Overlay, sealed: SealedCopy, move: BaseMove) throws {
        self.overlay = overlay
        decidedForOthers = try Set(
            overlay.conflicts().filter { [.current, .base].contains($0.resolution) }.map(\.path))
        self.sealed = sealed
        self.move = move
    }

    mutating func note(_ path: TreePath) {
        if !conflicts.contains(path) { conflicts.append(path) }
    }

    /// A directory whose names are being put on the new base: they are before it is.
    private struct Frame {
        let id: OverlayEntryID
        let node: OverlayEntry
        let path: TreePath
        /// The directory of the new base that it stands for.
        let origin: TreePath?
        let names: [(name: EntryName, node: OverlayEntryID?)]
        /// The next of `names`.
        var index = 0
        /// Nothing of it needs to stay staged so far (its name and parent aside).
        var isClean: Bool
    }

    /// A name of a directory, and what was decided for it.
    private struct StagedName {
        let name: EntryName
        let child: OverlayEntryID
        let isSealed: Bool
        /// What the new base has there.
        let now: LocatedEntry?
    }

    /// What became of a name.
    private enum Outcome {
        case stays(Bool)
        /// Its directory comes first; then the name is decided.
        case waits(StagedName, Frame)
    }

    /// Puts everything on the new base, from the deepest directories up. Trees are deeper than a stack, so the directories
    /// under way are kept in an array.
    mutating func run() throws {
        guard let root = try enter(.root, at: .root, target: .root, adopted: nil) else { return }
        var frames = [root]
        var waiting: [StagedName] = []
        while var frame = frames.popLast() {
            if frame.index < frame.names.count {
                let (name, child) = frame.names[frame.index]
                frame.index += 1
                switch try self.name(name, child, in: frame) {
                case .stays(let stays):
                    if stays { frame.isClean = false }
                    frames.append(frame)
                case .waits(let name, let below):
                    waiting.append(name)
                    frames += [frame, below]
                }
                continue
            }
            let isClean = try leave(frame)
            guard let name = waiting.popLast(), let above = frames.indices.last else { return }
            if try stays(name, isClean: isClean, in: frames[above].id) { frames[above].isClean = false }
        }
    }

    /// - Parameter target: the path that its name has in the new base, if there is one.
    /// - Parameter adopted: the directory of the new base that this one, made since the seal, is to stand for.
    private func enter(
        _ id: OverlayEntryID, at path: TreePath, target: TreePath?, adopted: TreePath?
    ) throws -> Frame? {
        guard let node = try overlay.node(id) else { return nil }
        let counterpart = sealed.nodes[id]
        let origin = adopted ?? counterpart?.path ?? node.origin.map(sealed.translate)
        return Frame(
            id: id, node: node, path: path, origin: origin, names: try overlay.names(in: id),
            isClean: counterpart.map { $0.node.change == node.change } ?? (node.change == 0 && origin == target))
    }

    /// Answers whether nothing of the directory needs to stay staged (its name and parent aside).
    private mutating func leave(_ frame: Frame) throws -> Bool {
        let (id, path, origin) = (frame.id, frame.path, frame.origin)
        var (node, isClean) = (frame.node, frame.isClean)
        let counterpart = sealed.nodes[id]
        // A name that was sealed and is gone since is in the commit: hide it.
        let present = Set(frame.names.map(\.name))
        for (name, child) in sealed.names[id] ?? [:] where child != nil && !present.contains(name) {
            guard let origin, try move.newEntry(origin.appending(name)) != nil else { continue }
            try overlay.setName(id, name, nil)
            isClean = false
        }
        if let counterpart, node.change == counterpart.node.change { node.change = 0 }
        try settle(&node, at: path, counterpart, origin)
        if let stale = node.origin, !isClean, try move.newEntry(stale)?.entry.isDirectory != true {
            // A directory that others removed stays when something is staged in it: as a new one.
            node.origin = nil
            node.change = try overlay.nextChange()
        }
        try overlay.update(node)
        return isClean
    }

    /// One name in a directory.
    private mutating func name(_ name: EntryName, _ child: OverlayEntryID?, in frame: Frame) throws -> Outcome {
        let (path, oldOrigin) = (frame.path.appending(name), frame.node.origin)
        // What the sealed overlay decided for the name, if it did.
        let sealedAs = sealed.names[frame.id]?[name]
        let isSealed = sealedAs.map { $0 == child } ?? false
        let target = frame.origin?.appending(name)
        let now = try target.flatMap(move.newEntry)
        guard let child else {
            if isSealed || now == nil {
                try overlay.forgetName(frame.id, name)
                return .stays(false)
            }
            if sealedAs == nil, try isChangedByOthers(name, from: oldOrigin, now) { note(path) }
            return .stays(true)
        }
        var adopted: TreePath?
        if sealedAs == nil, try !standsFor(child, oldOrigin?.appending(name)),
            try isChangedByOthers(name, from: oldOrigin, now)
        {
            adopted = try adoptable(child, now) ? target : nil
            if adopted == nil { note(path) }
        }
        let staged = StagedName(name: name, child: child, isSealed: isSealed, now: now)
        let found = try overlay.node(child)
        if found?.isDirectory == true,
            let below = try enter(child, at: path, target: target, adopted: adopted)
        {
            return .waits(staged, below)
        }
        // A name without a node has nothing to keep.
        let isClean = try found.map { try node($0, at: path, target: target) } ?? true
        return .stays(try stays(staged, isClean: isClean, in: frame.id))
    }

    /// Whether a name stays staged; forgets it otherwise.
    ///
    /// - Parameter isClean: nothing of what it names needs to stay staged.
    private func stays(_ name: StagedName, isClean: Bool, in parent: OverlayEntryID) throws -> Bool {
        let child = name.child
        guard
            try (isClean && (name.isSealed || sealed.nodes[child] == nil)) || isSevered(child, name.isSealed, name.now)
        else { return true }
        try overlay.forgetName(parent, name.name)
        try overlay.dropName(of: child)
        return false
    }

    /// Whether others changed a file, committed under several names, under this one of them: from here on it is a file
    /// of its own.
    private func isSevered(_ id: OverlayEntryID, _ isSealed: Bool, _ now: LocatedEntry?) throws -> Bool {
        guard isSealed, let counterpart = sealed.nodes[id], let node = try overlay.node(id), node.change == 0 else {
            return false
        }
        switch node.kind {
        case .directory, .special: return false
        case .symlink(let target): return node.entry(kind: .symlink(target: target)) != now?.entry
        case .file: break
        }
        return try move.newEntry(counterpart.path)?.entry != now?.entry
    }

    /// Whether a name means something else in the new base than in the one before.
    private func isChangedByOthers(_ name: EntryName, from oldOrigin: TreePath?, _ now: LocatedEntry?) throws -> Bool {
        let old = try oldOrigin.flatMap { try move.oldEntry($0.appending(name)) }
        return old?.entry.kind != now?.entry.kind
    }

    /// Whether a staged file is the base's file of that very path: then what others did to it is looked at in `settle`.
    private func standsFor(_ id: OverlayEntryID, _ path: TreePath?) throws -> Bool {
        guard let path else { return false }
        return try overlay.node(id)?.origin == path
    }

    /// A directory made on both sides is one directory.
    private func adoptable(_ id: OverlayEntryID, _ now: LocatedEntry?) throws -> Bool {
        guard now?.entry.isDirectory == true, sealed.nodes[id] == nil, let node = try overlay.node(id) else {
            return false
        }
        return node.isDirectory && node.origin == nil
    }

    /// Answers whether nothing of this node, which is no directory, needs to stay staged.
    private mutating func node(_ found: OverlayEntry, at path: TreePath, target: TreePath?) throws -> Bool {
        var node = found
        let id = node.id
        if node.isSpecial { return false }
        let counterpart = sealed.nodes[id]
        if visited.insert(id).inserted {
            if let counterpart, counterpart.node.change == node.change {
                // Committed as it is; only its names may have changed since.
                if let located = try move.newEntry(counterpart.path), located.entry.file != nil, node.content != nil {
                    node.kind = .file(StagedContent(base: located))
                }
                node.origin = counterpart.path
                node.change = 0
            } else {
                try settle(&node, at: path, counterpart, counterpart?.path ?? node.origin.map(sealed.translate))
            }
            try overlay.update(node)
        }
        guard node.change == 0 else { return false }
        if counterpart != nil { return node.links <= 1 }
        // Staged for its other names only; when others removed the file, this name of it goes too.
        return try node.origin == target && (node.links <= 1 || target.flatMap(move.newEntry) == nil)
    }

    /// A decision about a path goes for everything below it.
    private func isDecidedForOthers(_ path: TreePath) -> Bool {
        var next: TreePath? = decidedForOthers.isEmpty ? nil : path
        while let path = next {
            if decidedForOthers.contains(path) { return true }
            next = path.parent
        }
        return false
    }

    /// Puts a node on the new base: field by field what only others changed is taken over, and what both changed is a
    /// conflict (as in a merge).
    private mutating func settle(
        _ node: inout OverlayEntry, at path: TreePath, _ counterpart: (node: OverlayEntry, path: TreePath)?,
        _ origin: TreePath?
    ) throws {
        let oldOrigin = node.origin
        node.origin = origin
        guard let origin else { return }
        let old = try oldOrigin.flatMap(move.oldEntry)?.entry
        guard let now = try move.newEntry(origin) else {
            // Others removed it: a change here must not bring it back, or vanish, unseen.
            if node.content != nil, node.change > 0, counterpart == nil { note(path) }
            return
        }
        if let content = node.content {
            // The version that was written over: what the commit holds when it was sealed with a content of its own, else
            // what the base so far has. Where the bytes come from says nothing of it.
            // Nor do bytes that were written and are the same as before: the commit then holds what others made of it.
            let isTheirs = try now.entry.kind != old?.kind && move.othersEntry(origin)?.entry.kind == now.entry.kind
            let wasCommitted =
                counterpart.map { $0.node.content?.shows(old?.kind) == false && !isDecidedForOthers($0.path) } ?? false
                && !isTheirs
            let version = wasCommitted ? now.entry.kind : old?.kind
            if content.shows(version), now.entry.file != nil {
                node.kind = .file(StagedContent(base: now))
            } else if version != now.entry.kind {
                note(path)
            }
        }
        guard let was = counterpart.map({ Attributes($0.node) }) ?? old.map(Attributes.init) else { return }
        guard let merged = Attributes(node).merged(was: was, now: Attributes(now.entry)) else { return note(path) }
        node.mode = merged.mode
        node.owner = merged.owner
        node.attributes = merged.extended
        if node.change == 0 {
            node.modified = now.entry.modified
        } else if was.modified != now.entry.modified {
            // Others moved it too: the newer wins.
            node.modified = max(node.modified, now.entry.modified)
        }
    }
}

/// What a merge treats field by field beside the content.
private struct Attributes {
    let mode: UInt16
    let owner: Owner?
    let extended: [ExtendedAttribute]
    let modified: Timestamp

    init(_ node: OverlayEntry) {
        (mode, owner, extended, modified) = (node.mode, node.owner, node.attributes, node.modified)
    }

    init(_ entry: Entry) {
        (mode, owner, extended, modified) = (entry.mode, entry.owner, entry.attributes, entry.modified)
    }

    private init(mode: UInt16, owner: Owner?, extended: [ExtendedAttribute], modified: Timestamp) {
        (self.mode, self.owner, self.extended, self.modified) = (mode, owner, extended, modified)
    }

    /// `nil` when both sides changed a field to different values.
    func merged(was: Attributes, now: Attributes) -> Attributes? {
        guard let mode = pick(base: was.mode, incoming: mode, current: now.mode),
            let owner = pick(base: .some(was.owner), incoming: owner, current: now.owner),
            let extended = mergeAttributes(was.extended, extended, now.extended)
        else { return nil }
        return Attributes(mode: mode, owner: owner, extended: extended, modified: modified)
    }
}

extension Overlay {
    /// The directory above `path` that was removed or replaced here, so that what the base has there is not seen; `nil`
    /// when all are the base's own. One that was renamed takes what is in it along and hides nothing.
    fileprivate func hidingDirectory(of path: TreePath) throws -> TreePath? {
        var directory = OverlayEntryID.root
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
}
