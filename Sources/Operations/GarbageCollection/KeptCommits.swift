import BlockingIO
import ObjectDatabase
import ProllyTree
import Versioning

/// Which commits stay, by the rules (docs/reference/SEMANTICS.md, G2).
///
/// - A ref without a rule (also every tag) keeps every commit that it ever showed, and their ancestors up to and
///   including the first that a branch with a rule has shown.
/// - A branch with a rule keeps its head, what it showed in the last `days` or the last `commits` that it showed,
///   ancestors of those as young or as near, and the commits that kept ones merged.
/// - Approvals keep nothing.
/// - What an unreferenced ref update names stays, where its ref may yet be moved to it (`UnreferencedUpdates`).
/// - Whatever was moved to or away from, or uploaded, within the grace period stays.
struct KeptCommits {
    private(set) var kept: Set<CommitID> = []
    private let history: RepositoryHistory
    private let rules: RetentionRules
    /// The rules of the branches that have shown a commit.
    private var owners: [CommitID: Set<Int>] = [:]
    /// What `keepAll` has gone through, for whichever ref.
    private var walked: Set<CommitID> = []

    /// - Parameters:
    ///   - grace: `nil`: nothing stays for its age alone, and by their number only what no state of its branch has let go:
    ///     so a collector could have taken all others.
    ///   - uploadedSince: what was uploaded since then stays: its writer is about to publish it.
    ///   - unreferenced: see `UnreferencedUpdates`.
    init(
        _ history: RepositoryHistory, _ rules: RetentionRules, presentSeconds: Int64, grace: Duration?,
        uploadedSince: Int64 = .max, unreferenced: Set<CommitID> = []
    ) throws {
        self.history = history
        self.rules = rules
        // An approval is a word about a commit, and keeps none.
        let refs = history.refs.filter { $0.name.kind != .approvals }
        let chains = try refs.map { (ref: $0, steps: try history.chain(of: $0)) }
        for (ref, steps) in chains {
            let indices = rules.rules(for: ref.name).compactMap { rules.rules.firstIndex(of: $0) }
            if indices.isEmpty { continue }
            for commit in steps.flatMap({ [$0.refUpdate.old, $0.refUpdate.new] }).compactMap({ $0 }) {
                owners[commit, default: []].formUnion(indices)
            }
        }
        let graceBegan = grace.map { presentSeconds - $0.wholeSeconds } ?? .max
        for (ref, steps) in chains {
            let own = rules.rules(for: ref.name)
            if own.isEmpty { keepAll(steps) }
            if let head = ref.commit { keep(head) }
            for rule in own { keep(ref, steps, rule, presentSeconds) }
            if let count = own.compactMap(\.commits).max() {
                kept.formUnion(grace == nil ? neverLetGo(steps, count) : newest(steps[...], count))
            }
            for step in steps where step.seconds >= graceBegan { keep(step.refUpdate) }
        }
        for (id, commit) in history.commits where commit.storedSeconds >= min(graceBegan, uploadedSince) {
            keep(id)
        }
        for id in unreferenced where history.commits[id] != nil { keep(id) }
    }

    /// Why a commit does not stay.
    func reason(_ id: CommitID) -> String {
        guard let indices = owners[id] else { return "no branch or tag ever showed it" }
        return indices.sorted().map { rules.rules[$0].words }.joined(separator: " and ")
    }

    private mutating func keep(_ id: CommitID) {
        kept.insert(id)
        // Else a kept merge could not be told from what it brought in, nor the branches be merged again.
        for parent in history.commits[id]?.parents.dropFirst() ?? [] { kept.insert(parent) }
    }

    private mutating func keep(_ refUpdate: RefUpdate) {
        for commit in [refUpdate.old, refUpdate.new].compactMap({ $0 }) { keep(commit) }
    }

    private mutating func keepAll(_ steps: [RepositoryHistory.Step]) {
        var waiting = steps.flatMap { [$0.refUpdate.old, $0.refUpdate.new] }.compactMap { $0 }
        while let id = waiting.popLast() {
            guard walked.insert(id).inserted else { continue }
            keep(id)
            if owners[id] == nil { waiting += history.commits[id]?.parents ?? [] }
        }
    }

    private mutating func keep(
        _ ref: RefSnapshot, _ steps: [RepositoryHistory.Step], _ rule: RetentionRule, _ presentSeconds: Int64
    ) {
        if let days = rule.days {
            let began = presentSeconds - Int64(days) * 86_400
            for step in steps where step.seconds >= began { keep(step.refUpdate) }
            var waiting = steps.filter { $0.seconds >= began }.compactMap(\.refUpdate.new)
            if let head = ref.commit { waiting.append(head) }
            var seen: Set<CommitID> = []
            while let id = waiting.popLast() {
                guard seen.insert(id).inserted, let commit = history.commits[id], commit.seconds >= began else {
                    continue
                }
                keep(id)
                waiting += commit.parents
            }
        }
    }

    /// What a rule of `count` commits keeps of a branch with these ref updates, newest first.
    private func newest(_ steps: ArraySlice<RepositoryHistory.Step>, _ count: Int) -> Set<CommitID> {
        var shown: Set<CommitID> = []
        for step in steps {
            if shown.count == count { break }
            if let id = step.refUpdate.new { shown.insert(id) }
        }
        var next = steps.first?.refUpdate.new
        for _ in 0..<count {
            guard let id = next else { break }
            shown.insert(id)
            next = history.commits[id]?.parents.first
        }
        // Else a kept merge could not be told from what it brought in, nor the branches be merged again.
        for id in shown { shown.formUnion(history.commits[id]?.parents.dropFirst() ?? []) }
        return shown
    }

    /// What such a rule has kept in each state of the branch since it was last shown, or first reached. A branch that is reset
    /// comes near to commits again that were let go before, and whose data may have gone then.
    private func neverLetGo(_ steps: [RepositoryHistory.Step], _ count: Int) -> Set<CommitID> {
        var reached: Set<CommitID> = []
        var letGo: Set<CommitID> = []
        var before: Set<CommitID> = []
        for index in steps.indices.reversed() {
            var found: Set<CommitID> = []
            var waiting = [steps[index].refUpdate.new].compactMap { $0 }
            // A ref moves only to what is there.
            if let shown = waiting.first { letGo.remove(shown) }
            while let id = waiting.popLast() {
                guard reached.insert(id).inserted else { continue }
                found.insert(id)
                waiting += history.commits[id]?.parents ?? []
            }
            let kept = newest(steps[index...], count)
            letGo.formUnion(before.union(found).subtracting(kept))
            before = kept
        }
        return reached.subtracting(letGo)
    }
}
