import ObjectDatabase
package import Versioning

/// What stops a use case. Cases carry facts; the command line makes the sentences. What is wrong with stored objects is an
/// `ObjectDatabaseError`.
package enum RepositoryError: Error, Sendable {
    case alreadyARepository(location: String)
    /// Something else lies where a repository is to be made.
    case occupied(location: String)
    case refExists(RefName)
    case notADirectory(path: TreePath)
    case isADirectory(path: TreePath)
    case conflicts([Conflict], head: CommitID, seenFrom: MergeSide)
    /// Other writers kept moving the ref; `winner` is who moved it last.
    case contended(RefName, attempts: Int, winner: String)
    case nothingToCommit
    /// `commit` brought it in.
    case nothingToMerge(source: String, destination: String, commit: CommitID)
    case noCommonHistory(source: String, destination: String)
    case notFastForward(source: String, destination: String)
    /// A protection rule forbids it.
    case protected(RefName, by: ProtectionRule, RefUpdate.Operation)
    /// A rule wants more people to approve it.
    case notApproved(RefName, source: CommitID, by: [String], wanted: Int, for: ApprovedStep)
    /// A rule wants signatures, and this commit has none by whom it names.
    case notSigned(RefName, commit: CommitID, by: String)
    /// A rule wants signatures, and nothing tells whose are good.
    case noVerifier(RefName)
    /// The hooks file cannot be read, or this program cannot run it.
    case hooksUnusable(reason: String)
    /// What is to be published has a hooks file that nobody understands.
    case hooksBroken(reason: String)
    /// This user has not trusted the hooks file with the programs that it runs.
    case hooksUntrusted(origin: String, programs: ContentID)
    /// Hooks that did not pass, with what they printed.
    case hooksRefused(event: String, [HookRecord])
    case retentionNotFound(String)
    /// The garbage collector must not run now.
    case collectionRefused(reason: String)
    /// The garbage collector met an object that it cannot read, so that nothing tells what must stay. Before it deleted anything,
    /// unless `hasDeleted`: then what it deleted was dead.
    case collectionStopped(by: any Error, hasDeleted: Bool)
}
