import CLinux
import Foundation
import Glibc
import Synchronization

/// A shell command that is run to its end or ended with everything it started; what it prints is shown line by line and
/// kept.
struct HookProcess {
    let name: String
    let command: String
    let environment: [String: String]
    let directory: String
    let timeoutSeconds: Double

    enum Ending {
        case exited(Int32)
        case signalled(Int32)
        case timedOut
        case failedToStart(String)
    }

    struct Outcome {
        let ending: Ending
        let output: String
        let isCut: Bool
    }

    /// The end of long output is kept.
    static let keptOutputBytes = 64 << 10
    private static let graceMilliseconds = 2000
    /// In the environment of everything that a hook starts: what leaves its process group is found by it.
    private static let mark = "TARN_HOOK_RUN"
    /// `POSIX_SPAWN_SETSID` of spawn.h.
    private static let setsidFlag: Int16 = 0x80

    func run() -> Outcome {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else {
            return Outcome(ending: .failedToStart(errorText(errno)), output: "", isCut: false)
        }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        let mark = "\(Self.mark)=\(UUID().uuidString)"
        let started = spawn(output: ends[1], mark)
        close(ends[1])
        guard case .success(let process) = started else {
            close(ends[0])
            if case .failure(let failure) = started {
                return Outcome(ending: .failedToStart(failure.reason), output: "", isCut: false)
            }
            return Outcome(ending: .failedToStart(""), output: "", isCut: false)
        }
        let reader = OutputReader(ends[0], prefix: "[\(name)] ")
        reader.start()
        let ending = wait(for: process)
        Self.end(group: process, mark)
        // What stays open now is held by nobody, or by a process that left even its environment.
        let (output, isCut) = reader.finish(waitingSeconds: 2)
        return Outcome(ending: ending, output: output, isCut: isCut)
    }

    private struct StartFailure: Error { let reason: String }

    private func spawn(output: Int32, _ mark: String) -> Result<pid_t, StartFailure> {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
        posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO)
        tarn_spawn_close_from(&actions, 3)
        tarn_spawn_change_directory(&actions, directory)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        // A session of its own, and so a process group to end.
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK) | Self.setsidFlag)
        var variables = ProcessInfo.processInfo.environment
        variables.merge(environment) { _, new in new }
        let words = cStrings(["/bin/sh", "-c", command])
        let settings = cStrings(variables.map { "\($0)=\($1)" } + [mark])
        defer { for word in words + settings { free(word) } }
        var child = pid_t()
        let failed = posix_spawn(&child, "/bin/sh", &actions, &attributes, words, settings)
        return failed == 0 ? .success(child) : .failure(StartFailure(reason: errorText(failed)))
    }

    private func wait(for process: pid_t) -> Ending {
        let deadline = ContinuousClock.now + .milliseconds(Int(timeoutSeconds * 1000))
        var status: Int32 = 0
        while true {
            let ended = waitpid(process, &status, WNOHANG)
            if ended == process { break }
            if ended < 0, errno != EINTR { return .failedToStart(errorText(errno)) }
            if ContinuousClock.now >= deadline {
                kill(-process, SIGTERM)
                for _ in 0..<Self.graceMilliseconds / 20 {
                    if waitpid(process, &status, WNOHANG) == process { return .timedOut }
                    usleep(20_000)
                }
                kill(-process, SIGKILL)
                waitpid(process, &status, 0)
                return .timedOut
            }
            usleep(5_000)
        }
        let signal = status & 0x7f
        return signal == 0 ? .exited(status >> 8 & 0xff) : .signalled(signal)
    }

    /// Ends what the command left behind, in its group or out of it.
    private static func end(group: pid_t, _ mark: String) {
        kill(-group, SIGKILL)
        for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] {
            guard let process = pid_t(name), process != getpid(),
                let variables = FileManager.default.contents(atPath: "/proc/\(name)/environ"),
                variables.split(separator: 0).contains(where: { $0.elementsEqual(mark.utf8) })
            else { continue }
            kill(process, SIGKILL)
        }
    }
}

private func errorText(_ number: Int32) -> String { String(cString: strerror(number)) }

/// Reads what a process prints, shows it on standard error with a prefix on each line, and keeps the end of it.
private final class OutputReader: Sendable {
    private let descriptor: Int32
    private let prefix: String
    private let state = Mutex<(kept: [UInt8], isCut: Bool, line: [UInt8])>(([], false, []))
    private let isDone = DispatchSemaphore(value: 0)

    init(_ descriptor: Int32, prefix: String) {
        self.descriptor = descriptor
        self.prefix = prefix
    }

    func start() {
        Thread.detachNewThread { [self] in
            var buffer = [UInt8](repeating: 0, count: 1 << 16)
            while true {
                let count = read(descriptor, &buffer, buffer.count)
                if count < 0, errno == EINTR { continue }
                if count <= 0 { break }
                take(buffer[..<count])
            }
            isDone.signal()
        }
    }

    private func take(_ bytes: ArraySlice<UInt8>) {
        let lines = state.withLock { state in
            state.kept += bytes
            if state.kept.count > HookProcess.keptOutputBytes {
                state.kept.removeFirst(state.kept.count - HookProcess.keptOutputBytes)
                state.isCut = true
            }
            state.line += bytes
            var lines: [[UInt8]] = []
            while let end = state.line.firstIndex(of: UInt8(ascii: "\n")) {
                lines.append(Array(state.line[..<end]))
                state.line.removeFirst(end + 1)
            }
            return lines
        }
        for line in lines { writeError(prefix + String(decoding: line, as: UTF8.self)) }
    }

    func finish(waitingSeconds: Int) -> (output: String, isCut: Bool) {
        // A reader that still waits keeps its descriptor and ends with the process.
        if isDone.wait(timeout: .now() + .seconds(waitingSeconds)) == .success { close(descriptor) }
        return state.withLock { state in
            if !state.line.isEmpty { writeError(prefix + String(decoding: state.line, as: UTF8.self)) }
            state.line = []
            return (String(decoding: state.kept, as: UTF8.self), state.isCut)
        }
    }
}
