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
    ///   - grace: `nil`: nothing stays for its age alone.
    ///   - unreferenced: see `UnreferencedUpdates`.
    init(
        _ history: RepositoryHistory, _ rules: RetentionRules, presentSeconds: Int64, grace: Duration?,
        unreferenced: Set<CommitID> = []
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
            for step in steps where step.seconds >= graceBegan { keep(step.refUpdate) }
        }
        for (id, commit) in history.commits where commit.storedSeconds >= graceBegan { keep(id) }
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
        if let count = rule.commits {
            var shown: Set<CommitID> = []
            for step in steps {
                guard shown.count < count, let id = step.refUpdate.new else { continue }
                if shown.insert(id).inserted { keep(id) }
            }
            var next = ref.commit
            for _ in 0..<count {
                guard let id = next else { break }
                keep(id)
                next = history.commits[id]?.parents.first
            }
        }
    }
}
