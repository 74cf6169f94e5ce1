import BlockingIO
import ObjectDatabase
import ObjectStorage
import ProllyTree
import Synchronization
import Versioning

/// All commits and ref updates of a repository and where its refs stand, in memory: what the collector decides from.
struct RepositoryHistory: Sendable {
    struct Node: Sendable {
        let parents: [CommitID]
        let tree: NodeID
        /// When it was made, or written to this store: whichever is later.
        private(set) var seconds: Int64
        /// When it was written to this store, by the store's clock.
        private(set) var storedSeconds: Int64
        /// When it was made, by its own word: the same in every copy of the repository.
        let madeSeconds: Int64
        let message: String

        init(_ commit: Commit, seconds: Int64, storedSeconds: Int64) {
            (parents, tree, message) = (commit.parents, commit.tree, commit.message)
            (self.seconds, self.storedSeconds, madeSeconds) = (seconds, storedSeconds, commit.time.seconds)
        }

        /// By the time that the commit gives itself.
        func byOwnTime() -> Node {
            var copy = self
            (copy.seconds, copy.storedSeconds) = (madeSeconds, madeSeconds)
            return copy
        }
    }

    struct Step: Sendable {
        let refUpdate: RefUpdate
        /// Likewise the later of its own time and the store's.
        let seconds: Int64
    }

    var commits: [CommitID: Node]
    var refUpdates: [RefUpdateID: Step]
    var refs: [RefSnapshot]

    /// With the times that commits and ref updates give themselves: in a copy the store's are those of the copying.
    func byOwnTimes() -> RepositoryHistory {
        RepositoryHistory(
            commits: commits.mapValues { $0.byOwnTime() },
            refUpdates: refUpdates.mapValues { Step(refUpdate: $0.refUpdate, seconds: $0.refUpdate.when.seconds) },
            refs: refs)
    }

    /// The ref updates of a ref, newest first. Throws `.missingObject` where the chain breaks: then nothing is safe to
    /// collect.
    func chain(of ref: RefSnapshot) throws -> [Step] {
        var steps: [Step] = []
        var next: RefUpdateID? = ref.state.refUpdate
        while let id = next {
            guard let step = refUpdates[id] else {
                throw ObjectDatabaseError.missingObject(
                    object: ObjectKeys.refUpdate(id), neededBy: "the chain of \(ref.name.qualified)")
            }
            steps.append(step)
            next = step.refUpdate.previous
        }
        return steps
    }
}

extension Repository {
    /// Reads every commit, ref update and ref, in parallel. Throws when one is damaged.
    func loadHistory() throws -> RepositoryHistory {
        // Commits are written before the ref updates that name them, so they are listed after these.
        let refUpdates = try loadAll(ObjectKeys.refUpdates) { (id: RefUpdateID, info) in
            let refUpdate = try self.database.refUpdate(id)
            return RepositoryHistory.Step(
                refUpdate: refUpdate, seconds: max(refUpdate.when.seconds, info.modifiedSeconds))
        }
        let commits = try loadAll(ObjectKeys.commits) { (id: CommitID, info) in
            let commit = try self.database.commit(id)
            return RepositoryHistory.Node(
                commit, seconds: max(commit.time.seconds, info.modifiedSeconds), storedSeconds: info.modifiedSeconds)
        }
        // The refs after the objects: what came meanwhile is read behind them.
        return try refresh(RepositoryHistory(commits: commits, refUpdates: refUpdates, refs: []))
    }

    /// Reads the refs again, and whatever behind them was written since, or while the listings went on.
    func refresh(_ history: RepositoryHistory) throws -> RepositoryHistory {
        var history = history
        let present = now().seconds
        history.refs = try allRefs()
        var needed: Set<CommitID> = []
        for ref in history.refs {
            var next: RefUpdateID? = ref.state.refUpdate
            while let id = next {
                let refUpdate: RefUpdate
                if let known = history.refUpdates[id] {
                    refUpdate = known.refUpdate
                } else {
                    refUpdate = try self.database.refUpdate(id)
                    history.refUpdates[id] = RepositoryHistory.Step(refUpdate: refUpdate, seconds: present)
                }
                for commit in [refUpdate.old, refUpdate.new].compactMap({ $0 }) { needed.insert(commit) }
                next = refUpdate.previous
            }
        }
        for commit in history.commits.values { needed.formUnion(commit.parents) }
        var waiting = needed.filter { history.commits[$0] == nil }
        while let id = waiting.popFirst() {
            let commit = try database.commit(id)
            history.commits[id] = RepositoryHistory.Node(commit, seconds: present, storedSeconds: present)
            for parent in commit.parents where history.commits[parent] == nil { waiting.insert(parent) }
        }
        return history
    }

    /// Every ref, deleted ones too.
    func allRefs() throws -> [RefSnapshot] {
        let names = try RefName.Kind.allCases.flatMap(database.refNames)
        let found = Mutex<[RefSnapshot]>([])
        try concurrently(names, threads: database.ioThreads) { name in
            guard let ref = try self.database.readRef(name) else { return }
            found.withLock { $0.append(ref) }
        }
        return found.withLock { $0 }.sorted { $0.name.qualified < $1.name.qualified }
    }

    private func loadAll<Kind, Value: Sendable>(
        _ prefix: String, _ load: @escaping @Sendable (Identifier<Kind>, ObjectInfo) throws -> Value
    ) throws -> [Identifier<Kind>: Value] {
        let all = Mutex<[Identifier<Kind>: Value]>([:])
        try database.store.forEachPage(prefix) { objects in
            try concurrently(objects, threads: database.ioThreads) { info in
                // What no Tarn wrote is not ours to judge.
                guard let id = Identifier<Kind>(hex: info.key.dropFirst(prefix.count)) else { return }
                let value = try load(id, info)
                all.withLock { $0[id] = value }
            }
        }
        return all.withLock { $0 }
    }
}
