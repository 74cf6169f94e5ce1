import BlockingIO
import Logging
import ObjectDatabase
import ObjectStorage
import ProllyTree
import Versioning

extension Repository {
    /// Finds what no branch, tag, rule, lease or running writer needs, and deletes it if asked to.
    ///
    /// 1. Fix the time, by the store's clock: what is younger stays.
    /// 2. Decide which commits stay, by the rules.
    /// 3. Note those that go (`collected/`), so that nobody builds on them any more.
    /// 4. Read leases and refs again: whoever did not see the note is seen now.
    /// 5. Mark what the commits and leases reach.
    /// 6. List what is left.
    /// 7. Delete the listed versions of nodes and lists, on condition; delete packs.
    /// 8. Rewrite packs that are mostly dead.
    ///
    /// Commits, ref updates and refs are never deleted. Why it is safe beside writers, and may be broken off anywhere:
    /// docs/explanation/design/011-garbage-collection.md. Throws before anything is deleted when something that must
    /// stay cannot be read.
    package func collectGarbage(
        _ options: GarbageOptions, progress: @escaping @Sendable (String) -> Void = { _ in }
    ) throws -> GarbageReport {
        var collection = GarbageCollectionRun(repository: self, options: options, progress: progress)
        var before: SweepJournal?
        do {
            before = try SweepJournal.load(from: database.store)
            return try collection.run()
        } catch  where ObjectFault.object(of: error) != nil {
            try refuseBesideRival(of: collection, before, error)
            throw RepositoryError.collectionStopped(by: error, hasDeleted: collection.hasDeleted)
        }
    }

    /// What is not there any more may have been deleted by another run, when this one had listed it already.
    private func refuseBesideRival(
        of collection: GarbageCollectionRun, _ before: SweepJournal?, _ error: any Error
    ) throws {
        guard isMissingObject(error),
            try SweepJournal.load(from: database.store)?.hasDeletions(since: before, besides: collection.id) == true
        else { return }
        throw RepositoryError.collectionRefused(
            reason: "another run of gc has deleted what this one had listed "
                + "(\(ObjectFault.object(of: error) ?? "")); wait until it has ended, and run gc again")
    }
}

/// One run.
struct GarbageCollectionRun {
    let repository: Repository
    let options: GarbageOptions
    let progress: @Sendable (String) -> Void
    var report = GarbageReport()
    let moves: PackForwarding
    private(set) var movedPacks: [PackID: Int64] = [:]
    /// By the store's clock.
    private var present: Timestamp
    private var history = RepositoryHistory(commits: [:], refUpdates: [:], refs: [])
    private var kept: Set<CommitID> = []
    /// The newest change of the retention rules that were decided by.
    private var rules: RefUpdateID?
    /// Trees of which a record says that they were collected.
    private var recorded: Set<NodeID> = []
    private var expired: [NodeID: [CommitID]] = [:]
    private(set) var live: LiveObjects
    /// Packs that commits which must stay refer to.
    private(set) var neededPacks: Set<PackID> = []
    /// Objects from this second on stay.
    private(set) var cutoffSeconds: Int64
    var deletionPlan = DeletionPlan()
    /// Leases that have ended: their holders are gone, or may not go on.
    private(set) var endedLeases: [StoredLease] = []
    /// By which others know it; `nil` until it is to delete.
    private(set) var id: String?
    /// Whether it has begun to delete.
    var hasDeleted = false

    /// What is to be deleted.
    struct DeletionPlan {
        /// Roots of expired commits: these go first, so that nobody opens half of a commit.
        var roots: Set<NodeID> = []
        var nodes: Set<NodeID> = []
        var lists: Set<NodeID> = []
        var packs: [PackID] = []
        /// Packs to rewrite, with their bytes in use.
        var repackable: [PackID: UInt64] = [:]
    }

    init(repository: Repository, options: GarbageOptions, progress: @escaping @Sendable (String) -> Void) {
        self.repository = repository
        self.options = options
        self.progress = progress
        moves = PackForwarding(store: repository.database.store)
        live = LiveObjects(repository, moves: moves)
        present = options.present ?? now()
        cutoffSeconds = 0
    }

    mutating func run() throws -> GarbageReport {
        try fixTime()
        try decide()
        guard options.deletes else {
            try mark()
            try survey()
            return report
        }
        let run = try SweepRun(in: repository)
        id = run.id
        return try run.running {
            try noteExpired(run)
            try mark(run)
            try survey()
            try sweep(run)
            try repack()
            try tidy()
            return report
        }
    }

