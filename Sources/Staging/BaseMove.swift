import GRDB
import ProllyTree
package import Versioning

/// What a workspace is to be moved to.
package enum BaseTarget: Sendable {
    /// The commit that was published from the workspace's seal.
    case publishedSeal(CommitID)
    /// A commit that holds nothing of what is staged.
    case head(CommitID)
}

/// What lies below the staged changes: the base so far, and the commit that is to be the base.
package struct BaseMove: Sendable {
    package let commit: CommitID
    /// The entry of a path in the base so far.
    package let oldEntry: @Sendable (TreePath) throws -> LocatedEntry?
    /// The entry of a path in the new base.
    package let newEntry: @Sendable (TreePath) throws -> LocatedEntry?
    /// Paths that others put or changed between the base so far and the new one.
    package let others: [TreePath]
    /// What was known of the bases before is not believed any more, since a sweep of the garbage collector.
    package let droppedCaches: Bool

    package init(
        to commit: CommitID, oldEntry: @escaping @Sendable (TreePath) throws -> LocatedEntry?,
        newEntry: @escaping @Sendable (TreePath) throws -> LocatedEntry?, others: [TreePath] = [],
        droppedCaches: Bool = false
    ) {
        self.commit = commit
        self.oldEntry = oldEntry
        self.newEntry = newEntry
        self.others = others
        self.droppedCaches = droppedCaches
    }
}
