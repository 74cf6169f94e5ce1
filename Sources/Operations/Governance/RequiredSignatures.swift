import ObjectDatabase
import ProllyTree
import Versioning

extension Repository {
    /// Commits that one move may bring to a branch whose rule wants signatures: each costs a run of the verifier.
    private static let maximumSignedCommits = 10_000

    /// Throws `.notSigned` when a rule wants signatures, and a commit that the move brings has none by whom it names.
    func refuseUnsigned(_ move: RefUpdateRequest, _ rules: [ProtectionRule]) throws {
        guard let new = move.new, rules.contains(where: \.wantsSignatures) else { return }
        if let commit = try unsigned(from: move.old, to: new, signatureVerifier(for: move.ref)) {
            throw RepositoryError.notSigned(move.ref, commit: commit, by: try database.commit(commit).committer)
        }
    }

    func signatureVerifier(for ref: RefName) throws -> any SignatureVerifier {
        guard let verifier else { throw RepositoryError.noVerifier(ref) }
        return verifier
    }

    /// Whether an approval is signed by the person that it names. Blocks.
    func isSigned(_ approval: RefUpdateID, by who: String, _ verifier: any SignatureVerifier) throws -> Bool {
        try database.signatureState(ObjectKeys.refUpdate(approval), id: approval.hex, who: who, verifier) == .good
    }

    /// The first commit behind `new` and not behind `old` that is not signed by its committer; `nil` when all are. Blocks.
    func unsigned(from old: CommitID?, to new: CommitID, _ verifier: any SignatureVerifier) throws -> CommitID? {
        var queue = [new]
        var seen: Set<CommitID> = [new]
        while let id = queue.popLast() {
            if let old, try database.isAncestor(id, of: old) { continue }
            guard seen.count <= Self.maximumSignedCommits else { return id }
            let commit = try database.commit(id)
            let state = try database.signatureState(
                ObjectKeys.commit(id), id: id.hex, who: commit.committer, verifier)
            guard state == .good else { return id }
            queue += commit.parents.filter { seen.insert($0).inserted }
        }
        return nil
    }
}