    private mutating func fixTime() throws {
        if options.present == nil {
            present = Timestamp(seconds: try repository.database.storeSeconds(), nanoseconds: 0)
        }
        cutoffSeconds = present.seconds - (options.grace + options.clockSlack).wholeSeconds
    }

    private mutating func decide() throws {
        // Before the history: of a writer whose lease is gone the refs show what it has uploaded.
        try readLeases()
        progress("reading the history")
        let (rules, snapshot) = try repository.storedRules(RetentionRules.self)
        self.rules = snapshot?.state.refUpdate
        history = try repository.loadHistory()
        let decision = try keptCommits(rules)
        kept = decision.kept
        recorded = try repository.database.collectedTrees()
        var inUse = Set(kept.compactMap { history.commits[$0]?.tree })
        for lease in report.leases { inUse.formUnion(lease.allTrees) }
        var commitsOfTree: [NodeID: Int] = [:]
        for commit in history.commits.values { commitsOfTree[commit.tree, default: 0] += 1 }
        for (id, commit) in history.commits where !kept.contains(id) && !inUse.contains(commit.tree) {
            if recorded.contains(commit.tree), commitsOfTree[commit.tree] == 1 {
                report.collectedBefore += 1
                continue
            }
            expired[commit.tree, default: []].append(id)
        }
        for (tree, commits) in expired where recorded.contains(tree) {
            let known = try CollectedTree.load(tree, from: repository.database.store)?.commits ?? []
            expired[tree] = commits.filter { !known.contains($0) }
            report.collectedBefore += commits.count - (expired[tree]?.count ?? 0)
        }
        report.expired = expired.values.joined().compactMap { id in
            history.commits[id].map {
                GarbageReport.Expired(
                    commit: id, seconds: $0.seconds, message: $0.message, reason: decision.reason(id))
            }
        }.sorted { ($0.seconds, $0.commit) > ($1.seconds, $1.commit) }
    }

    /// Refuses when a ref object is lost or was put back: nothing tells then what the ref needs.
    private func keptCommits(_ rules: RetentionRules) throws -> KeptCommits {
        let unreferenced = UnreferencedUpdates(history)
        // A copy that broke off leaves a mirror's refs behind.
        if let lost = unreferenced.lost.first, repository.database.config.mirror == nil {
            throw RepositoryError.collectionRefused(
                reason: "the ref object of \(lost.ref) is missing or older than \(ObjectKeys.refUpdate(lost.update)); "
                    + "run 'tarn fsck', and put the ref back from a mirror or a version of the bucket")
        }
        return try KeptCommits(
            history, rules, presentSeconds: present.seconds, grace: options.grace + options.clockSlack,
            uploadedSince: cutoffSeconds, unreferenced: unreferenced.commits)
    }

    /// Before anything is deleted: from here on no writer builds on these commits.
    mutating func noteExpired(_ run: SweepRun) throws {
        let reasons = Dictionary(report.expired.map { ($0.commit, $0.reason) }) { first, _ in first }
        let entries = expired.filter { !$0.value.isEmpty }
        progress("noting \(entries.count) trees that expire")
        try concurrently(Array(entries), threads: repository.database.ioThreads) {
            [repository, present, rules] tree, commits in
            try repository.database.recordCollected(
                tree, commits.sorted(), rule: commits.first.flatMap { reasons[$0] } ?? "no rule", rules: rules,
                when: present, run: run.id)
        }
    }

    /// Finds everything that is in use. Leases before refs: a writer holds its lease until its ref has moved.
    ///
    /// - Parameter run: `nil` when nothing is deleted.
    mutating func mark(_ run: SweepRun? = nil) throws {
        try readLeases()
        if options.deletes { try fence() }
        history = try repository.refresh(history)
        kept.formUnion(try keptCommits(repository.retention()).kept)
        report.keptCommits = kept.count
        movedPacks = try moves.list()
        var trees = Set(
            try kept.map { id in
                guard let commit = history.commits[id] else {
                    throw ObjectDatabaseError.missingObject(object: ObjectKeys.commit(id), neededBy: "the history")
                }
                return commit.tree
            })
        let journal = try SweepJournal.load(from: repository.database.store)
        let doubtful = try collectedEarlier(trees, run, journal)
        trees.subtract(doubtful)
        let leased = Set(report.leases.flatMap(\.allTrees))
        try revive(trees.union(leased).intersection(expired.keys), run, journal)
        let progress = progress
        try live.add(trees) { progress("marked \($0) nodes") }
        if let missing = live.result.missing.first {
            throw ObjectDatabaseError.missingObject(
                object: missing, neededBy: "a commit that must stay")
        }
        neededPacks = Set(live.result.packs.keys)
        // What a lease protects may be half uploaded, or gone by an earlier run.
        try live.add(leased)
    }

