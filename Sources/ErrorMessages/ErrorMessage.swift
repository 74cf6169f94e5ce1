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
    case let fault as PatternFault:
        ErrorMessage(message: "'\(printableName(fault.pattern))' cannot be a pattern: \(fault.reason)", kind: .usage)
    case let fault as RevisionFault: message(.badRevision(fault))
    case let fault as DecodingFault: ErrorMessage(message: "corrupt data: \(fault.reason)")
    case let fault as RecordFault: message(fault)
    case let error as Errno: ErrorMessage(message: "\(error.text)")
    case let failure as WebhookFailure: ErrorMessage(message: "\(failure.reason)")
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

private func message(_ fault: RecordFault) -> ErrorMessage {
    switch fault {
    case .unreadable(let reason): ErrorMessage(message: "corrupt data: \(reason)")
    case .newerFormat(let format): ErrorMessage(message: "it has format \(format)", hint: "Install a newer tarn")
    }
}

/// One line for a log: what failed, on what. An error of a target above brings its words as its description. Of one that is
/// not ours the kind alone is told, for its description is a value of Swift.
package func logLine(of error: any Error) -> TerminalText {
    if let text = message(of: error)?.text { return text }
    if isOurs(error) { return TerminalText(String(describing: error)) }
    // `DecodingError` is told as "decoding error".
    let kind = String(describing: type(of: error)).flatMap { $0.isUppercase ? " \($0.lowercased())" : "\($0)" }
    return "something unexpected failed:\(String(kind))"
}

/// Whether the error's type is one of this program.
private func isOurs(_ error: any Error) -> Bool {
    let target = String(reflecting: type(of: error)).prefix { $0 != "." }
    return !["Swift", "Foundation", "FoundationEssentials", "_Concurrency", "GRDB", "Yams"].contains(String(target))
}
