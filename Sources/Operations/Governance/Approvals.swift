import ObjectDatabase
import ProllyTree
package import Versioning

/// One person's word that a commit may be merged into a branch (or, for a revert, taken back from it).
package struct Approval: Sendable {
    package let refUpdateID: RefUpdateID
    package let who: String
    package let when: Timestamp
    package let why: String
    /// By the author of the commit: it does not count.
    package let isOwn: Bool
}

/// What is approved of a commit.
package enum ApprovedStep: Sendable {
    /// That it be merged into the branch.
    case merge
    /// That it be taken back from it.
    case revert
    /// That the branch be made equal to it.
    case restore
}

extension RefUpdateRequest {
    /// What must be approved of its source; `nil` when nothing is. To create a branch is to merge into nothing.
    var step: ApprovedStep? {
        switch operation {
        case .create, .merge, .fastForward: .merge
        case .revert: .revert
        case .restore: .restore
        case .commit, .import, .cherryPick, .reset, .delete, .protect, .retain, .approve, .withdraw: nil
        }
    }
}

package enum ApprovalWord: Sendable {
    case approve, withdraw
}

extension Repository {
    /// `main/<commit>`, and `main/revert-<commit>` for taking it back; `tags/v1/<commit>` for a tag.
    static func approvalRef(_ ref: RefName, _ commit: CommitID, _ step: ApprovedStep) throws -> RefName {
        let prefix =
            switch step {
            case .merge: ""
            case .revert: "revert-"
            case .restore: "restore-"
            }
        return try RefName(.approvals, "\(ref.kind == .tag ? "tags/" : "")\(ref.name)/\(prefix)\(commit.hex)")
    }

    /// Notes that `who` approves (or withdraws the approval) that `commit` be merged into `branch`.
    package func approve(
        _ commit: CommitID, for step: ApprovedStep, of branch: RefName, _ word: ApprovalWord = .approve, who: String,
        why: String
    ) throws -> [Approval] {
        let ref = try Self.approvalRef(branch, commit, step)
        return try updating(ref) {
            let current = try database.readRef(ref)
            if word == .withdraw, current == nil { return [] }
            let move = RefUpdateRequest(
                ref: ref, operation: word == .withdraw ? .withdraw : .approve, old: current?.commit,
                new: commit, who: who, why: why)
            return try approvals(in: perform(authorize(move), from: current))
        }
    }

    package func approvals(of commit: CommitID, for step: ApprovedStep, of branch: RefName) throws -> [Approval] {
        try database.readRef(Self.approvalRef(branch, commit, step)).map(approvals(in:)) ?? []
    }

    /// The addresses of those whose approval does not count: who made the commit, and, when it is taken back or restored, who does
    /// that. `nil` when one of them has none, so that nobody can be told apart from them.
    func makers(of id: CommitID, _ step: ApprovedStep, performedBy who: String? = nil) throws -> Set<String>? {
        let commit = try database.commit(id)
        let performer = step == .merge ? nil : who
        let makers = ([commit.author, commit.committer] + [performer].compactMap { $0 }).map {
            Author(parsing: $0)?.address
        }
        return makers.contains(nil) ? nil : Set(makers.compactMap { $0 })
    }

    /// Each person's newest word, where it is a yes, oldest first.
    private func approvals(in snapshot: RefSnapshot) throws -> [Approval] {
        guard let commit = snapshot.commit else { return [] }
        let own = try makers(of: commit, .merge)
        var heard: Set<String> = []
        var approvals: [Approval] = []
        try database.forEachRefUpdate(of: snapshot) { id, refUpdate in
            // Who has no address is nobody.
            guard let person = Author(parsing: refUpdate.who) else { return true }
            if heard.insert(person.address).inserted, refUpdate.operation != .withdraw, refUpdate.new == commit {
                approvals.append(
                    Approval(
                        refUpdateID: id, who: refUpdate.who, when: refUpdate.when, why: refUpdate.why,
                        isOwn: own?.contains(person.address) ?? true))
            }
            return true
        }
        return approvals.reversed()
    }

    /// The approvals of a move that its rules want. Nobody approves a commit of their own. Throws `.notApproved`.
    func approvals(of move: RefUpdateRequest, _ rules: [ProtectionRule]) throws -> [RefUpdateID] {
        let wanted = rules.map(\.approvals).max() ?? 0
        guard wanted > 0, let step = move.step, let source = move.operation == .create ? move.new : move.source else {
            return []
        }
        let makers = try makers(of: source, step, performedBy: move.who)
        var given = try approvals(of: source, for: step, of: move.ref).filter { approval in
            Author(parsing: approval.who).map { makers?.contains($0.address) == false } ?? false
        }
        if rules.contains(where: \.wantsSignatures) {
            let verifier = try signatureVerifier(for: move.ref)
            given = try given.filter { try isSigned($0.refUpdateID, by: $0.who, verifier) }
        }
        guard given.count >= wanted else {
            throw RepositoryError.notApproved(
                move.ref, source: source, by: given.map(\.who), wanted: wanted, for: step)
        }
        return given.map(\.refUpdateID)
    }
}
