import Logging
import ObjectDatabase
import ProllyTree
package import Versioning

/// A move of a ref that somebody wants to make.
package struct RefUpdateRequest: Sendable {
    package let ref: RefName
    package let operation: RefUpdate.Operation
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
struct RefUpdateAuthorization {
    let move: RefUpdateRequest
    let gates: [HookRecordID]
    let approvals: [RefUpdateID]
    /// What wants to know of the move.
    fileprivate let hooksAfter: ApplicableHooks?

    fileprivate init(
        _ move: RefUpdateRequest, gates: [HookRecordID] = [], approvals: [RefUpdateID] = [],
        hooksAfter: ApplicableHooks? = nil
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
    /// Throws `.protected`, `.notApproved`, `.notSigned`, `.noVerifier`, `.hooksBroken`, `.hooksUnusable`, `.hooksUntrusted`, `.hooksRefused`.
    func authorize(_ move: RefUpdateRequest) throws -> RefUpdateAuthorization {
        guard RefName.Kind.named.contains(move.ref.kind) else { return RefUpdateAuthorization(move) }
        let rules = try refuseIfProtected(move.ref, move.operation)
        let approvals = try approvals(of: move, rules)
        try refuseUnsigned(move, rules)
        try refuseBrokenHooks(move)
        let (before, after) = try hooks(for: move, isProtected: !rules.isEmpty)
        var gates: [HookRecordID] = []
        if !before.isEmpty {
            guard let hookRunner else { throw RepositoryError.hooksUnusable(reason: "this program cannot run hooks") }
            gates = try hookRunner.run(before, for: move, in: self)
        }
        return RefUpdateAuthorization(move, gates: gates, approvals: approvals, hooksAfter: after)
    }

    /// The rules that cover a ref. Throws `.protected` when one of them forbids the operation; asked early, too, before
    /// anything is uploaded in vain.
    @discardableResult
    func refuseIfProtected(_ ref: RefName, _ operation: RefUpdate.Operation) throws -> [ProtectionRule] {
        let rules = try protectionRules().rules.covering(ref)
        if let rule = rules.first(where: { $0.refuses(operation) }) {
            throw RepositoryError.protected(ref, by: rule, operation)
        }
        return rules
    }

    /// Makes a move that was authorized, by one compare-and-swap, then runs the hooks that want to know. Throws
    /// `RefUpdateFailure.moved` when somebody else was first.
    func perform(_ authorization: RefUpdateAuthorization, from current: RefSnapshot?) throws -> RefSnapshot {
        let snapshot = try updateRef(authorization, from: current)
        announce(authorization)
        return snapshot
    }

    /// Runs the hooks that `source` would meet on its way into `branch`; nothing is moved. Throws as `authorize` does.
    /// Answers how many there were.
    package func tryHooks(
        on branch: RefName, _ source: CommitID, as operation: RefUpdate.Operation, who: String,
        with runner: some HookRunner
    ) throws -> Int {
        let move = RefUpdateRequest(
            ref: branch, operation: operation, old: try database.liveRef(branch).commit, new: source, who: who,
            why: "a trial of the hooks", source: source)
        let hooks = try hooks(for: move, isProtected: true).before
        if !hooks.isEmpty { _ = try runner.run(hooks, for: move, in: self) }
        return hooks.hooks.count
    }

    /// Runs the hooks after a move. They cannot undo it: what fails is told and no more.
    private func announce(_ authorization: RefUpdateAuthorization) {
        guard let hooks = authorization.hooksAfter, !hooks.isEmpty, let hookRunner else { return }
        do {
            _ = try hookRunner.run(hooks, for: authorization.move, in: self)
        } catch {
            hookRunner.tellFailure(error, of: hooks.event)
        }
    }
}
