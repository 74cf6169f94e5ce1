import Logging
import ObjectDatabase
import ProllyTree
package import Versioning

/// A move of a ref that somebody wants to make.
package struct RefMove: Sendable {
    package let ref: RefName
    package let operation: Movement.Operation
    /// Where it points; `nil` when it is not there.
    package let old: CommitID?
    /// Where it is to point; `nil` for a deletion.
    package let new: CommitID?
    package let who: String
    package let why: String
    /// What a merge brings in, or a revert takes back.
    package var source: CommitID?
    /// Where `main` points, whose hooks are asked about creating and deleting; `nil`: not known yet.
    var main: CommitID?
}

/// Leave to make one move of a ref: it breaks no protection rule, it has the approvals it needs, and its hooks passed.
struct Admission {
    let move: RefMove
    let gates: [HookRecordID]
    let approvals: [MovementID]
    /// What wants to know of the move.
    fileprivate let hooksAfter: ApplicableHooks?

    fileprivate init(
        _ move: RefMove, gates: [HookRecordID] = [], approvals: [MovementID] = [], hooksAfter: ApplicableHooks? = nil
    ) {
        self.move = move
        self.gates = gates
        self.approvals = approvals
        self.hooksAfter = hooksAfter
    }
}

extension Repository {
    /// Asks for leave to make a move. What it moves to must be in the bucket. Runs the hooks of the move's event, and
    /// blocks for as long as they take.
    ///
    /// Throws `.protected`, `.notApproved`, `.hooksBroken`, `.hooksUnusable`, `.hooksUntrusted`, `.hooksRefused`.
    func admit(_ move: RefMove) throws -> Admission {
        guard RefName.Kind.named.contains(move.ref.kind) else { return Admission(move) }
        let rules = try refuseIfProtected(move.ref, move.operation)
        let approvals = try approvals(of: move, wanted: rules.map(\.approvals).max() ?? 0)
        try refuseBrokenHooks(move)
        let (before, after) = try hooks(for: move)
        var gates: [HookRecordID] = []
        if !before.isEmpty {
            guard let hookRunner else { throw RepositoryError.hooksUnusable(reason: "this program cannot run hooks") }
            gates = try hookRunner.run(before, for: move, in: self)
        }
        return Admission(move, gates: gates, approvals: approvals, hooksAfter: after)
    }

    /// The rules that cover a ref. Throws `.protected` when one of them forbids the operation; asked early, too, before
    /// anything is uploaded in vain.
    @discardableResult
    func refuseIfProtected(_ ref: RefName, _ operation: Movement.Operation) throws -> [ProtectionRule] {
        let rules = try protectionRules().rules.covering(ref)
        if let rule = rules.first(where: { $0.refuses(operation) }) {
            throw RepositoryError.protected(ref, by: rule, operation)
        }
        return rules
    }

    /// Makes a move that was admitted, by one compare-and-swap, then runs the hooks that want to know. Throws
    /// `RefMoveFailure.moved` when somebody else was first.
    func carryOut(_ admission: Admission, from current: RefSnapshot?) throws -> RefSnapshot {
        let snapshot = try moveRef(admission, from: current)
        announce(admission)
        return snapshot
    }

    /// Runs the hooks that `source` would meet on its way into `branch`; nothing is moved. Throws as `admit` does.
    package func tryHooks(
        on branch: RefName, _ source: CommitID, as operation: Movement.Operation, who: String,
        with runner: some HookRunner
    ) throws {
        let move = RefMove(
            ref: branch, operation: operation, old: try database.liveRef(branch).commit, new: source, who: who,
            why: "a trial of the hooks", source: source)
        let hooks = try hooks(for: move).before
        if !hooks.isEmpty { _ = try runner.run(hooks, for: move, in: self) }
    }

    /// Runs the hooks after a move. They cannot undo it: what fails is told and no more.
    private func announce(_ admission: Admission) {
        guard let hooks = admission.hooksAfter, !hooks.isEmpty, let hookRunner else { return }
        do {
            _ = try hookRunner.run(hooks, for: admission.move, in: self)
        } catch {
            database.logger.warning("a hook after the \(admission.move.operation.rawValue) failed: \(error)")
        }
    }
}
