import BlockingIO
import ObjectStorage
import ProllyTree
import Versioning

/// Makes sure that nodes and lists which were just uploaded are not deleted by a sweep that had found their older
/// selves unused.
///
/// The uploads come first, then the look at the journal. A sweep that is announced later finds the uploads younger
/// than their lease and spares them; one that was announced before is waited for, and what it may have deleted is
/// uploaded again (docs/explanation/design/011-garbage-collection.md).
final class UploadConfirmation: Sendable {
    private struct State {
        var isBusy = false
        var lastConfirmed: Timestamp?
        /// What each run deletes.
        var deletionPlans = BoundedCache<String, Set<NodeID>>(limit: 4)
    }

    private let state = Monitor(State())

    /// Waits until all that was saved is uploaded, and for sweeps that would delete some of it. One caller at a time,
    /// so that nobody goes on while another still confirms what both rely on.
    func confirm(in database: ObjectDatabase) throws {
        let last = state.wait { state -> Timestamp?? in
            guard !state.isBusy else { return nil }
            state.isBusy = true
            return .some(state.lastConfirmed)
        }
        defer { state.update { $0.isBusy = false } }
        let started = now()
        let nodes = database.nodes.takeUnconfirmed()
        let lists = database.lists.takeUnconfirmed()
        do {
            try database.nodes.flush()
            try database.lists.flush()
            if !nodes.isEmpty || !lists.isEmpty { try outlast(since: last, nodes, lists, database) }
        } catch {
            database.nodes.giveBack(nodes)
            database.lists.giveBack(lists)
            throw error
        }
        state.update { $0.lastConfirmed = started }
    }

    private func outlast(
        since last: Timestamp?, _ nodes: [NodeID: Node], _ lists: [ContentID: FileMap],
        _ database: ObjectDatabase
    ) throws {
        var handled: Set<String> = []
        while true {
            let journal = try SweepJournal.load(from: database.store)
            database.refreshCacheTrust(journal)
            let unhandled = (journal?.runs ?? []).filter { run in
                guard !handled.contains(run.id) else { return false }
                guard let ended = run.ended, let last else { return true }
                return ended.seconds + SweepJournal.clockDifference.wholeSeconds > last.seconds
            }
            if unhandled.isEmpty { return }
            for run in unhandled {
                let deletionPlan = try deletionPlan(by: run, database)
                let hitNodes = nodes.values.filter { deletionPlan.contains($0.id) }
                let hitLists = lists.values.filter { deletionPlan.contains(NodeID(sameBytesAs: $0.id)) }
                handled.insert(run.id)
                if hitNodes.isEmpty, hitLists.isEmpty { continue }
                try SweepJournal.waitForEnd(of: run, in: database.store)
                for node in hitNodes { try database.nodes.put(node) }
                for list in hitLists { try database.lists.put(list) }
            }
        }
    }

    private func deletionPlan(by run: SweepJournal.Run, _ database: ObjectDatabase) throws -> Set<NodeID> {
        if let known = state.update({ $0.deletionPlans.value(for: run.id) }) { return known }
        var ids: Set<NodeID> = []
        for page in 0..<run.pages {
            // Pages go only long after their run has ended.
            guard let object = try database.store.find(ObjectKeys.deletionPlan(run: run.id, page: page)) else {
                continue
            }
            object.bytes.withUnsafeBytes { raw in
                for start in stride(from: 0, to: raw.count - NodeID.byteCount + 1, by: NodeID.byteCount) {
                    ids.insert(NodeID(raw: UnsafeRawBufferPointer(rebasing: raw[start..<start + NodeID.byteCount])))
                }
            }
        }
        state.update { $0.deletionPlans.insert(ids, for: run.id) }
        return ids
    }
}
