package import ProllyTree

/// A path that both sides changed in ways that do not go together.
package struct Conflict: Hashable, Sendable {
    package let path: TreePath
    package let base: LocatedEntry?
    package let ours: LocatedEntry?
    package let theirs: LocatedEntry?
    /// What collided: `content`, `kind`, `mode`, `owner`, `attributes`, `deleted here`, `deleted there`, `parent`.
    package let reason: String

    package init(path: TreePath, base: LocatedEntry?, ours: LocatedEntry?, theirs: LocatedEntry?, reason: String) {
        self.path = path
        self.base = base
        self.ours = ours
        self.theirs = theirs
        self.reason = reason
    }
}

/// Which version of a conflicting path to take.
package enum Resolution: String, Sendable, Codable, CaseIterable {
    case ours, theirs, base
}

/// What a three-way merge comes to: edits that turn *theirs* into the result, and what is left to decide.
package struct MergeResult: Sendable {
    /// In ascending order of keys; empty when theirs has everything already.
    package let edits: [Edit]
    /// In the order of `TreePath`. Not empty means the edits must not be used.
    package let conflicts: [Conflict]
    /// How each edit changes the counts of theirs.
    package let counts: Commit.Counts
}

/// Merges field by field what `ours` and `theirs` changed since `base` (DESIGN §5): content, mode, owner and attributes
/// each come from the side that changed them; a newer modification time wins and never conflicts, and neither does a
/// directory that one side deleted while the other only touched its time. A directory that one side deleted stays when
/// the other put something into it (as in git). Cost: proportional to the two differences.
///
/// - Parameter theirsCounts: counts of theirs, to be carried on.
/// - Parameter resolve: the decision for a conflicting path, if there is one.
package func mergeTrees<Store: NodeStore>(
    base: Tree<Store>, ours: Tree<Store>, theirs: Tree<Store>, theirsCounts: Commit.Counts,
    resolve: (Conflict) throws -> Resolution?
) throws -> MergeResult {
    var merge = TreeMerge(theirs: theirs, counts: theirsCounts)
    try base.pathChanges(to: theirs) { change in
        merge.theirChanges[change.path] = change
        return true
    }
    try base.pathChanges(to: ours) { change in
        try merge.take(change, resolve)
        return true
    }
    try merge.keepParents(ours: ours, resolve)
    return merge.result()
}

private struct TreeMerge<Store: NodeStore> {
    let theirs: Tree<Store>
    var counts: Commit.Counts
    var theirChanges: [TreePath: PathChange] = [:]
    private var edits: [TreePath: LocatedEntry?] = [:]
    private var conflicts: [Conflict] = []
    private var decisions: [TreePath: Resolution] = [:]
    private var ourPuts: [TreePath] = []

    init(theirs: Tree<Store>, counts: Commit.Counts) {
        self.theirs = theirs
        self.counts = counts
    }

