import ObjectDatabase
import ProllyTree
import Versioning

/// Ref updates that no ref's chain holds.
///
/// A ref update is written before its ref moves, so one that follows the newest of its ref may be a move under way, or one
/// that broke off. Two in a row are more: the second could only be made when the first had moved the ref. Then the ref
/// object was lost or put back, and what the updates name must not be taken for garbage.
struct UnreferencedUpdates {
    /// Commits that may be a ref's all the same.
    private(set) var commits: Set<CommitID> = []
    /// Refs whose objects are missing or behind their ref updates, with the update that proves it.
    private(set) var lost: [(ref: String, update: RefUpdateID)] = []

    /// - Parameter unreadable: refs whose objects are there and cannot be read.
    init(_ history: RepositoryHistory, unreadable: Set<String> = []) {
        let newest = Dictionary(
            history.refs.map { ($0.name.qualified, $0.state.refUpdate) }, uniquingKeysWith: { first, _ in first })
        var referenced: Set<RefUpdateID> = []
        // Of these the chain cannot be read to its end: what lies behind the gap is theirs.
        var broken = unreadable
        for ref in history.refs {
            var next: RefUpdateID? = ref.state.refUpdate
            while let id = next, referenced.insert(id).inserted {
                if history.refUpdates[id] == nil { broken.insert(ref.name.qualified) }
                next = history.refUpdates[id]?.refUpdate.previous
            }
        }
        let others = history.refUpdates.filter { !referenced.contains($0.key) }
        for (id, step) in others {
            let update = step.refUpdate
            let name = update.ref
            let follows =
                if let present = newest[name] { update.previous == present } else { update.previous == nil }
            // The loser of a compare-and-swap follows an update that another follows, too.
            let previous = update.previous.flatMap { others[$0]?.refUpdate }
            let isLost = previous?.ref == name || (newest[name] == nil && update.previous != nil)
            guard follows || isLost, !broken.contains(name) else { continue }
            commits.formUnion([update.old, update.new].compactMap { $0 })
            if isLost { lost.append((name, id)) }
        }
        lost.sort { ($0.ref, $0.update) < ($1.ref, $1.update) }
    }
}
