package import ProllyTree

/// A path that both sides changed in ways that do not go together.
package struct Conflict: Hashable, Sendable {
    package let path: TreePath
    package let base: LocatedEntry?
    package let incoming: LocatedEntry?
    package let current: LocatedEntry?
    package let reason: ConflictReason

    package init(
        path: TreePath, base: LocatedEntry?, incoming: LocatedEntry?, current: LocatedEntry?, reason: ConflictReason
    ) {
        self.path = path
        self.base = base
        self.incoming = incoming
        self.current = current
        self.reason = reason
    }
}

/// What collided.
package enum ConflictReason: String, Hashable, Sendable, CaseIterable {
    case content, kind, mode, owner, attributes
    case deletedByCurrent = "deleted by the current side"
    case deletedByIncoming = "deleted by the incoming side"
    /// One side put something at a path whose directory the other made a file.
    case directoryBecameFile = "its directory became a file"
    /// Changed after the seal of a commit, and by others in what that commit was merged onto.
    case changedSinceSeal = "changed here, and by others in the commit below"
}

/// One of the two sides of a merge.
package enum MergeSide: Sendable {
    /// What is merged onto: a branch's head.
    case current
    /// What is brought in: another branch, or staged changes.
    case incoming
}

extension ConflictReason {
    /// In words, as seen from one of the sides.
    package func words(from side: MergeSide) -> String {
        switch (self, side) {
        case (.deletedByCurrent, .current), (.deletedByIncoming, .incoming): "deleted here, changed there"
        case (.deletedByCurrent, .incoming), (.deletedByIncoming, .current): "changed here, deleted there"
        default: rawValue
        }
    }
}

/// Which version of a conflicting path to take.
package enum Resolution: Sendable, CaseIterable {
    case current, incoming, base
}

/// What a three-way merge comes to: edits that turn *current* into the result, and what is left to decide.
package struct MergeResult: Sendable {
    /// In ascending order of keys; empty when current has everything already.
    package let edits: [Edit]
    /// In the order of `TreePath`. Not empty means the edits must not be used.
    package let conflicts: [Conflict]
    /// How each edit changes the counts of current.
    package let counts: Commit.Counts
}

/// Merges field by field what `incoming` and `current` changed since `base` (docs/reference/SEMANTICS.md, W7):
/// content, mode, owner and attributes each come from the side that changed them; a newer modification time wins and
/// never conflicts, and neither does a directory that one side deleted while the other only touched its time. A
/// directory that one side deleted stays when the other put something into it (as in git). Cost: proportional to the
/// two differences.
///
/// - Parameter currentCounts: counts of current, to be carried on.
/// - Parameter resolve: the decision for a conflicting path, if there is one.
package func mergeTrees<Store: NodeStore>(
    base: Tree<Store>, incoming: Tree<Store>, current: Tree<Store>, currentCounts: Commit.Counts,
    resolve: (Conflict) throws -> Resolution?
) throws -> MergeResult {
    var merge = TreeMerge(current: current, counts: currentCounts)
    try base.pathChanges(to: current) { change in
        merge.currentChanges[change.path] = change
        return true
    }
    try base.pathChanges(to: incoming) { change in
        try merge.take(change, resolve)
        return true
    }
    try merge.keepParents(incoming: incoming, resolve)
    return merge.result()
}

private struct TreeMerge<Store: NodeStore> {
    let current: Tree<Store>
    var counts: Commit.Counts
    var currentChanges: [TreePath: PathChange] = [:]
    private var edits: [TreePath: LocatedEntry?] = [:]
    private var conflicts: [Conflict] = []
    private var decisions: [TreePath: Resolution] = [:]
    private var incomingPuts: [TreePath] = []

    init(current: Tree<Store>, counts: Commit.Counts) {
        self.current = current
        self.counts = counts
    }

    mutating func take(_ change: PathChange, _ resolve: (Conflict) throws -> Resolution?) throws {
        if change.new != nil { incomingPuts.append(change.path) }
        guard let other = currentChanges[change.path] else {
            edit(change.path, from: change.old, to: change.new)
            return
        }
        switch mergeEntries(base: change.old, incoming: change.new, current: other.new) {
        case .merged(let entry):
            edit(change.path, from: other.new, to: entry)
        case .conflict(let reason):
            try settle(
                Conflict(path: change.path, base: change.old, incoming: change.new, current: other.new, reason: reason),
                resolve)
        }
    }

    private mutating func edit(_ path: TreePath, from old: LocatedEntry?, to new: LocatedEntry?) {
        if old == new { return }
        edits[path] = .some(new)
        counts.add(old?.entry, sign: -1)
        counts.add(new?.entry, sign: 1)
    }

    private mutating func settle(_ conflict: Conflict, _ resolve: (Conflict) throws -> Resolution?) throws {
        let decision = try resolve(conflict)
        decisions[conflict.path] = decision
        switch decision {
        case .incoming: edit(conflict.path, from: conflict.current, to: conflict.incoming)
        case .current: break
        case .base: edit(conflict.path, from: conflict.current, to: conflict.base)
        case nil: conflicts.append(conflict)
        }
    }

