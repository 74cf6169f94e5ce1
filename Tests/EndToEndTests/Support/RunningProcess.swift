import BlockingIO
import CLinux
import Foundation
import Glibc
import Synchronization

/// A program that was started; its output is gathered while it runs. (Not Foundation's Process: it takes a program for
/// running as long as any child of it lives.)
final class RunningProcess: Sendable {
    let processID: pid_t
    private let command: String
    private let output = Gathered()
    private let errors = Gathered()
    private let isReaped = Mutex(false)

    /// One test command may take this long.
    private static let limitSeconds = 600.0

    private final class Gathered: Sendable {
        let data = Mutex(Data())
        let isDone = DispatchSemaphore(value: 0)

        func gather(from descriptor: Int32) {
            Thread.detachNewThread { [self] in
                var buffer = [UInt8](repeating: 0, count: 1 << 16)
                while true {
                    let count = Glibc.read(descriptor, &buffer, buffer.count)
                    if count < 0, errno == EINTR { continue }
                    if count <= 0 { break }
                    data.withLock { $0.append(contentsOf: buffer[..<count]) }
                }
                close(descriptor)
                isDone.signal()
            }
        }

        var text: String { String(decoding: data.withLock { $0 }, as: UTF8.self) }
    }

    init(_ program: String, _ arguments: [String], environment: [String: String], directory: String) throws {
        command = ([program] + arguments).joined(separator: " ")
        let (outputEnd, errorEnd) = (try Self.makePipe(), try Self.makePipe())
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, outputEnd.write, STDOUT_FILENO)
        posix_spawn_file_actions_adddup2(&actions, errorEnd.write, STDERR_FILENO)
        tarn_spawn_close_from(&actions, 3)
        tarn_spawn_change_directory(&actions, directory)
        // Threads of a test runner may block signals, and a child would inherit that.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var child = pid_t()
        let failure = Self.withCStrings([program] + arguments) { words in
            Self.withCStrings(environment.map { "\($0)=\($1)" }) { variables in
                posix_spawn(&child, program, &actions, &attributes, words, variables)
            }
        }
        close(outputEnd.write)
        close(errorEnd.write)
        guard failure == 0 else {
            throw CommandFailed(description: "\(command): \(String(cString: strerror(failure)))")
        }
        processID = child
        output.gather(from: outputEnd.read)
        errors.gather(from: errorEnd.read)
    }

    private static func makePipe() throws -> (read: Int32, write: Int32) {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw CommandFailed(description: "pipe: \(String(cString: strerror(errno)))") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    private static func withCStrings<Result>(
        _ words: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
    ) -> Result {
        let pointers = words.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        return body(pointers)
    }

    /// A test that failed half-way leaves neither a process nor a zombie.
    deinit {
        guard !isReaped.withLock({ $0 }) else { return }
        Glibc.kill(processID, SIGKILL)
        var status: Int32 = 0
        waitpid(processID, &status, 0)
    }

    func kill(_ signal: Int32) {
        Glibc.kill(processID, signal)
    }

    /// Waits for the end. A program that does not end in time is killed and that is an error.
    func wait() throws -> Outcome {
        let deadline = Date().addingTimeInterval(Self.limitSeconds)
        var status: Int32 = 0
        while waitpid(processID, &status, WNOHANG) == 0 {
            if Date() > deadline {
                kill(SIGKILL)
                waitpid(processID, &status, 0)
                isReaped.withLock { $0 = true }
                throw CommandFailed(
                    description: "\(command) did not end in \(Self.limitSeconds) s\n\(output.text)\(errors.text)")
            }
            usleep(2000)
        }
        isReaped.withLock { $0 = true }
        _ = output.isDone.wait(timeout: .now() + 10)
        _ = errors.isDone.wait(timeout: .now() + 10)
        let signal = status & 0x7f
        return Outcome(
            code: signal == 0 ? status >> 8 & 0xff : 128 + signal, output: output.text, errors: errors.text)
    }
}
