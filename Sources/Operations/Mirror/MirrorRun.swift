import Logging
import ObjectDatabase
import ObjectStorage
import ProllyTree
import Synchronization
import Versioning

/// One copy of refs to a mirror.
struct MirrorRun {
    let source: Repository
    let target: Repository
    let progress: @Sendable (String) -> Void
    /// What was copied is there only as long as this held all the time.
    private let lease: TreeLease
    var report = MirrorReport()
    private var data: MirrorData
    private let proof: CollectionProof
    /// What the target's refs show when the copy begins.
    private var targetHeads: [CommitID] = []

    private struct Planned {
        let ref: RefSnapshot
        let present: RefSnapshot?
        /// Oldest first.
        var refUpdates: [RefUpdateID]
    }

    init(
        source: Repository, target: Repository, lease: TreeLease, progress: @escaping @Sendable (String) -> Void
    ) {
        self.lease = lease
        proof = CollectionProof(source)
        self.source = source
        self.target = target
        self.progress = progress
        data = MirrorData(source: source, target: target, progress: progress)
    }

    mutating func copy(_ patterns: [String]) throws {
        let globs = patterns.map { Glob($0) }
        func isWanted(_ name: RefName) -> Bool {
            globs.isEmpty || globs.contains { $0.matches(name.name) || $0.matches(name.qualified) }
        }
        // The rules go along: they say what a collector could take from the source.
        let refs = try source.allRefs().filter { isWanted($0.name) || $0.name.kind == .rules }
        guard refs.contains(where: { isWanted($0.name) }) else { throw MirrorFault.noRefMatches(patterns) }
        targetHeads = try Set(target.allRefs().compactMap(\.commit)).sorted()
        progress("comparing \(refs.count) refs")
        let plans = try refs.compactMap { try plan($0) }
        var wanted: Set<CommitID> = []
        for refUpdate in try plans.flatMap(\.refUpdates).map({ try source.database.refUpdate($0) }) {
            wanted.formUnion([refUpdate.old, refUpdate.new].compactMap { $0 })
        }
        try copyCommits(wanted)
        for plan in plans { try move(plan) }
        if patterns.isEmpty { try copyOthers() }
    }

    /// What a ref of the target lacks; `nil` when it lacks nothing or has diverged.
    private mutating func plan(_ ref: RefSnapshot) throws -> Planned? {
        let present = try target.database.readRef(ref.name)
        var refUpdates: [RefUpdateID] = []
        var meets = present == nil
        try source.database.forEachRefUpdate(of: ref) { id, _ in
            if id == present?.state.refUpdate {
                meets = true
                return false
            }
            refUpdates.append(id)
            return true
        }
        guard meets else {
            report.diverged.append(ref.name)
            return nil
        }
        guard !refUpdates.isEmpty else {
            report.refsUnchanged += 1
            return nil
        }
        return Planned(ref: ref, present: present, refUpdates: refUpdates.reversed())
    }

    /// Copies commits and their ancestors, parents first.
    private mutating func copyCommits(_ wanted: Set<CommitID>) throws {
        var missing: [CommitID: Commit] = [:]
        var waiting = wanted
        while let id = waiting.popFirst() {
            guard missing[id] == nil, try !isWhole(id) else { continue }
            let commit = try source.database.commit(id)
            missing[id] = commit
            waiting.formUnion(commit.parents)
        }
        let order = missing.sorted { ($0.value.generation, $0.key) < ($1.value.generation, $1.key) }
        for (number, (id, commit)) in order.enumerated() {
            progress("commit \(number + 1) of \(order.count)")
            if let record = try collectedBySource(id, commit.tree) {
                try target.database.recordCollected(
                    commit.tree, [id], rule: record.rule, rules: record.rules, when: record.when, run: nil)
                report.collectedCommits += 1
            } else {
                // A parent that is not copied now is at the target, whole.
                var parents: [NodeID] = []
                for parent in commit.parents {
                    let tree = try source.database.commit(parent).tree
                    parents.append(tree)
                    if missing[parent] == nil { try data.skip(tree) }
                }
                try data.copy(commit.tree, parents: parents)
                if try collected(id, commit.tree, target) != nil {
                    let journal = try SweepJournal.load(from: target.database.store)
                    try target.database.takeBackCollected(commit.tree) { journal?.mayDelete($0) == true }
                }
            }
            try lease.check()
            try copyRecord(ObjectKeys.commit(id), id: id)
            report.commits += 1
        }
        report.nodes = data.nodes
        report.lists = data.lists
        report.packs = data.packs
        report.packBytes = data.packBytes
        report.packsPresent = data.packsPresent
    }

