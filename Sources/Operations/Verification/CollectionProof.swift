import BlockingIO
import FoundationEssentials
import ObjectDatabase
import ObjectStorage
import ProllyTree
import Synchronization
import Versioning

/// Whether the garbage collector could have taken the data of a commit.
///
/// Anybody who may write to the bucket can put a record below `collected/`. It counts only if the retention rules that
/// it names were ever set, were the ones in force at its time, and did not keep the commit then.
final class CollectionProof: Sendable {
    private struct Key: Hashable {
        let rules: RefUpdateID?
        let seconds: Int64
    }

    private let repository: Repository
    private let history: Mutex<RepositoryHistory?>
    private let known = Mutex<[Key: Set<CommitID>]>([:])

    /// A record's own time is the collector's; it is believed up to so long after the store's.
    private static let clockDifference = Duration.hours(1)

    /// - Parameter history: `nil`: it is loaded when the first record is met.
    init(_ repository: Repository, _ history: RepositoryHistory? = nil) {
        self.repository = repository
        self.history = Mutex(history?.byOwnTimes())
    }

    private func loadedHistory() throws -> RepositoryHistory {
        if let known = history.withLock({ $0 }) { return known }
        let loaded = try repository.loadHistory().byOwnTimes()
        history.withLock { $0 = loaded }
        return loaded
    }

    /// Why the record of this tree is no reason for the commit's data to be missing; `nil` when it is one. Asks only when
    /// there is a record that lists the commit.
    func fault(of id: CommitID, tree: NodeID) throws -> String? {
        let key = ObjectKeys.collected(tree)
        guard let record = try CollectedTree.load(tree, from: repository.database.store), record.commits.contains(id)
        else { return "\(key) does not list commit \(id)" }
        let stored = try repository.database.store.findInfo(key)?.modifiedSeconds ?? record.when.seconds
        let seconds = min(record.when.seconds, stored + Self.clockDifference.wholeSeconds)
        let history = try loadedHistory()
        guard let rules = try rules(named: record.rules, at: seconds, history) else {
            return "it names retention rules that were not in force at its time"
        }
        let kept = try kept(by: rules, Key(rules: record.rules, seconds: seconds), history)
        return kept.contains(id) ? "the retention rules of its time kept commit \(id)" : nil
    }

    /// The rules that a change of them set, if no later change came before `seconds`; `nil` when it is none, or one did.
    private func rules(
        named wanted: RefUpdateID?, at seconds: Int64, _ history: RepositoryHistory
    ) throws -> RetentionRules? {
        let name = try Repository.rulesRef(RetentionRules.self)
        guard let ref = history.refs.first(where: { $0.name == name }) else {
            return wanted == nil ? RetentionRules() : nil
        }
        var later: RefUpdate?
        var next: RefUpdateID? = ref.state.refUpdate
        while next != wanted {
            guard let id = next, let step = history.refUpdates[id] else { return nil }
            later = step.refUpdate
            next = step.refUpdate.previous
        }
        if let later, later.when.seconds + Self.clockDifference.wholeSeconds < seconds { return nil }
        guard let wanted else { return RetentionRules() }
        return try repository.rules(RetentionRules.self, in: history.refUpdates[wanted]?.refUpdate.new)
    }

    private func kept(
        by rules: RetentionRules, _ key: Key, _ history: RepositoryHistory
    ) throws -> Set<CommitID> {
        if let found = known.withLock({ $0[key] }) { return found }
        let kept = try KeptCommits(history, rules, presentSeconds: key.seconds, grace: nil).kept
        known.withLock { $0[key] = kept }
        return kept
    }
}
