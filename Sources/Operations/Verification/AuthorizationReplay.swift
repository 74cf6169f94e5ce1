import ObjectDatabase
import ProllyTree
import Versioning

/// Asks of a ref update that was made what `authorize` asked before it: by the rules and the hooks that were in force then, from
/// the chains of refs alone. What was required and is not there is a fault.
///
/// When a rule came into force is told by clocks of hosts, which differ: within `tolerance` of a change, the old rules and the
/// new ones are both taken to be in force, and it is enough that one of them lets the ref update pass.
struct AuthorizationReplay {
    /// In seconds.
    static let tolerance: Int64 = 3600

    private struct State<Value> {
        let value: Value
        /// No earlier than the state before it.
        let since: Int64
    }

    private let repository: Repository
    private let verifier: (any SignatureVerifier)?
    private let rules: [State<ProtectionRules>]
    private let main: [State<CommitID?>]
    private let proof: CollectionProof
    /// Ref updates that cannot be judged: the tree with their hooks was collected, or nobody can tell good signatures.
    private(set) var undecided = 0

    /// Reads the chains of the rules and of `main`. Throws when one cannot be read.
    init(_ repository: Repository, _ verifier: (any SignatureVerifier)?) throws {
        self.repository = repository
        self.verifier = verifier
        proof = CollectionProof(repository)
        rules = try Self.states(of: Repository.rulesRef(ProtectionRules.self), in: repository) {
            try repository.rules(ProtectionRules.self, in: $0)
        }
        main = try Self.states(of: .branch(Repository.defaultBranch), in: repository) { $0 }
    }

    private static func states<Value>(
        of ref: RefName, in repository: Repository, _ value: (CommitID?) throws -> Value
    ) throws -> [State<Value>] {
        var updates: [RefUpdate] = []
        if let snapshot = try repository.database.readRef(ref) {
            try repository.database.forEachRefUpdate(of: snapshot) { _, update in
                updates.append(update)
                return true
            }
        }
        let present = now().seconds
        var states = [State(value: try value(nil), since: .min)]
        for update in updates.reversed() {
            // What is there was set by now, whatever time it gives.
            let since = min(update.when.seconds, present)
            states.append(State(value: try value(update.new), since: max(since, states[states.count - 1].since)))
        }
        return states
    }

    private func inForce<Value>(_ states: [State<Value>], at seconds: Int64) -> [Value] {
        states.indices.filter { index in
            let until = index + 1 < states.count ? states[index + 1].since : .max
            return states[index].since <= seconds + Self.tolerance && until >= seconds - Self.tolerance
        }.map { states[$0].value }
    }

    /// What is wrong with a ref update; `nil` when it was authorized, or cannot be judged.
    ///
    /// - Parameters:
    ///   - seconds: when it was made, no earlier than the one before it.
    ///   - records: the hooks' records that it names, as far as they can be read.
    mutating func fault(
        of update: RefUpdate, on ref: RefName, at seconds: Int64, _ records: [HookRecord]
    ) throws -> String? {
        guard RefName.Kind.named.contains(ref.kind) else { return nil }
        if let fault = try faultOfHistory(update, ref) { return fault }
        let move = RefUpdateRequest(
            ref: ref, operation: update.operation, old: update.old, new: update.new, who: update.who,
            why: update.why, source: try source(of: update))
        var fault: String?
        for rules in inForce(rules, at: seconds) {
            let covering = rules.covering(ref)
            fault = try faultOfRules(covering, update, move, seconds)
            if fault == nil { fault = try faultOfHooks(move, seconds, records, isProtected: !covering.isEmpty) }
            if fault == nil { return nil }
        }
        return fault
    }

    /// What the operation says of the two commits.
    private func faultOfHistory(_ update: RefUpdate, _ ref: RefName) throws -> String? {
        switch update.operation {
        case .create:
            return update.old == nil && update.new != nil ? nil : "it says 'create', and does not begin with nothing"
        case .delete:
            return update.old != nil && update.new == nil ? nil : "it says 'delete', and does not end with nothing"
        case .protect, .retain, .approve, .withdraw:
            return "it says '\(update.operation.rawValue)', which no branch or tag does"
        case .commit, .import, .merge, .fastForward, .revert, .cherryPick, .reset, .restore:
            if ref.kind == .tag { return "it moves a tag" }
        }
        if update.operation == .reset { return nil }
        guard let old = update.old, let new = update.new else {
            return "it says '\(update.operation.rawValue)', and does not lead from a commit to a commit"
        }
        let follows =
            try update.operation == .fastForward
            ? repository.database.isAncestor(old, of: new) : repository.database.commit(new).parents.first == old
        return follows ? nil : "it says '\(update.operation.rawValue)', and drops what the branch showed before it"
    }

