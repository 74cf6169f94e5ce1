package import Versioning

extension Repository {
    /// Points a new branch or tag at a commit, in one conditional write however large the repository is.
    /// Continues the chain of a ref that was deleted. Throws `.refExists`.
    package func createRef(_ name: RefName, at commit: CommitID, who: String, why: String) throws {
        let current = try readRef(name)
        guard current?.commit == nil else { throw RepositoryError.refExists(name) }
        do {
            let move = RefMove(ref: name, operation: .create, old: nil, new: commit, who: who, why: why)
            _ = try carryOut(admit(move), from: current)
        } catch RefMoveFailure.moved {
            throw RepositoryError.refExists(name)
        }
    }

    /// Deletes a branch or tag: writes a tombstone that keeps its movements. Throws `.refNotFound`, and `.contended`
    /// when the ref was moved meanwhile (then nothing is deleted, so that no commit is lost unseen).
    package func deleteRef(_ name: RefName, who: String, why: String) throws -> CommitID {
        let (snapshot, commit) = try liveRef(name)
        do {
            let move = RefMove(ref: name, operation: .delete, old: commit, new: nil, who: who, why: why)
            _ = try carryOut(admit(move), from: snapshot)
            return commit
        } catch RefMoveFailure.moved(let current) {
            throw RepositoryError.contended(name, attempts: 1, winner: current?.movement.who ?? "someone")
        }
    }

    /// Points a branch at another commit, wherever it is in history; recorded like every move, so it can be undone by
    /// another reset. Answers where the branch was. Throws `.refNotFound`, `.contended`.
    package func reset(_ branch: RefName, to commit: CommitID, who: String, why: String) throws -> CommitID {
        let (snapshot, old) = try liveRef(branch)
        do {
            let move = RefMove(ref: branch, operation: .reset, old: old, new: commit, who: who, why: why)
            _ = try carryOut(admit(move), from: snapshot)
            return old
        } catch RefMoveFailure.moved(let current) {
            throw RepositoryError.contended(branch, attempts: 1, winner: current?.movement.who ?? "someone")
        }
    }
}
