import ObjectDatabase
package import Staging
package import Versioning

/// What a commit needs of whoever holds the workspace: a live mount (through its control socket) or this process
/// itself.
package protocol StagingHolder {
    /// Makes everything written so far part of a seal.
    func seal() throws
    /// The commit is about to be published: from now on the holder's lease protects it, so that it can become the base
    /// whatever happens to the branch meanwhile.
    func protect(_ commit: CommitID) throws
    /// The sealed changes are published: drop them from what is staged. Answers paths that others changed too.
    ///
    /// - Parameter foreign: the paths at which the commit has other content than was sealed; `nil` when that is not
    ///   known.
    func rebase(to commit: CommitID, foreign: Set<TreePath>?) throws -> [TreePath]
    func abandonSeal() throws
}

/// This process holds the workspace itself: no mount is live.
package struct LocalHolder: StagingHolder {
    private let workspace: Workspace
    private let repository: Repository

    package init(workspace: Workspace, repository: Repository) {
        self.workspace = workspace
        self.repository = repository
    }

    package func seal() throws {
        _ = try workspace.seal()
    }

    package func protect(_ commit: CommitID) throws {
        let database = repository.database
        try database.writeLease.add([database.commit(commit).tree], database)
    }

    package func rebase(to commit: CommitID, foreign: Set<TreePath>?) throws -> [TreePath] {
        try repository.rebase(workspace, to: commit)
    }

    package func abandonSeal() throws {
        try workspace.abandonSeal()
    }
}