    /// What was merged, taken back or restored.
    private func source(of update: RefUpdate) throws -> CommitID? {
        guard let new = update.new else { return nil }
        switch update.operation {
        case .create, .fastForward: return new
        case .merge:
            let commit = try repository.database.commit(new)
            // A merge with two parents says what it brings by the second one, whatever its metadata say.
            if commit.parents.count > 1 { return commit.parents[1] }
            return commit.metadata["squashed-from"].flatMap { CommitID(hex: $0[...]) }
        case .revert: return try repository.database.commit(new).metadata["reverts"].flatMap { CommitID(hex: $0[...]) }
        case .restore:
            return try repository.database.commit(new).metadata["restores"].flatMap { CommitID(hex: $0[...]) }
        default: return nil
        }
    }

    private mutating func faultOfRules(
        _ rules: [ProtectionRule], _ update: RefUpdate, _ move: RefUpdateRequest, _ seconds: Int64
    ) throws -> String? {
        if let rule = rules.first(where: { $0.refuses(update.operation) }) {
            return "the rule '\(rule.pattern)' was in force, which refuses: \(update.operation.rawValue)"
        }
        let wanted = rules.map(\.approvals).max() ?? 0
        if wanted > 0, let step = move.step {
            let isSigned = rules.contains(where: \.wantsSignatures)
            let given =
                try move.source.map { try approvals(update, of: $0, step, on: move.ref, seconds, isSigned) } ?? 0
            if given < wanted {
                return
                    "a rule wanted \(wanted) approvals of what it brings, by others than its author, and it names \(given)"
            }
        }
        if rules.contains(where: \.wantsSignatures), let new = update.new {
            guard let verifier else {
                undecided += 1
                return nil
            }
            if let unsigned = try repository.unsigned(from: update.old, to: new, verifier) {
                return "a rule wanted signatures, and \(ObjectKeys.commit(unsigned)) has none by whom it names"
            }
        }
        return nil
    }

    /// How many different people's approvals it names that stood when it was made.
    private func approvals(
        _ update: RefUpdate, of source: CommitID, _ step: ApprovedStep, on ref: RefName, _ seconds: Int64,
        _ isSigned: Bool
    ) throws -> Int {
        let named = Set(update.approvals ?? [])
        guard !named.isEmpty, let makers = try repository.makers(of: source, step, performedBy: update.who),
            let snapshot = try repository.database.readRef(Repository.approvalRef(ref, source, step))
        else { return 0 }
        var withdrawn: Set<String> = []
        var given: Set<String> = []
        try repository.database.forEachRefUpdate(of: snapshot) { id, approval in
            guard let person = Author(parsing: approval.who)?.address else { return true }
            let wasBefore = approval.when.seconds <= seconds + Self.tolerance
            if approval.operation == .withdraw {
                if approval.when.seconds < seconds - Self.tolerance { withdrawn.insert(person) }
            } else if named.contains(id), wasBefore, approval.operation == .approve, approval.new == source,
                !makers.contains(person), !withdrawn.contains(person), try isGood(id, approval, isSigned)
            {
                given.insert(person)
            }
            return true
        }
        return given.count
    }

    /// Without a verifier signatures are not looked at, which is counted with the commits.
    private func isGood(_ id: RefUpdateID, _ approval: RefUpdate, _ isSigned: Bool) throws -> Bool {
        guard isSigned, let verifier else { return true }
        return try repository.isSigned(id, by: approval.who, verifier)
    }

    /// Each hook that had to pass is named by a record of this very move.
    private mutating func faultOfHooks(
        _ move: RefUpdateRequest, _ seconds: Int64, _ records: [HookRecord], isProtected: Bool
    ) throws -> String? {
        let holders = move.isDecidedByMain ? inForce(main, at: seconds) : [move.old]
        var fault: String?
        for holder in holders {
            let required: ApplicableHooks
            do {
                required = try repository.hooks(for: move, from: holder, isProtected: isProtected).before
            } catch RepositoryError.hooksUnusable(let reason) {
                fault = "nothing but what mends the hooks could pass: \(reason)"
                continue
            } catch {
                guard let missing = try faultOfMissing(holder, error) else {
                    undecided += 1
                    return nil
                }
                fault = missing
                continue
            }
            let missing = required.hooks.first { hook in
                !records.contains {
                    $0.hook == hook.name && $0.event == required.event && $0.file == required.file
                        && $0.commit == move.new ?? move.old && $0.ref == move.ref.qualified && $0.verdict == .passed
                }
            }
            guard let missing else { return nil }
            fault = "the hook '\(missing.name)' had to pass (\(required.origin)), and it names no record of that"
        }
        return fault
    }

    /// Hooks that lay in a tree which gc took cannot be asked for any more. That gc could take it must be so: else it is a fault
    /// that it is gone. Throws an error that is about something else.
    private func faultOfMissing(_ holder: CommitID?, _ error: any Error) throws -> String? {
        guard let holder, ObjectFault.isMissingTree(error) else { throw error }
        let tree = try repository.database.commit(holder).tree
        guard let fault = try proof.fault(of: holder, tree: tree) else { return nil }
        // What is missing or damaged is named itself.
        if ObjectFault.object(of: error) != nil { throw error }
        return "the tree with its hooks is gone: \(fault)"
    }
}
