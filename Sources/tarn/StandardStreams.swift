import BlockingIO
import FoundationEssentials
import Glibc
import Logging
import ObjectDatabase
import Synchronization
import Versioning

/// The only door to standard output and standard error (scripts/check-files.py holds it). Text goes through it as
/// `TerminalText`, so that nothing foreign is written raw; JSON and CSV are escaped here; only the bytes of a file that was
/// asked for go out as they are.
///
/// Output is gathered and written in parts. The first write that fails is kept, what follows is dropped, and `flush`
/// tells it: a command that could not say everything has not succeeded.
enum StandardStreams {
    private struct Pending {
        var bytes: [UInt8] = []
        var failure: Errno?
        var hasWritten = false
    }

    private static let output = Mutex(Pending())
    private static let partBytes = 64 << 10

    // MARK: Standard output

    static func write(line: TerminalText) throws(OutputFailure) { try write(bytes: Array((line.shown + "\n").utf8)) }

    static func write(json value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        let text = String(decoding: try encoder.encode(value), as: UTF8.self)
        try write(bytes: Array((escapedJSON(text) + "\n").utf8))
    }

    /// One record of RFC 4180.
    static func write(csv cells: [String]) throws(OutputFailure) {
        try write(bytes: Array((cells.map(csvCell).joined(separator: ",") + "\r\n").utf8))
    }

    /// Whether something was printed, or gathered to be.
    static var hasWritten: Bool { output.withLock { $0.hasWritten } }

    /// The bytes of a file.
    static func write(bytes: [UInt8]) throws(OutputFailure) {
        let failure = output.withLock { pending in
            pending.hasWritten = true
            pending.bytes += bytes
            if pending.bytes.count >= partBytes { drain(&pending) }
            return pending.failure
        }
        if let failure { throw OutputFailure(cause: failure) }
    }

    /// Writes what is gathered. Throws when anything since the start could not be written.
    static func flush() throws(OutputFailure) {
        let failure = output.withLock { pending in
            drain(&pending)
            return pending.failure
        }
        if let failure { throw OutputFailure(cause: failure) }
    }

    private static func drain(_ pending: inout Pending) {
        defer { pending.bytes = [] }
        guard pending.failure == nil, !pending.bytes.isEmpty else { return }
        do throws(Errno) {
            try writeFully(STDOUT_FILENO, pending.bytes)
        } catch {
            pending.failure = error
        }
    }

    // MARK: Standard error

    /// What cannot be written here can be told nowhere.
    static func writeError(_ text: TerminalText) {
        try? writeFully(STDERR_FILENO, Array(text.shown.utf8))
    }

    // MARK: Where they lead

    static let outputIsTerminal = isatty(STDOUT_FILENO) == 1
    static let errorIsTerminal = isatty(STDERR_FILENO) == 1

    /// Makes sure that the three descriptors are taken: a file that this process opens must never become its standard
    /// output. One that was closed fails when it is written to.
    static func open() {
        for (descriptor, mode) in [(STDIN_FILENO, O_WRONLY), (STDOUT_FILENO, O_RDONLY), (STDERR_FILENO, O_WRONLY)]
        where fcntl(descriptor, F_GETFD) < 0 {
            // The lowest free number, which is this one.
            _ = Glibc.open("/dev/null", mode)
        }
    }

    /// Leads both streams of output to a file from now on, and the descriptor is closed.
    static func lead(to descriptor: Int32) {
        dup2(descriptor, STDOUT_FILENO)
        dup2(descriptor, STDERR_FILENO)
        close(descriptor)
    }

    /// Ends the process. A closed pipe ends it as it ends other tools: by SIGPIPE, without a word.
    static func end(_ code: Int32) -> Never {
        do throws(OutputFailure) {
            try flush()
            // Some file systems tell only now that there is no room.
            guard close(STDOUT_FILENO) == 0 || lastErrno() == EINTR else { throw OutputFailure(cause: Errno()) }
        } catch {
            if error.cause.code == EPIPE {
                signal(SIGPIPE, SIG_DFL)
                raise(SIGPIPE)
            }
            if code == Code.done.rawValue {
                writeError("tarn: cannot write the output: \(error.cause.text)\n")
                exit(Code.failed.rawValue)
            }
        }
        exit(code)
    }
}

/// Standard output could not be written.
struct OutputFailure: Error {
    let cause: Errno
}

/// JSON may hold any character in a string: those that do something to a terminal are written as `\u` escapes, which mean
/// the same.
func escapedJSON(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: { isUnprintable($0) && $0 != "\n" }) else { return text }
    var result = ""
    for scalar in text.unicodeScalars {
        if isUnprintable(scalar), scalar != "\n" {
            for unit in UTF16.encode(scalar) ?? .init() { result += "\\u" + fourDigits(unit) }
        } else {
            result.unicodeScalars.append(scalar)
        }
    }
    return result
}

private func fourDigits(_ unit: UInt16) -> String {
    let digits = String(unit, radix: 16)
    return String(repeating: "0", count: 4 - digits.count) + digits
}

/// A cell of CSV: line breaks stand within quotes, other characters that are not for printing are escaped.
func csvCell(_ text: String) -> String {
    let lines = text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false)
        .map { line in
            let isBroken = line.last == "\r"
            return printableText(String(isBroken ? line.dropLast() : line)) + (isBroken ? "\r" : "")
        }
    let cell = lines.joined(separator: "\n")
    guard cell.unicodeScalars.contains(where: { [",", "\"", "\r", "\n"].contains($0) }) else { return cell }
    return "\"" + cell.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
}

/// A log whose lines are safe for a terminal, on standard error.
struct StandardErrorLog: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var line: TerminalText = "\(now().rfc3339.prefix(19))Z \(event.level.rawValue) tarn: \(event.message)"
        for (name, value) in (event.metadata ?? [:]).sorted(by: { $0.key < $1.key }) {
            line = "\(line); \(name): \("\(value)")"
        }
        StandardStreams.writeError("\(line)\n")
    }
}