    mutating func take(_ change: PathChange, _ resolve: (Conflict) throws -> Resolution?) throws {
        if change.new != nil { ourPuts.append(change.path) }
        guard let other = theirChanges[change.path] else {
            edit(change.path, from: change.old, to: change.new)
            return
        }
        switch mergeEntries(base: change.old, ours: change.new, theirs: other.new) {
        case .merged(let entry):
            edit(change.path, from: other.new, to: entry)
        case .conflict(let reason):
            try settle(
                Conflict(path: change.path, base: change.old, ours: change.new, theirs: other.new, reason: reason),
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
        case .ours: edit(conflict.path, from: conflict.theirs, to: conflict.ours)
        case .theirs: break
        case .base: edit(conflict.path, from: conflict.theirs, to: conflict.base)
        case nil: conflicts.append(conflict)
        }
    }

    /// Sees to it that whatever stays has its directory: brings back one that the other side deleted, and reports a
    /// path whose parent became something else.
    mutating func keepParents(ours: Tree<Store>, _ resolve: (Conflict) throws -> Resolution?) throws {
        let kept = ourPuts.filter { edits[$0] != nil } + theirChanges.values.filter { $0.new != nil }.map(\.path)
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
                        path: path, base: nil, ours: try ours.entry(at: path), theirs: try theirs.entry(at: path),
                        reason: "its directory became a file")
                    try settle(conflict, in: directory, ours: ours.entry(at: directory), resolve)
                    if try merged(path) == nil { missing = [] }
                }
                break
            }
            for directory in missing.reversed() {
                let theirEntry = try theirs.entry(at: directory)
                guard let entry = try theirEntry ?? ours.entry(at: directory) else { continue }
                if theirEntry != nil {
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
        _ conflict: Conflict, in directory: TreePath, ours: LocatedEntry?,
        _ resolve: (Conflict) throws -> Resolution?
    ) throws {
        let theirs = try theirs.entry(at: directory)
        let isOurFile = ours?.entry.isDirectory == false
        switch (try resolve(conflict) ?? decisions[directory], isOurFile) {
        case (.ours, true): edit(conflict.path, from: conflict.theirs, to: nil)
        case (.ours, false): edit(directory, from: theirs, to: ours)
        case (.theirs, true), (.base, true): try undoEdit(of: directory)
        case (.theirs, false), (.base, false): try undoEdit(of: conflict.path)
        case (nil, _): conflicts.append(conflict)
        }
    }

    /// Takes a path from theirs after all.
    private mutating func undoEdit(of path: TreePath) throws {
        guard let edited = edits.removeValue(forKey: path) else { return }
        counts.add(edited?.entry, sign: -1)
        counts.add(try theirs.entry(at: path)?.entry, sign: 1)
    }

    private func merged(_ path: TreePath) throws -> LocatedEntry? {
        if let edited = edits[path] { return edited }
        return try theirs.entry(at: path)
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
    case conflict(String)
}

private func mergeEntries(base: LocatedEntry?, ours: LocatedEntry?, theirs: LocatedEntry?) -> EntryMerge {
    if ours?.entry == theirs?.entry { return .merged(theirs) }
    guard let ours, let theirs else {
        // One side deleted it, the other changed it.
        if let base, base.entry.isDirectory, let left = ours ?? theirs, base.entry.differsOnlyInTime(from: left.entry) {
            return .merged(nil)
        }
        return .conflict(ours == nil ? "deleted here, changed there" : "changed here, deleted there")
    }
    guard
        let content = pick(base: base?.entry.kind, ours: ours.entry.kind, theirs: theirs.entry.kind)
    else { return .conflict(ours.entry.hasSameKind(as: theirs.entry) ? "content" : "kind") }
    guard let mode = pick(base: base?.entry.mode, ours: ours.entry.mode, theirs: theirs.entry.mode) else {
        return .conflict("mode")
    }
    guard let owner = pick(base: .some(base?.entry.owner), ours: ours.entry.owner, theirs: theirs.entry.owner) else {
        return .conflict("owner")
    }
    guard let attributes = mergeAttributes(base?.entry.attributes, ours.entry.attributes, theirs.entry.attributes)
    else {
        return .conflict("attributes")
    }
    let entry = Entry(
        kind: content, mode: mode, modified: max(ours.entry.modified, theirs.entry.modified), owner: owner,
        attributes: attributes)
    return .merged(LocatedEntry(entry, extents: content == theirs.entry.kind ? theirs.extents : ours.extents))
}

/// The side that changed; `nil` when both did, to different values.
package func pick<Value: Equatable>(base: Value?, ours: Value, theirs: Value) -> Value? {
    if ours == theirs || theirs == base { return ours }
    return ours == base ? theirs : nil
}

/// Attribute by attribute; `nil` when both sides changed one to different values.
package func mergeAttributes(
    _ base: [ExtendedAttribute]?, _ ours: [ExtendedAttribute], _ theirs: [ExtendedAttribute]
) -> [ExtendedAttribute]? {
    func byName(_ list: [ExtendedAttribute]) -> [[UInt8]: [UInt8]] {
        Dictionary(list.map { ($0.name, $0.value) }, uniquingKeysWith: { first, _ in first })
    }
    let (base, ours, theirs) = (byName(base ?? []), byName(ours), byName(theirs))
    var merged: [ExtendedAttribute] = []
    for name in Set(ours.keys).union(theirs.keys).sorted(by: { compareBytes($0, $1) < 0 }) {
        guard let value = pick(base: .some(base[name]), ours: ours[name], theirs: theirs[name]) else { return nil }
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