    /// What a ref of the target reaches is there: the ref was moved after all its data was, and the target's collector keeps
    /// it, unless by its rules, and the source still has it. A commit that no ref reaches proves nothing: what it needs may
    /// have been collected since a copy broke off.
    private func isWhole(_ id: CommitID) throws -> Bool {
        guard try target.database.store.findInfo(ObjectKeys.commit(id)) != nil else { return false }
        guard try targetHeads.contains(where: { try isReached(id, from: $0) }) else { return false }
        let tree = try source.database.commit(id).tree
        return try collected(id, tree, target) == nil || collectedBySource(id, tree) != nil
    }

    private func isReached(_ id: CommitID, from head: CommitID) throws -> Bool {
        do {
            return try target.database.isAncestor(id, of: head)
        } catch ObjectDatabaseError.missingObject {
            // The copy brings it again.
            return false
        }
    }

    /// The record of a commit that the source's collector could take; a record that anybody put there excuses nothing.
    private func collectedBySource(_ id: CommitID, _ tree: NodeID) throws -> CollectedTree? {
        guard let record = try collected(id, tree, source) else { return nil }
        return try proof.fault(of: id, tree: tree) == nil ? record : nil
    }

    private func collected(_ id: CommitID, _ tree: NodeID, _ repository: Repository) throws -> CollectedTree? {
        let record = try CollectedTree.load(tree, from: repository.database.store)
        return record?.commits.contains(id) == true ? record : nil
    }

    /// Copies a JSON object whose id is the SHA-256 of its bytes.
    private func copyRecord<Kind>(_ key: String, id: Identifier<Kind>) throws {
        let bytes = try source.database.recordBytes(key, id: id, neededBy: "the mirror")
        _ = try target.database.store.put(key, bytes, .none)
    }

    private mutating func move(_ plan: Planned) throws {
        for id in plan.refUpdates { try copyRecord(ObjectKeys.refUpdate(id), id: id) }
        report.refUpdates += plan.refUpdates.count
        let key = ObjectKeys.ref(plan.ref.name)
        let hasMoved: Bool? = try CompareAndSwapLoop.run {
            // Another copy may be as fast, and the reply to our own swap may be lost.
            let present = try target.database.readRef(plan.ref.name)
            if present?.state.refUpdate == plan.ref.state.refUpdate { return true }
            guard present?.state.refUpdate == plan.present?.state.refUpdate else { return false }
            try lease.verify()
            let state = RefState(commit: plan.ref.commit, refUpdate: plan.ref.state.refUpdate, writeID: randomHex())
            return try target.database.store.swap(key, from: present?.etag, to: encodeRecord(state)) ? true : nil
        }
        if hasMoved == true { report.refsMoved.append(plan.ref.name) } else { report.diverged.append(plan.ref.name) }
        // Nothing makes the creation of an object fail: what was created while the lease was lost may show holes.
        try lease.verify()
    }

    /// Copies what else is in the repository: rules, hooks' records and the like.
    private mutating func copyOthers() throws {
        let own = [
            "commits/", "movements/", "trees/", "lists/", "packs/", "refs/", "leases/", "gc/", "moved/", "collected/",
            "queue/",
        ]
        var after: String?
        while true {
            let page = try source.database.store.list(prefix: "", after: after, limit: 1000)
            var next = page.objects.last?.key
            for object in page.objects where object.key != ObjectKeys.config {
                if let prefix = own.first(where: { object.key.hasPrefix($0) }) {
                    // Past everything of this kind: keys are of letters and digits, which `~` follows.
                    next = max(next ?? "", prefix + "~")
                    continue
                }
                guard let bytes = try source.database.storedBytes(object.key) else { continue }
                if try target.database.storedBytes(object.key) != bytes {
                    _ = try target.database.store.put(object.key, bytes, .none)
                }
                report.otherObjects += 1
            }
            after = next
            if !page.isTruncated || page.objects.isEmpty { return }
        }
    }
}
