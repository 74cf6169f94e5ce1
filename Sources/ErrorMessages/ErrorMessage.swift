import BlockCache
import BlockingIO
import ObjectDatabase
import ObjectStorage
import ProllyTree
import Staging
package import Versioning

/// What to tell a person about an error.
package struct ErrorMessage: Sendable {
    /// What kind of failure it is: a command makes an exit code of it.
    package enum Kind: Sendable {
        case failed, usage, conflict, refused, notFound
    }

    /// What failed, on what.
    package let text: TerminalText
    /// What to do next.
    package var hint: TerminalText?
    package var kind: Kind

    package init(message text: TerminalText, hint: TerminalText? = nil, kind: Kind = .failed) {
        self.text = text
        self.hint = hint
        self.kind = kind
    }
}

/// The words for an error of the targets below the use cases; `nil` for any other error. The command line and the log of a
/// mount say the same.
package func message(of error: any Error) -> ErrorMessage? {
    switch error {
    case let error as ObjectDatabaseError: message(error)
    case let error as StoreError: message(error)
    case let error as TreeError: message(error)
    case let error as WorkspaceError: message(error)
    case let error as VersioningError: message(error)
    case let error as SystemFailure: message(path: error.path, error.errno)
    case let error as BlockCacheError: message(error)
    case let fault as RefNameFault:
        ErrorMessage(message: "'\(fault.name)' cannot be a branch or tag: \(fault.reason)", kind: .usage)
    case let fault as PathFault:
        ErrorMessage(message: "'\(printableName(fault.path))' cannot be a path: \(fault.reason)", kind: .usage)
    case let fault as DecodingFault: ErrorMessage(message: "corrupt data: \(fault.reason)")
    case is FileTooLong:
        ErrorMessage(
            message: "a file has more than \(BlockList.maximumBlocks) blocks, which is the most that a commit holds",
            hint: "Split it into several files")
    case is NoThreadLeft:
        ErrorMessage(
            message: "the system has no thread left for this process",
            hint: "Raise its limits: ulimit -u, ulimit -v, or the number of tasks of the container")
    case is CancellationError: ErrorMessage(message: "interrupted")
    default: nil
    }
}

/// One line for a log: what failed, on what.
package func logLine(of error: any Error) -> TerminalText {
    message(of: error)?.text ?? "\(error)"
}
