import ProllyTree

/// The nearest commit that both `left` and `right` contain: the common ancestor of the highest generation (the smallest
/// id among equals). `nil` when the histories share nothing.
package func mergeBase<Failure: Error>(
    _ left: CommitID, _ right: CommitID, load: (CommitID) throws(Failure) -> Commit
) throws(Failure) -> CommitID? {
    try mergeBases(left, right, load: load).first
}

/// The common ancestors of which none is an ancestor of another, the nearest (highest generation, then smallest id)
/// first; several in criss-cross histories, none when the histories share nothing. Reads each commit at most once, newest
/// generation first.
package func mergeBases<Failure: Error>(
    _ left: CommitID, _ right: CommitID, load: (CommitID) throws(Failure) -> Commit
) throws(Failure) -> [CommitID] {
    var sides: [CommitID: HistorySide] = [:]
    var queue: [(id: CommitID, commit: Commit)] = []
    func reach(_ id: CommitID, _ side: HistorySide) throws(Failure) {
        if sides[id] == nil {
            let commit = try load(id)
            let index = queue.firstIndex { ($0.commit.generation, id) < (commit.generation, $0.id) } ?? queue.endIndex
            queue.insert((id, commit), at: index)
        }
        sides[id, default: []].formUnion(side)
    }
    try reach(left, .left)
    try reach(right, .right)
    var bases: [CommitID] = []
    // A commit leaves the queue only after every descendant of it has: descendants have higher generations.
    while let next = queue.first, queue.contains(where: { sides[$0.id]?.contains(.belowBase) == false }) {
        queue.removeFirst()
        var side = sides[next.id, default: []]
        if side == .both { bases.append(next.id) }
        if side.isSuperset(of: .both) { side.formUnion(.belowBase) }
        for parent in next.commit.parents { try reach(parent, side) }
    }
    return bases
}

/// Whether `ancestor` is `descendant` or one of the commits behind it.
package func isAncestor<Failure: Error>(
    _ ancestor: CommitID, of descendant: CommitID, load: (CommitID) throws(Failure) -> Commit
) throws(Failure) -> Bool {
    if ancestor == descendant { return true }
    let floor = try load(ancestor).generation
    var seen: Set<CommitID> = [descendant]
    var queue = [descendant]
    while let next = queue.popLast() {
        let commit = try load(next)
        if commit.generation <= floor { continue }
        for parent in commit.parents {
            if parent == ancestor { return true }
            if seen.insert(parent).inserted { queue.append(parent) }
        }
    }
    return false
}

private struct HistorySide: OptionSet {
    let rawValue: UInt8
    static let left = HistorySide(rawValue: 1)
    static let right = HistorySide(rawValue: 2)
    /// An ancestor of a merge base.
    static let belowBase = HistorySide(rawValue: 4)
    static let both: HistorySide = [.left, .right]
}
