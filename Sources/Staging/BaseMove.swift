import GRDB
import ProllyTree
package import Versioning

/// What a workspace is to be moved to.
package enum BaseTarget: Sendable {
    /// The commit that was published from the workspace's seal.
    case publishedSeal(CommitID)
    /// A commit that holds nothing of what is staged.
    case head(CommitID)

    package var commit: CommitID {
        switch self {
        case .publishedSeal(let id), .head(let id): id
        }
    }
}

/// Finds what a move of a workspace's base needs, and protects what it is to stand on: commits know how, the layers of the mount
/// do not.
package struct BasePlanner: Sendable {
    /// Keeps a commit that is about to be published, or to be the base, from the garbage collector. The store knows of it when
    /// this returns.
    package let protect: @Sendable (CommitID) throws -> Void
    /// The move, whose target is protected when this returns.
    package let plan: @Sendable (BaseTarget) throws -> BaseMove

    package init(
        protect: @escaping @Sendable (CommitID) throws -> Void,
        plan: @escaping @Sendable (BaseTarget) throws -> BaseMove
    ) {
        self.protect = protect
        self.plan = plan
    }
}

/// What lies below the staged changes: the base so far, and the commit that is to be the base.
package struct BaseMove: Sendable {
    package let commit: CommitID
    /// The entry of a path in the base so far.
    package let oldEntry: @Sendable (TreePath) throws -> LocatedEntry?
    /// The entry of a path in the new base.
    package let newEntry: @Sendable (TreePath) throws -> LocatedEntry?
    /// The entry of a path in the commit that others made, onto which ours was merged.
    package let othersEntry: @Sendable (TreePath) throws -> LocatedEntry?
    /// Paths that others put or changed between the base so far and the new one.
    package let others: [TreePath]
    /// What was known of the bases before is not believed any more, since a sweep of the garbage collector.
    package let droppedCaches: Bool

    package init(
        to commit: CommitID, oldEntry: @escaping @Sendable (TreePath) throws -> LocatedEntry?,
        newEntry: @escaping @Sendable (TreePath) throws -> LocatedEntry?,
        othersEntry: @escaping @Sendable (TreePath) throws -> LocatedEntry?, others: [TreePath] = [],
        droppedCaches: Bool = false
    ) {
        self.commit = commit
        self.oldEntry = oldEntry
        self.newEntry = newEntry
        self.othersEntry = othersEntry
        self.others = others
        self.droppedCaches = droppedCaches
    }
}
