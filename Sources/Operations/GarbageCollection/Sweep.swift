import BlockingIO
import Logging
import ObjectDatabase
import ObjectStorage
import ProllyTree
import Synchronization
import Versioning

extension GarbageCollectionRun {
    /// Deletes what the survey found dead.
    mutating func sweep() throws {
        let (deletionPlan, cutoff, progress) = (deletionPlan, cutoffSeconds, progress)
        let deleted = Mutex(report.deleted)
        let total =
            deletionPlan.roots.count + deletionPlan.nodes.count + deletionPlan.lists.count + deletionPlan.packs.count
        @Sendable func count(_ bytes: UInt64) {
            let count = deleted.withLock { deleted in
                deleted.add(bytes)
                return deleted.objects
            }
            if count.isMultiple(of: 100) { progress("deleted \(count) of \(total) objects") }
        }
        guard total > 0 else { return }
        let announcement = try SweepAnnouncement(
            announcing: Array(deletionPlan.roots) + Array(deletionPlan.nodes) + Array(deletionPlan.lists),
            in: repository)
        defer { announcement.end() }
        // Either it sees our announcement and waits, or we see it.
        try refuseBesideMirror()
        let store = repository.database.store
        // Listed again after the announcement: what a writer has uploaded anew is younger now and stays.
        @Sendable func remove(_ ids: Set<NodeID>, _ info: ObjectInfo, _ name: Substring) throws {
            guard info.modifiedSeconds < cutoff, let id = NodeID(hex: name), ids.contains(id) else { return }
            try announcement.check()
            try store.delete(info.key)
            count(info.sizeBytes)
        }
        if !deletionPlan.roots.isEmpty {
            try concurrently(Array(deletionPlan.roots), threads: repository.database.ioThreads) { id in
                guard let info = try store.findInfo(ObjectKeys.node(id)) else { return }
                try remove([id], info, info.key.dropFirst("trees/00/".count))
            }
        }
        if !deletionPlan.nodes.isEmpty {
            try forEachObject(below: ObjectKeys.trees) { try remove(deletionPlan.nodes, $0, $1) }
        }
        if !deletionPlan.lists.isEmpty {
            try forEachObject(below: ObjectKeys.lists) { try remove(deletionPlan.lists, $0, $1) }
        }
        // A pack's name is random and never written again.
        try concurrently(deletionPlan.packs, threads: repository.database.ioThreads) { id in
            guard let info = try store.findInfo(ObjectKeys.pack(id)) else { return }
            try announcement.check()
            try store.delete(info.key)
            count(info.sizeBytes)
        }
        report.deleted = deleted.withLock { $0 }
    }

    /// Removes what earlier runs and holders of leases have left.
    func tidy() throws {
        let limit = now().seconds - SweepAnnouncement.keptFor.wholeSeconds
        // Nobody renews a lease that has ended.
        for lease in endedLeases { try repository.database.removeLease(id: lease.id) }
        let old = try SweepJournal.load(from: repository.database.store)?.runs.filter {
            ($0.ended ?? $0.began).seconds < limit
        }
        guard let old, !old.isEmpty else { return }
        try SweepJournal.update(in: repository.database.store) { journal in
            journal.removeRuns { run in old.contains { $0.id == run.id } }
        }
        for run in old {
            // Those that are there, whatever the journal says.
            for page in try repository.database.listKeys(ObjectKeys.deletionPlans(run: run.id)) {
                try repository.database.store.delete(page.key)
            }
        }
    }
}

/// The announcement of one sweep, kept alive by a thread until it ends.
final class SweepAnnouncement: Sendable {
    private struct State {
        var pulsed: ContinuousClock.Instant
        var isEnded = false
    }

    private let id = randomHex()
    private let repository: Repository
    private let state = Mutex(State(pulsed: .now))

    /// Ids in a page of the announcement.
    private static let pageIDs = 32_768
    private static let pulseMilliseconds = 10_000
    /// A sweep that has not shown life for so long deletes nothing more: writers will soon take it for dead.
    private static let limit: Duration = .seconds(90)
    /// How long an announcement stays after its sweep.
    static let keptFor = Duration.days(3)

    /// Writers that look from here on know what is deleted.
    init(announcing ids: [NodeID], in repository: Repository) throws {
        self.repository = repository
        var pages = 0
        guard ids.count / Self.pageIDs < SweepJournal.maximumPages else {
            throw RepositoryError.collectionRefused(reason: "more than \(ids.count) objects are to be deleted")
        }
        for start in stride(from: 0, to: ids.count, by: Self.pageIDs) {
            var bytes: [UInt8] = []
            for id in ids[start..<min(start + Self.pageIDs, ids.count)] { id.append(to: &bytes) }
            _ = try repository.database.store.put(ObjectKeys.deletionPlan(run: id, page: pages), bytes, .none)
            pages += 1
        }
        let run = SweepJournal.Run(id: id, began: now(), pages: pages)
        try SweepJournal.update(in: repository.database.store) { $0.runs.append(run) }
        state.withLock { $0.pulsed = .now }
        try startThread { [self] in
            while true {
                for _ in 0..<Self.pulseMilliseconds / 100 {
                    if state.withLock({ $0.isEnded }) { return }
                    sleepMilliseconds(100)
                }
                pulse()
            }
        }
    }

    private func pulse() {
        let start = ContinuousClock.now
        do {
            try SweepJournal.update(in: repository.database.store) { [id] journal in
                guard let index = journal.runs.firstIndex(where: { $0.id == id }) else { return }
                journal.runs[index].pulse += 1
                journal.runs[index].alive = now()
            }
            state.withLock { $0.pulsed = start }
        } catch {
            repository.database.logger.warning("the sweep could not show that it lives: \(error)")
        }
    }

    func check() throws {
        if ContinuousClock.now - state.withLock({ $0.pulsed }) > Self.limit {
            throw RepositoryError.collectionRefused(
                reason: "the store was away for too long to go on safely; run it again to go on")
        }
    }

    func end() {
        state.withLock { $0.isEnded = true }
        do {
            try SweepJournal.update(in: repository.database.store) { [id] journal in
                guard let index = journal.runs.firstIndex(where: { $0.id == id }) else { return }
                journal.runs[index].ended = now()
            }
        } catch {
            repository.database.logger.warning("the end of the sweep could not be noted: \(error)")
        }
    }
}
