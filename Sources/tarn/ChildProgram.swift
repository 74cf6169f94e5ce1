import BlockingIO
import Dispatch
import Foundation
import Glibc
import Versioning

/// Runs a program with this terminal and waits for it; answers its exit code, 128 + number for a signal.
///
/// - Parameter ignoringInterrupts: ^C is the program's alone; SIGTERM is handed on to it.
func runProgram(
    _ words: [String], directory: String? = nil, environment: [String: String] = [:], ignoringInterrupts: Bool = false
) throws -> Int32 {
    var options = ChildProcess.Options()
    options.input = .inherited
    options.directory = directory
    options.keepsDescriptors = true
    let variables = ProcessInfo.processInfo.environment.merging(environment) { _, new in new }
    options.environment = variables.map { "\($0)=\($1)" }
    let child = try start(words, options)
    let forwarding = ignoringInterrupts ? SignalForwarding(to: child.id) : nil
    defer { withExtendedLifetime(forwarding) {} }
    return child.wait().code
}

private func start(_ words: [String], _ options: ChildProcess.Options) throws -> ChildProcess {
    do throws(Errno) {
        return try ChildProcess.start(words[0], words, options)
    } catch {
        throw CommandFailure(
            message: "cannot run '\(words[0])': \(error.text)", hint: error.code == ENOENT ? "Is it installed?" : nil)
    }
}

/// Runs a program that reads `input` and answers its exit code and what it printed. What it complains of is not shown.
func runFilter(_ words: [String], input: [UInt8] = []) throws -> (code: Int32, output: [UInt8]) {
    let file = input.isEmpty ? nil : try temporaryFile(holding: input)
    defer { if let file { close(file) } }
    let ends = try makePipe()
    defer { close(ends.reading) }
    var options = ChildProcess.Options()
    options.input = file.map { .descriptor($0) } ?? .null
    options.output = .descriptor(ends.writing)
    options.error = .null
    let child: ChildProcess
    do {
        defer { close(ends.writing) }
        child = try start(words, options)
    }
    // What cannot be read counts as too much.
    guard let output = (try? readToEnd(ends.reading, limitBytes: 16 << 20)) ?? nil else {
        kill(child.id, SIGKILL)
        _ = child.wait()
        throw CommandFailure(message: "'\(words[0])' printed more than 16 MiB, or cannot be read")
    }
    return (child.wait().code, output)
}

/// A file without a name that holds `bytes`, to be read from its beginning.
private func temporaryFile(holding bytes: [UInt8]) throws -> Int32 {
    // mkstemp(3) makes a new file, for this user only, and follows no link.
    var template = Array("/tmp/tarn-input-XXXXXX".utf8CString)
    let descriptor = mkstemp(&template)
    guard descriptor >= 0 else { throw SystemFailure(path: "/tmp") }
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    unlink(template)
    do throws(Errno) {
        try writeFully(descriptor, bytes)
    } catch {
        close(descriptor)
        throw SystemFailure(path: "/tmp", errno: error.code)
    }
    lseek(descriptor, 0, SEEK_SET)
    return descriptor
}

/// While it lives, signals to this process go to another one. Those that the terminal sends to both go to nobody.
private final class SignalForwarding {
    private let sources: [any DispatchSourceSignal]

    init(to process: pid_t) {
        for number in [SIGINT, SIGQUIT] { signal(number, SIG_IGN) }
        sources = [SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGALRM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { kill(process, number) }
            source.resume()
            return source
        }
    }

    deinit { for source in sources { source.cancel() } }
}
