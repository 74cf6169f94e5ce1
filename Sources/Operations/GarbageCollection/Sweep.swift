import BlockingIO
import Logging
import ObjectDatabase
import ObjectStorage
import ProllyTree
import Synchronization
import Versioning

extension GarbageCollectionRun {
    /// Deletes what the survey found dead.
    mutating func sweep(_ run: SweepRun) throws {
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
        // From here on a later run does not take this one for harmless.
        try run.beginDeleting()
        // Either it sees that we delete and waits, or we see it.
        try refuseBesideMirror()
        hasDeleted = true
        let database = repository.database
        // Listed again, for its version: what a writer has uploaded anew is younger now and stays.
        @Sendable func remove(_ ids: Set<NodeID>, _ info: ObjectInfo, _ name: Substring) throws {
            guard info.modifiedSeconds < cutoff, !info.isTombstone, let id = NodeID(hex: name), ids.contains(id) else {
                return
            }
            try run.check()
            if try run.settling({ try database.deleteVersion(info) }) { count(info.sizeBytes) }
        }
        if !deletionPlan.roots.isEmpty {
            try concurrently(Array(deletionPlan.roots), threads: database.ioThreads) { id in
                guard let info = try database.store.findInfo(ObjectKeys.node(id)) else { return }
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
        try concurrently(deletionPlan.packs, threads: database.ioThreads) { id in
            guard let info = try database.store.findInfo(ObjectKeys.pack(id)) else { return }
            try run.check()
            try run.settling { try database.store.delete(info.key) }
            count(info.sizeBytes)
        }
        report.deleted = deleted.withLock { $0 }
    }

    /// Removes what earlier runs and holders of leases have left.
    func tidy() throws {
        let limit = now().seconds - SweepRun.keptFor.wholeSeconds
        // Nobody renews a lease that has ended.
        for lease in endedLeases { try repository.database.removeLease(id: lease.id) }
        let old = try SweepJournal.load(from: repository.database.store)?.runs.filter {
            ($0.ended ?? $0.began).seconds < limit
        }
        guard let old, !old.isEmpty else { return }
        try SweepJournal.update(in: repository.database.store) { journal in
            journal.removeRuns { run in old.contains { $0.id == run.id } }
        }
    }
}

extension ObjectInfo {
    /// Whether it stands for a node or a list that was deleted.
    var isTombstone: Bool { sizeBytes == UInt64(TwoPartObject.tombstoneBytes) }
}
