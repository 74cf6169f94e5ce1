package import Versioning

extension Repository {
    /// Points a new branch or tag at a commit, in one conditional write however large the repository is.
    /// Continues the chain of a ref that was deleted. Throws `.refExists`.
    package func createRef(_ name: RefName, at commit: CommitID, who: String, why: String) throws {
        let current = try readRef(name)
        guard current?.commit == nil else { throw RepositoryError.refExists(name) }
        do {
            _ = try moveRef(name, from: current, to: commit, .create, who: who, why: why)
        } catch RefMoveFailure.moved {
            throw RepositoryError.refExists(name)
        }
    }

    /// Deletes a branch or tag: writes a tombstone that keeps its movements. Throws `.refNotFound`, and `.contended`
    /// when the ref was moved meanwhile (then nothing is deleted, so that no commit is lost unseen).
    package func deleteRef(_ name: RefName, who: String, why: String) throws -> CommitID {
        let (snapshot, commit) = try liveRef(name)
        do {
            _ = try moveRef(name, from: snapshot, to: nil, .delete, who: who, why: why)
            return commit
        } catch RefMoveFailure.moved(let current) {
            throw RepositoryError.contended(name, attempts: 1, winner: current?.movement.who ?? "someone")
        }
    }
}
