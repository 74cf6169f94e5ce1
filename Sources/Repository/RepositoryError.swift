package import ObjectStorage
package import ProllyTree
package import Versioning

/// What stops a use case. Cases carry facts; the command line makes the sentences.
package enum RepositoryError: Error, Sendable {
    case notARepository(location: String)
    case alreadyARepository(location: String)
    /// Written by a Tarn that knows more than this one.
    case newerFormat(object: String, found: Int, supported: Int)
    /// The store has no compare-and-swap, so commits could be lost.
    case unsafeStore(location: String, reason: String)
    case refNotFound(RefName)
    case refExists(RefName)
    case revisionNotFound(String)
    /// A ref had no commit yet at that time.
    case notThereYet(RefName, at: String, since: Timestamp)
    case ambiguousRevision(String, candidates: [String])
    case badRevision(RevisionFault)
    case noParent(CommitID, number: Int)
    case pathNotFound(path: TreePath, revision: String)
    case notADirectory(path: TreePath)
    case isADirectory(path: TreePath)
    /// The object's bytes are not what its name or its reader promises. Never served.
    case corrupt(object: String, reason: String)
    /// An object that a commit needs is gone.
    case missingObject(object: String, neededBy: String)
    case conflicts([Conflict], head: CommitID)
    /// Other writers kept moving the ref; `winner` is who moved it last.
    case contended(RefName, attempts: Int, winner: String)
    case nothingToCommit
    case nothingToMerge(source: String, destination: String)
    case noCommonHistory(source: String, destination: String)
    case notFastForward(source: String, destination: String)
    /// A protection rule forbids it.
    case protected(RefName, by: ProtectionRule, Movement.Operation)
    /// A rule wants more people to approve it.
    case notApproved(RefName, source: CommitID, by: [String], wanted: Int, isRevert: Bool)
    /// The hooks file cannot be read, or this program cannot run it.
    case hooksUnusable(reason: String)
    /// What is to be published has a hooks file that nobody understands.
    case hooksBroken(reason: String)
    /// This user has not trusted the hooks file.
    case hooksUntrusted(origin: String, file: ContentID)
    /// Hooks that did not pass, with what they printed.
    case hooksRefused(event: String, [HookRecord])
    case localIO(path: String, errno: Int32)
    case sourceUnusable(path: String, reason: String)
    case store(StoreError)
    case interrupted
    /// The data of a commit was removed by the garbage collector; its record and the movements are still there.
    case collected(tree: NodeID, record: CollectedTree)
    case retentionNotFound(String)
    /// The garbage collector must not run now.
    case collectionRefused(reason: String)
    /// A mirror takes commits from its source only.
    case isMirror(location: String, source: String)
    /// What was uploaded is not surely there any more: the lease on it was not renewed in time.
    case leaseLost(seconds: Int64)
}

/// `errno` of the call that just failed on `path`.
func localFailure(_ path: String) -> RepositoryError {
    .localIO(path: path, errno: lastErrno())
}
