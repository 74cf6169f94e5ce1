import ErrorMessages
import Glibc
import ObjectDatabase
import ObjectStorage
import Operations
import ProllyTree
import Staging
import VFS
import Versioning

/// Exit codes, as `tarn --help` documents them.
enum Code: Int32 {
    case done = 0
    case failed = 1
    case usage = 2
    case conflict = 3
    case refused = 4
    case notFound = 5
    /// There was nothing to commit, and `--fail-if-empty` was given.
    case empty = 6
}

/// A failure of a command itself, in words.
struct CommandFailure: Error {
    let message: TerminalText
    var hint: TerminalText?
    var kind = ErrorMessage.Kind.failed
}

extension ErrorMessage.Kind {
    var exitCode: Code {
        switch self {
        case .failed: .failed
        case .usage: .usage
        case .conflict: .conflict
        case .refused: .refused
        case .notFound: .notFound
        }
    }
}

func writeError(_ text: TerminalText) {
    StandardStreams.writeError(text + "\n")
}

/// Prints what failed and what to do, then ends the process.
func fail(_ message: TerminalText, hint: TerminalText? = nil, code: Code) -> Never {
    writeFailure(message, hint: hint)
    StandardStreams.end(code.rawValue)
}

/// Prints what failed and what to do.
func writeFailure(_ error: any Error) { writeFailure(words(of: error), hint: describe(error)?.hint) }

private func writeFailure(_ message: TerminalText, hint: TerminalText?) {
    // A message that is a list ends with a line break, and one that asks or tells has its own end.
    let end = message.shown.last
    let link: TerminalText = end == "\n" ? "" : end == "?" || end == "." ? " " : ". "
    writeError("tarn: \(message)\(hint.map { link + $0 } ?? "")")
}
