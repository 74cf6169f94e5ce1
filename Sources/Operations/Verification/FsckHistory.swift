import ObjectDatabase
import ObjectStorage
import ProllyTree
import Versioning

/// Which commits are checked: those that refs show or ever showed, and all behind them, as the garbage collector counts.
extension FsckRun {
    /// Reads refs, chains and commits as far as they can be read. What is wrong with the chains the audit has told.
    ///
    /// - Parameter unreferenced: ref updates that no chain holds.
    mutating func findCommits(unreferenced: [RefUpdateID]) throws -> [CommitID] {
        let shown = try readRefs()
        var order: [CommitID] = []
        var seen = shown
        var queue = seen.sorted()
        while let id = queue.popLast() {
            do {
                let commit = try repository.database.commit(id)
                commits[id] = commit
                history.commits[id] = RepositoryHistory.Node(
                    commit, seconds: commit.time.seconds, storedSeconds: commit.time.seconds)
                order.append(id)
                for parent in commit.parents where seen.insert(parent).inserted { queue.append(parent) }
            } catch {
                report.damage.append(
                    Damage(object: ObjectKeys.commit(id), reason: Repository.reason(error), commit: id))
            }
        }
        report.commits = order.count
        try findLostRefs(unreferenced)
        collected = try repository.database.collectedTrees()
        proof = CollectionProof(repository, history)
        return order
    }

    /// The commits that refs show and ever showed.
    private mutating func readRefs() throws -> Set<CommitID> {
        var shown: Set<CommitID> = []
        for name in try RefName.Kind.allCases.flatMap(repository.database.refNames) {
            // A damaged ref or chain was reported by the audit; the others are still checked.
            guard let ref = try? repository.database.readRef(name) else {
                unreadable.insert(name.qualified)
                continue
            }
            history.refs.append(ref)
            if let commit = ref.commit { heads.insert(commit) }
            try? repository.database.forEachRefUpdate(of: ref) { id, update in
                history.refUpdates[id] = RepositoryHistory.Step(refUpdate: update, seconds: update.when.seconds)
                // An approval is a word about a commit, and keeps none.
                if name.kind != .approvals { shown.formUnion([update.old, update.new].compactMap { $0 }) }
                return true
            }
        }
        return shown.union(heads)
    }

    private mutating func findLostRefs(_ unreferenced: [RefUpdateID]) throws {
        // A copy that broke off leaves a mirror's refs behind.
        guard repository.database.config.mirror == nil else { return }
        var whole = history
        for id in unreferenced {
            // One that cannot be read names nothing.
            guard let update = try? repository.database.refUpdate(id) else { continue }
            whole.refUpdates[id] = RepositoryHistory.Step(refUpdate: update, seconds: update.when.seconds)
        }
        for lost in UnreferencedUpdates(whole, unreadable: unreadable).lost {
            report.damage.append(
                Damage(
                    object: "refs/\(lost.ref)",
                    reason: "it is missing or older than \(ObjectKeys.refUpdate(lost.update)), which followed it"))
        }
    }
}