    /// Sees to it that whatever stays has its directory: brings back one that the other side deleted, and reports a
    /// path whose parent became something else.
    mutating func keepParents(incoming: Tree<Store>, _ resolve: (Conflict) throws -> Resolution?) throws {
        let kept = incomingPuts.filter { edits[$0] != nil } + currentChanges.values.filter { $0.new != nil }.map(\.path)
        for path in kept.sorted() {
            var missing: [TreePath] = []
            var ancestor = path.parent
            while let directory = ancestor {
                if try merged(path) == nil { break }
                guard let entry = try merged(directory) else {
                    missing.append(directory)
                    ancestor = directory.parent
                    continue
                }
                if !entry.entry.isDirectory {
                    let conflict = Conflict(
                        path: path, base: nil, incoming: try incoming.entry(at: path),
                        current: try current.entry(at: path),
                        reason: .directoryBecameFile)
                    try settle(conflict, in: directory, incoming: incoming.entry(at: directory), resolve)
                    if try merged(path) == nil { missing = [] }
                }
                break
            }
            for directory in missing.reversed() {
                let currentEntry = try current.entry(at: directory)
                guard let entry = try currentEntry ?? incoming.entry(at: directory) else { continue }
                if currentEntry != nil {
                    edits[directory] = nil
                    counts.add(entry.entry, sign: 1)
                } else {
                    edit(directory, from: nil, to: entry)
                }
            }
        }
    }

    /// One side put something at a path whose directory the other made a file. What was decided about the directory goes
    /// for what is below it.
    private mutating func settle(
        _ conflict: Conflict, in directory: TreePath, incoming: LocatedEntry?,
        _ resolve: (Conflict) throws -> Resolution?
    ) throws {
        let current = try current.entry(at: directory)
        let isIncomingFile = incoming?.entry.isDirectory == false
        switch (try resolve(conflict) ?? decisions[directory], isIncomingFile) {
        case (.incoming, true): edit(conflict.path, from: conflict.current, to: nil)
        case (.incoming, false): edit(directory, from: current, to: incoming)
        case (.current, true), (.base, true): try undoEdit(of: directory)
        case (.current, false), (.base, false): try undoEdit(of: conflict.path)
        case (nil, _): conflicts.append(conflict)
        }
    }

    /// Takes a path from current after all.
    private mutating func undoEdit(of path: TreePath) throws {
        guard let edited = edits.removeValue(forKey: path) else { return }
        counts.add(edited?.entry, sign: -1)
        counts.add(try current.entry(at: path)?.entry, sign: 1)
    }

    private func merged(_ path: TreePath) throws -> LocatedEntry? {
        if let edited = edits[path] { return edited }
        return try current.entry(at: path)
    }

    func result() -> MergeResult {
        let sorted = edits.map { path, entry in
            entry.map { Edit.put($0.item(at: path)) } ?? Edit.remove(path.key)
        }.sorted { compareBytes($0.key, $1.key) < 0 }
        return MergeResult(edits: sorted, conflicts: conflicts.sorted { $0.path < $1.path }, counts: counts)
    }
}

private enum EntryMerge {
    case merged(LocatedEntry?)
    case conflict(ConflictReason)
}

private func mergeEntries(base: LocatedEntry?, incoming: LocatedEntry?, current: LocatedEntry?) -> EntryMerge {
    if incoming?.entry == current?.entry { return .merged(current) }
    guard let incoming, let current else {
        // One side deleted it, the other changed it.
        if let base, base.entry.isDirectory, let left = incoming ?? current,
            base.entry.differsOnlyInTime(from: left.entry)
        {
            return .merged(nil)
        }
        return .conflict(incoming == nil ? .deletedByIncoming : .deletedByCurrent)
    }
    guard
        let content = pick(base: base?.entry.kind, incoming: incoming.entry.kind, current: current.entry.kind)
    else { return .conflict(incoming.entry.hasSameKind(as: current.entry) ? .content : .kind) }
    guard let mode = pick(base: base?.entry.mode, incoming: incoming.entry.mode, current: current.entry.mode) else {
        return .conflict(.mode)
    }
    guard let owner = pick(base: .some(base?.entry.owner), incoming: incoming.entry.owner, current: current.entry.owner)
    else {
        return .conflict(.owner)
    }
    guard let attributes = mergeAttributes(base?.entry.attributes, incoming.entry.attributes, current.entry.attributes)
    else {
        return .conflict(.attributes)
    }
    let entry = Entry(
        kind: content, mode: mode, modified: max(incoming.entry.modified, current.entry.modified), owner: owner,
        attributes: attributes)
    return .merged(LocatedEntry(entry, extents: content == current.entry.kind ? current.extents : incoming.extents))
}

/// The side that changed; `nil` when both did, to different values.
package func pick<Value: Equatable>(base: Value?, incoming: Value, current: Value) -> Value? {
    if incoming == current || current == base { return incoming }
    return incoming == base ? current : nil
}

/// Attribute by attribute; `nil` when both sides changed one to different values.
package func mergeAttributes(
    _ base: [ExtendedAttribute]?, _ incoming: [ExtendedAttribute], _ current: [ExtendedAttribute]
) -> [ExtendedAttribute]? {
    func byName(_ list: [ExtendedAttribute]) -> [[UInt8]: [UInt8]] {
        Dictionary(list.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
    }
    let (base, incoming, current) = (byName(base ?? []), byName(incoming), byName(current))
    var merged: [ExtendedAttribute] = []
    for name in Set(incoming.keys).union(current.keys).sorted(by: { compareBytes($0, $1) < 0 }) {
        guard let value = pick(base: .some(base[name]), incoming: incoming[name], current: current[name]) else {
            return nil
        }
        if let value { merged.append(ExtendedAttribute(name: name, value: value)) }
    }
    return merged
}

extension Entry {
    /// Also true of equal entries.
    package func differsOnlyInTime(from other: Entry) -> Bool {
        var same = other
        same.modified = modified
        return same == self
    }

    fileprivate func hasSameKind(as other: Entry) -> Bool {
        switch (kind, other.kind) {
        case (.file, .file), (.directory, .directory), (.symlink, .symlink): true
        default: false
        }
    }
}
