import ObjectDatabase
package import Versioning

extension Repository {
    /// Points a new branch or tag at a commit, in one conditional write however large the repository is.
    /// Continues the chain of a ref that was deleted. Throws `.refExists`.
    ///
    /// - Parameter main: where `main` points, when that has just been read.
    package func createRef(
        _ name: RefName, at commit: CommitID, who: String, why: String, main: CommitID? = nil
    ) throws {
        let current = try database.readRef(name)
        guard current?.commit == nil else { throw RepositoryError.refExists(name) }
        do {
            var move = RefUpdateRequest(ref: name, operation: .create, old: nil, new: commit, who: who, why: why)
            move.main = main
            _ = try perform(authorize(move), from: current)
        } catch RefUpdateFailure.moved {
            throw RepositoryError.refExists(name)
        }
    }

    /// Deletes a branch or tag: writes a tombstone that keeps its ref updates. Throws `.refNotFound`, and `.contended`
    /// when the ref was moved meanwhile (then nothing is deleted, so that no commit is lost unseen).
    package func deleteRef(_ name: RefName, who: String, why: String) throws -> CommitID {
        let (snapshot, commit) = try database.liveRef(name)
        try updateOnce(
            RefUpdateRequest(ref: name, operation: .delete, old: commit, new: nil, who: who, why: why), from: snapshot)
        return commit
    }

    /// Points a branch at another commit, wherever it is in history; recorded like every move, so it can be undone by
    /// another reset. Answers where the branch was. Throws `.refNotFound`, `.contended`.
    package func reset(_ branch: RefName, to commit: CommitID, who: String, why: String) throws -> CommitID {
        let (snapshot, old) = try database.liveRef(branch)
        try updateOnce(
            RefUpdateRequest(ref: branch, operation: .reset, old: old, new: commit, who: who, why: why), from: snapshot)
        return old
    }

    /// Makes a move that is not to be tried again on another state. Throws `.contended` when somebody else was first.
    func updateOnce(_ move: RefUpdateRequest, from snapshot: RefSnapshot) throws {
        do {
            _ = try perform(authorize(move), from: snapshot)
        } catch RefUpdateFailure.moved(let current) {
            throw RepositoryError.contended(move.ref, attempts: 1, winner: current?.newestUpdate.who ?? "someone")
        }
    }
}
