import ObjectStorage
import ProllyTree
import Versioning

/// `gc/sweeps.json`: runs of the garbage collector that delete, or have deleted lately, objects which are named by their
/// content. A writer may put such an object again at the same moment, so it looks here before it relies on it.
struct SweepNotices: Codable {
    struct Run: Codable {
        var id: String
        var began: Timestamp
        var ended: Timestamp?
        /// Changes as long as the run lives.
        var pulse: Int
        /// When it changed last, by the run's clock.
        var alive: Timestamp?
        /// `gc/doomed/<id>/<0 ..< pages>` hold the ids of the nodes and lists that the run deletes, 32 bytes each.
        var pages: Int
    }

    var format = 1
    var runs: [Run] = []
    /// When the last of the runs ended that are not listed any more.
    var lastEnded: Timestamp?

    /// Forgets runs of long ago.
    mutating func removeRuns(_ isOld: (Run) -> Bool) {
        // One that broke off has long been dead.
        let ends = runs.filter(isOld).map { $0.ended ?? now() } + (lastEnded.map { [$0] } ?? [])
        lastEnded = ends.max()
        runs.removeAll(where: isOld)
    }

    static func load(from store: any ObjectStore) throws -> (notices: SweepNotices, etag: ETag)? {
        guard let object = try store.find(ObjectKeys.sweeps) else { return nil }
        return (try decodeObject(object.bytes, key: ObjectKeys.sweeps), object.etag)
    }

    /// A run that has shown no life for so long has ended.
    static let deadAfterMilliseconds = 180_000

    static func waitForEnd(of run: Run, in store: any ObjectStore) throws {
        var pulse = run.pulse
        var silentMilliseconds = 0
        while silentMilliseconds < deadAfterMilliseconds {
            let present = try load(from: store)?.notices.runs.first { $0.id == run.id }
            guard let present, present.ended == nil else { return }
            if present.pulse != pulse { silentMilliseconds = 0 }
            pulse = present.pulse
            sleepMilliseconds(200)
            silentMilliseconds += 200
        }
    }

    /// Changes the object by compare-and-swap.
    static func update(in store: any ObjectStore, _ body: (inout SweepNotices) -> Void) throws {
        for attempt in 0..<Repository.maximumPublishAttempts {
            let found = try load(from: store)
            var notices = found?.notices ?? SweepNotices()
            body(&notices)
            if try store.swap(ObjectKeys.sweeps, from: found?.etag, to: encodeRecord(notices)) { return }
            sleepMilliseconds(.random(in: 1...(20 << min(attempt, 5))))
        }
        throw RepositoryError.store(.preconditionFailed(key: ObjectKeys.sweeps))
    }
}

/// Makes sure that nodes and lists which were just uploaded are not deleted by a sweep that had found their older
/// selves unused.
///
/// The uploads come first, then the look at the notices. A sweep that is announced later finds the uploads younger
/// than their lease and spares them; one that was announced before is waited for, and what it may have deleted is
/// uploaded again (docs/design/011).
final class UploadConfirmation: Sendable {
    private struct State {
        var isBusy = false
        var lastConfirmed: Timestamp?
        /// What each run deletes.
        var doomed: [String: Set<NodeID>] = [:]
    }

    private let state = Monitor(State())

    /// Waits until all that was saved is uploaded, and for sweeps that would delete some of it. One caller at a time,
    /// so that nobody goes on while another still confirms what both rely on.
    func confirm(in repository: Repository) throws {
        let last = state.wait { state -> Timestamp?? in
            guard !state.isBusy else { return nil }
            state.isBusy = true
            return .some(state.lastConfirmed)
        }
        defer { state.update { $0.isBusy = false } }
        let started = now()
        let nodes = repository.nodes.takeUnconfirmed()
        let lists = repository.lists.takeUnconfirmed()
        do {
            try repository.nodes.flush()
            try repository.lists.flush()
            if !nodes.isEmpty || !lists.isEmpty { try outlast(since: last, nodes, lists, repository) }
        } catch {
            repository.nodes.giveBack(nodes)
            repository.lists.giveBack(lists)
            throw error
        }
        state.update { $0.lastConfirmed = started }
    }

    private func outlast(
        since last: Timestamp?, _ nodes: [NodeID: EncodedNode], _ lists: [ContentID: BlockList],
        _ repository: Repository
    ) throws {
        var handled: Set<String> = []
        while true {
            let notices = try SweepNotices.load(from: repository.store)?.notices
            repository.heed(notices)
            let unhandled = (notices?.runs ?? []).filter { run in
                guard !handled.contains(run.id) else { return false }
                guard let ended = run.ended, let last else { return true }
                return ended.seconds + SweepNotices.clockDifferenceSeconds > last.seconds
            }
            if unhandled.isEmpty { return }
            for run in unhandled {
                let doomed = try doomed(by: run, repository)
                let hitNodes = nodes.values.filter { doomed.contains($0.id) }
                let hitLists = lists.values.filter { doomed.contains(NodeID(sameBytesAs: $0.contentID)) }
                handled.insert(run.id)
                if hitNodes.isEmpty, hitLists.isEmpty { continue }
                try SweepNotices.waitForEnd(of: run, in: repository.store)
                for node in hitNodes { try repository.nodes.put(node) }
                for list in hitLists { try repository.lists.put(list) }
            }
        }
    }

    private func doomed(by run: SweepNotices.Run, _ repository: Repository) throws -> Set<NodeID> {
        if let known = state.update({ $0.doomed[run.id] }) { return known }
        var ids: Set<NodeID> = []
        for page in 0..<run.pages {
            // Pages go only long after their run has ended.
            guard let object = try repository.store.find(ObjectKeys.doomed(run: run.id, page: page)) else { continue }
            object.bytes.withUnsafeBytes { raw in
                for start in stride(from: 0, to: raw.count - NodeID.byteCount + 1, by: NodeID.byteCount) {
                    ids.insert(NodeID(raw: UnsafeRawBufferPointer(rebasing: raw[start..<start + NodeID.byteCount])))
                }
            }
        }
        state.update { state in
            if state.doomed.count >= 4 { state.doomed = [:] }
            state.doomed[run.id] = ids
        }
        return ids
    }
}
