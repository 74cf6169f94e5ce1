import BlockingIO
package import ObjectStorage
package import ProllyTree
package import Versioning

/// What is wrong with the objects of a repository, or with what was asked of them. Cases carry facts; the command line
/// makes the sentences.
package enum ObjectDatabaseError: Error, Sendable {
    case notARepository(location: String)
    /// Written by a Tarn that knows more than this one.
    case newerFormat(object: String, found: Int, supported: Int)
    /// The store has no compare-and-swap, so commits could be lost.
    case unsafeStore(location: String, reason: String)
    case refNotFound(RefName)
    case revisionNotFound(String)
    /// A ref had no commit yet at that time.
    case notThereYet(RefName, at: String, since: Timestamp)
    case ambiguousRevision(String, candidates: [String])
    case badRevision(RevisionFault)
    case noParent(CommitID, number: Int)
    case pathNotFound(path: TreePath, revision: String)
    /// The object's bytes are not what its name or its reader promises. Never served.
    case corrupt(object: String, reason: String)
    /// An object that a commit needs is gone.
    case missingObject(object: String, neededBy: String)
    case localIO(path: String, errno: Int32)
    case sourceUnusable(path: String, reason: String)
    case store(StoreError)
    case interrupted
    /// The data of a commit was removed by the garbage collector; its record and the ref updates are still there.
    case collected(tree: NodeID, record: CollectedTree)
    /// A mirror takes commits from its source only.
    case isMirror(location: String, source: String)
    /// What was uploaded is not surely there any more: the lease on it was not renewed in time.
    case leaseLost(after: Duration)
}

/// `errno` of the call that just failed on `path`.
package func localFailure(_ path: String) -> ObjectDatabaseError {
    .localIO(path: path, errno: lastErrno())
}

/// A file has more blocks than a block list holds (`BlockList.maximumBlocks`).
package struct FileTooLong: Error, Hashable, Sendable {
    package init() {}
}
