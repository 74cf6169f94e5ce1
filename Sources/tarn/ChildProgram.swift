import CLinux
import Dispatch
import Foundation
import Glibc

/// Runs a program with this terminal and waits for it; answers its exit code, 128 + number for a signal.
///
/// - Parameter ignoringInterrupts: ^C is the program's alone; SIGTERM is handed on to it.
func runProgram(
    _ words: [String], directory: String? = nil, environment: [String: String] = [:], ignoringInterrupts: Bool = false
) throws -> Int32 {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    if let directory { tarn_spawn_change_directory(&actions, directory) }
    let variables = ProcessInfo.processInfo.environment.merging(environment) { _, new in new }
    let arguments = cStrings(words)
    let settings = cStrings(variables.map { "\($0)=\($1)" })
    defer { for word in arguments + settings { free(word) } }
    var child = pid_t()
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var defaults = sigset_t()
    sigemptyset(&defaults)
    for number in [SIGINT, SIGTERM, SIGPIPE] { sigaddset(&defaults, number) }
    posix_spawnattr_setsigdefault(&attributes, &defaults)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF))
    let failed = posix_spawnp(&child, words[0], &actions, &attributes, arguments, settings)
    guard failed == 0 else {
        throw CommandFailure(message: "cannot run '\(words[0])': \(String(cString: strerror(failed)))")
    }
    let forwarding = ignoringInterrupts ? SignalForwarding(to: child) : nil
    defer { withExtendedLifetime(forwarding) {} }
    var status: Int32 = 0
    while waitpid(child, &status, 0) < 0, errno == EINTR {}
    return status & 0x7f == 0 ? status >> 8 & 0xff : 128 + (status & 0x7f)
}

/// Runs a program that reads `input` and answers its exit code and what it printed. What it complains of is not shown.
func runFilter(_ words: [String], input: [UInt8]) throws -> (code: Int32, output: [UInt8]) {
    let file = "/tmp/tarn-input-\(UUID().uuidString)"
    try Data(input).write(to: URL(filePath: file), options: .withoutOverwriting)
    defer { unlink(file) }
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { throw CommandFailure(message: "no pipe: \(String(cString: strerror(errno)))") }
    defer { close(ends[0]) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, file, O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO)
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0)
    tarn_spawn_close_from(&actions, 3)
    let arguments = cStrings(words)
    defer { for word in arguments { free(word) } }
    var child = pid_t()
    let failed = posix_spawnp(&child, words[0], &actions, nil, arguments, environ)
    close(ends[1])
    guard failed == 0 else {
        throw CommandFailure(
            message: "cannot run '\(words[0])': \(String(cString: strerror(failed)))", hint: "Install openssh-client")
    }
    var output: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let count = read(ends[0], &buffer, buffer.count)
        if count < 0, errno == EINTR { continue }
        if count <= 0 { break }
        output += buffer[..<count]
    }
    var status: Int32 = 0
    while waitpid(child, &status, 0) < 0, errno == EINTR {}
    return (status & 0x7f == 0 ? status >> 8 & 0xff : 128 + (status & 0x7f), output)
}

/// While it lives, SIGTERM to this process goes to another one, and SIGINT (which the terminal sends to both) to nobody.
private final class SignalForwarding {
    private let source: any DispatchSourceSignal

    init(to process: pid_t) {
        signal(SIGINT, SIG_IGN)
        signal(SIGTERM, SIG_IGN)
        source = DispatchSource.makeSignalSource(signal: SIGTERM, queue: .global())
        source.setEventHandler { kill(process, SIGTERM) }
        source.resume()
    }

    deinit { source.cancel() }
}

/// Copies of strings, ended by nil, to be freed.
func cStrings(_ strings: [String]) -> [UnsafeMutablePointer<CChar>?] {
    strings.map { strdup($0) } + [nil]
}
