package import FoundationEssentials
import ProllyTree
package import Versioning

/// What a workspace belongs to: `workspace.json`, written once.
package struct WorkspaceInfo: Hashable, Sendable, Codable {
    package var format = WorkspaceInfo.supportedFormat
    /// The repository's id, and where it was when the workspace was made.
    package var repositoryID: UUID
    package var repositoryLocation: String
    package var branch: String

    package static let supportedFormat = 1

    package init(repositoryID: UUID, repositoryLocation: String, branch: String) {
        self.repositoryID = repositoryID
        self.repositoryLocation = repositoryLocation
        self.branch = branch
    }
}

/// What is sealed: the state of a commit under way.
package struct SealState: Hashable, Sendable {
    /// The number of the last change that is sealed.
    package let change: Int64
    /// The commit that is about to be, or was, published from it; `nil` before it exists.
    package let commit: CommitID?
}
