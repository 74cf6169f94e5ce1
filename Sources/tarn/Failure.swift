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
    /// It was done, but for some files that could not be read.
    case incomplete = 7
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
    writeFailure(message, hint: hint, code)
    StandardStreams.end(code.rawValue)
}

/// Prints what failed and what to do.
func writeFailure(_ error: any Error) {
    writeFailure(words(of: error), hint: describe(error)?.hint, describe(error)?.kind.exitCode ?? .failed)
}

/// Whether this process was asked for JSON: then failures are JSON on standard output, too.
let wantsJSON = CommandLine.arguments.prefix { $0 != "--" }.contains("--json")

private struct FailureJSON: Encodable {
    struct Content: Encodable {
        let message: String
        let hint: String?
        let exitCode: Int32
    }
    let error: Content
}

private func writeFailure(_ message: TerminalText, hint: TerminalText?, _ code: Code) {
    // What was printed is one value already.
    if wantsJSON, !StandardStreams.hasWritten {
        let content = FailureJSON.Content(message: message.shown, hint: hint?.shown, exitCode: code.rawValue)
        // A failure to write it is kept, and told at the end.
        try? StandardStreams.write(json: FailureJSON(error: content))
    }
    // A message that is a list ends with a line break, and one that asks or tells has its own end.
    let end = message.shown.last
    let link: TerminalText = end == "\n" ? "" : end == "?" || end == "." ? " " : ". "
    writeError("tarn: \(message)\(hint.map { link + $0 } ?? "")")
}
