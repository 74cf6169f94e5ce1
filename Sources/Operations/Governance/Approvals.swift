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
}

package enum ApprovalWord: Sendable {
    case approve, withdraw
}

extension Repository {
    /// `main/<commit>`, and `main/revert-<commit>` for taking it back.
    private func approvalRef(_ branch: RefName, _ commit: CommitID, _ step: ApprovedStep) throws -> RefName {
        try RefName(.approvals, "\(branch.name)/\(step == .revert ? "revert-" : "")\(commit.hex)")
    }

    /// Notes that `who` approves (or withdraws the approval) that `commit` be merged into `branch`.
    package func approve(
        _ commit: CommitID, for step: ApprovedStep, of branch: RefName, _ word: ApprovalWord = .approve, who: String,
        why: String
    ) throws -> [Approval] {
        let ref = try approvalRef(branch, commit, step)
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
        try database.readRef(approvalRef(branch, commit, step)).map(approvals(in:)) ?? []
    }

    /// Each person's newest word, where it is a yes, oldest first.
    private func approvals(in snapshot: RefSnapshot) throws -> [Approval] {
        let author = try snapshot.commit.map { personKey(try database.commit($0).author) }
        var heard: Set<String> = []
        var approvals: [Approval] = []
        try database.forEachRefUpdate(of: snapshot) { id, refUpdate in
            let person = personKey(refUpdate.who)
            if heard.insert(person).inserted, refUpdate.operation != .withdraw {
                approvals.append(
                    Approval(
                        refUpdateID: id, who: refUpdate.who, when: refUpdate.when, why: refUpdate.why,
                        isOwn: person == author))
            }
            return true
        }
        return approvals.reversed()
    }

    /// The approvals of a move that needs `wanted`. Nobody approves a commit of their own. Throws `.notApproved`.
    func approvals(of move: RefUpdateRequest, wanted: Int) throws -> [RefUpdateID] {
        guard wanted > 0, [.merge, .fastForward, .revert].contains(move.operation), let source = move.source else {
            return []
        }
        let step: ApprovedStep = move.operation == .revert ? .revert : .merge
        let given = try approvals(of: source, for: step, of: move.ref)
            .filter { !$0.isOwn }
        guard given.count >= wanted else {
            throw RepositoryError.notApproved(
                move.ref, source: source, by: given.map(\.who), wanted: wanted, for: step)
        }
        return given.map(\.refUpdateID)
    }
}

/// What tells people apart: the address in `Name <address>`, in lower case, else the whole text.
private func personKey(_ who: String) -> String {
    guard let open = who.lastIndex(of: "<"), let close = who.lastIndex(of: ">"), open < close else {
        return who.lowercased()
    }
    return who[who.index(after: open)..<close].lowercased()
}
