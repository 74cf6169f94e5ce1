package import BlockingIO
import Glibc
package import Versioning

/// A path that an import passed over, and why.
package struct LeftOut: Sendable {
    package enum Kind: Sendable {
        /// Trees cannot hold it.
        case unsupported
        /// It could not be read whole: what there is of it is not known.
        case unreadable
        /// It is the repository that is imported into.
        case repository
        /// It lies on another filesystem.
        case otherFileSystem
        case excluded
    }

    /// Below the source.
    package let path: TreePath
    package let kind: Kind
    package let reason: String

    package init(_ path: TreePath, _ kind: Kind, _ reason: String) {
        self.path = path
        self.kind = kind
        self.reason = reason
    }

    /// What an error tells about this path; `nil` when it is none of the path but of the host or the store, and must
    /// stop everything.
    package init?(_ path: TreePath, _ error: any Error) {
        switch error {
        case ObjectDatabaseError.localIO(_, let number):
            guard ![EMFILE, ENFILE, ENOMEM].contains(number) else { return nil }
            self.init(path, .unreadable, String(cString: strerror(number)))
        case ObjectDatabaseError.sourceUnusable(_, let reason): self.init(path, .unreadable, reason)
        default: return nil
        }
    }
}

/// What a scan passes over.
package struct ScanRules: Sendable {
    package var exclusions: PathExclusions
    /// Directories on other filesystems are not entered.
    package var staysOnFileSystem: Bool
    /// The directory of the repository that is imported into.
    package var repository: FileIdentity?

    package init(
        exclusions: PathExclusions = PathExclusions(), staysOnFileSystem: Bool = false, repository: FileIdentity? = nil
    ) {
        self.exclusions = exclusions
        self.staysOnFileSystem = staysOnFileSystem
        self.repository = repository
    }
}