    /// Trees of kept commits whose data an earlier run has taken, when the rules were other ones. A record is no proof
    /// that they are gone (a run may have been broken off after it), and counts only if the rules then allowed it.
    private func collectedEarlier(
        _ trees: Set<NodeID>, _ run: SweepRun?, _ journal: SweepJournal?
    ) throws -> Set<NodeID> {
        var gone: Set<NodeID> = []
        let proof = CollectionProof(repository, history)
        for tree in trees.intersection(recorded) {
            let probe = LiveObjects(repository, moves: moves)
            try probe.add([tree])
            if !probe.result.missing.isEmpty {
                let commits = kept.filter { history.commits[$0]?.tree == tree }
                if try commits.allSatisfy({ try proof.fault(of: $0, tree: tree) == nil }) { gone.insert(tree) }
            } else if let run {
                try takeBack(tree, run, journal)
            }
        }
        return gone
    }

    /// Takes back what this run, and those that cannot delete any more, have noted of a tree that is there and in use.
    private func takeBack(_ tree: NodeID, _ run: SweepRun, _ journal: SweepJournal?) throws {
        try repository.database.takeBackCollected(tree) { $0 != run.id && journal?.mayDelete($0) == true }
    }

    /// Takes back what was noted of trees that came into use meanwhile.
    private mutating func revive(_ trees: Set<NodeID>, _ run: SweepRun?, _ journal: SweepJournal?) throws {
        for tree in trees {
            let commits = expired.removeValue(forKey: tree) ?? []
            if let run, !commits.isEmpty {
                try takeBack(tree, run, journal)
            }
            report.expired.removeAll { commits.contains($0.commit) }
        }
    }

    /// Reads the leases that hold, and moves the cutoff before the oldest upload under way. A lease that cannot be read
    /// might protect anything, so it stops the run.
    private mutating func readLeases() throws {
        report.leases = []
        endedLeases = []
        for stored in try repository.database.allLeases() {
            let lease = stored.lease
            if stored.endSeconds <= present.seconds || stored.isAbandoned,
                try !options.deletes || repository.database.breakLease(stored)
            {
                endedLeases.append(stored)
                continue
            }
            if lease.purpose == .mirror, options.deletes {
                let end = Timestamp(seconds: stored.endSeconds, nanoseconds: 0)
                throw RepositoryError.collectionRefused(
                    reason: "\(lease.holder) is copying a repository into this one (until \(end.rfc3339) at most)")
            }
            report.leases.append(lease)
            if lease.purpose == .write || lease.purpose == .mirror {
                let began = lease.began ?? stored.writtenSeconds
                cutoffSeconds = min(cutoffSeconds, began - options.clockSlack.wholeSeconds)
            }
        }
    }

    /// A writer whose lease has ended may still be there, paused just before it moves a ref to what this run deletes. Writing
    /// all refs again, as they are, makes its move fail; then it finds that its lease is lost.
    private func fence() throws {
        guard endedLeases.contains(where: { $0.lease.purpose == .write || $0.lease.purpose == .mirror }) else { return }
        progress("writing the refs again, because a lease has ended")
        try concurrently(try repository.allRefs().map(\.name), threads: repository.database.ioThreads) {
            [repository] name in try repository.rewriteRef(name)
        }
    }

    func refuseBesideMirror() throws {
        for stored in try repository.database.allLeases()
        where stored.lease.purpose == .mirror && stored.endSeconds > present.seconds {
            throw RepositoryError.collectionRefused(
                reason: "\(stored.lease.holder) has begun to copy a repository into this one; run it again later")
        }
    }

    /// The roots of commits that expire, for `sweep`.
    var expiredRoots: [NodeID] { Array(expired.keys) }
}
