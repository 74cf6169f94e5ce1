import CLinux
import Foundation
import Glibc
import ObjectStorage
import ProllyTree
import Repository
import Versioning

/// A read-only mount of one commit for a short time, in a directory of its own, served by another process of this
/// program.
final class TemporaryMount {
    let directory: String

    /// Throws when the commit cannot be mounted.
    init(_ commit: CommitID, of repository: Repository, _ store: StoreArguments) throws {
        var template = Array("/tmp/tarn-mount-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else {
            throw CommandFailure(message: "no temporary directory: \(String(cString: strerror(errno)))")
        }
        directory = String(cString: made)
        do {
            try runTarn(["mount", repository.store.location, directory, "--ref", commit.hex] + store.words)
        } catch {
            rmdir(directory)
            throw error
        }
    }

    deinit {
        try? runTarn(["umount", "--lazy", directory])
        rmdir(directory)
    }
}

extension StoreArguments {
    /// The arguments as they would be written.
    fileprivate var words: [String] {
        var words = ["--timeout", "\(timeout)"]
        if let endpoint { words += ["--endpoint", endpoint] }
        if let region { words += ["--region", region] }
        if let cacheDirectory { words += ["--cache-dir", cacheDirectory] }
        return words
    }
}

/// Runs this program again and waits for it. Throws when it fails; what it says goes to standard error.
private func runTarn(_ arguments: [String]) throws {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO)
    tarn_spawn_close_from(&actions, 3)
    let words = cStrings(["tarn"] + arguments)
    defer { for word in words { free(word) } }
    var child = pid_t()
    let failed = posix_spawn(&child, "/proc/self/exe", &actions, nil, words, environ)
    guard failed == 0 else { throw CommandFailure(message: "cannot start tarn: \(String(cString: strerror(failed)))") }
    var status: Int32 = 0
    while waitpid(child, &status, 0) < 0, errno == EINTR {}
    guard status == 0 else { throw CommandFailure(message: "'tarn \(arguments.first ?? "")' failed") }
}

/// Runs a program with this terminal and waits for it; answers its exit code, 128 + number for a signal.
func runProgram(_ words: [String], directory: String? = nil, environment: [String: String] = [:]) throws -> Int32 {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    if let directory { tarn_spawn_change_directory(&actions, directory) }
    let variables = ProcessInfo.processInfo.environment.merging(environment) { _, new in new }
    let arguments = cStrings(words)
    let settings = cStrings(variables.map { "\($0)=\($1)" })
    defer { for word in arguments + settings { free(word) } }
    var child = pid_t()
    let failed = posix_spawnp(&child, words[0], &actions, nil, arguments, settings)
    guard failed == 0 else {
        throw CommandFailure(message: "cannot run '\(words[0])': \(String(cString: strerror(failed)))")
    }
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
