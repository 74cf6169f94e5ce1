import BlockingIO
import Foundation
import Glibc
import Synchronization
import Versioning

/// A shell command that is run to its end or ended with everything it started, also when this process is killed; what it
/// prints is shown line by line and kept.
struct HookProcess {
    let name: String
    let command: String
    /// All that it gets.
    let environment: [String: String]
    let directory: String
    /// A mount, and where the command sees it, too.
    let place: (mount: String, path: String)?
    /// A directory that is removed when this process is killed.
    let scratch: String
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
    /// A longer line is shown in parts.
    fileprivate static let shownLineBytes = 64 << 10
    private static let graceMilliseconds = 2000
    /// In the environment of everything that a hook starts: what leaves its process group is found by it.
    private static let mark = "TARN_HOOK_RUN"

    /// The variables of this process that a command gets: a few that programs need, and those that the hooks file asks for.
    static func inherited(_ asked: [String]) -> [String: String] {
        let few: Set<String> = ["LANG", "LANGUAGE", "LOGNAME", "PATH", "SHELL", "TERM", "TZ", "USER"]
        var variables = ProcessInfo.processInfo.environment.filter { name, _ in
            few.contains(name) || name.hasPrefix("LC_") || asked.contains(name)
        }
        // A relative place would be one in the tree.
        variables["PATH"] = (variables["PATH"] ?? "/usr/local/bin:/usr/bin:/bin")
            .split(separator: ":").filter { $0.hasPrefix("/") }.joined(separator: ":")
        return variables
    }

    func run() -> Outcome {
        let mark = "\(Self.mark)=\(UUID().uuidString)"
        let (process, output): (ChildProcess, Int32)
        do throws(Errno) {
            (process, output) = try start(mark)
        } catch {
            return Outcome(ending: .failedToStart(error.text), output: "", isCut: false)
        }
        let reader = OutputReader(output, name: name)
        reader.start()
        let ending = wait(for: process)
        kill(-process.id, SIGKILL)
        Self.endMarked(mark)
        // What stays open now is held by nobody, or by a process that left even its environment.
        let (text, isCut) = reader.finish(waitingSeconds: 2)
        return Outcome(ending: ending, output: text, isCut: isCut)
    }

    /// Answers the process and the end of the pipe that it prints into.
    private func start(_ mark: String) throws(Errno) -> (ChildProcess, Int32) {
        let ends = try makePipe()
        defer { close(ends.writing) }
        var options = ChildProcess.Options()
        options.output = .descriptor(ends.writing)
        options.error = .descriptor(ends.writing)
        options.directory = directory
        // And so a process group to end.
        options.hasOwnSession = true
        options.environment = environment.map { "\($0)=\($1)" } + [mark]
        let words =
            ["tarn", "gate", "--owner", "\(getpid())", "--scratch", scratch]
            + (place.map { ["--show", $0.mount, "--at", $0.path] } ?? [])
            + ["--", command]
        do throws(Errno) {
            return (try ChildProcess.start(ChildProcess.thisProgram, words, options), ends.reading)
        } catch {
            close(ends.reading)
            throw error
        }
    }

    private func wait(for process: ChildProcess) -> Ending {
        do throws(Errno) {
            if let ending = try poll(process, forMilliseconds: Int(timeoutSeconds * 1000), every: 5) {
                switch ending {
                case .exited(let code): return .exited(code)
                case .signalled(let number): return .signalled(number)
                }
            }
            kill(-process.id, SIGTERM)
            if try poll(process, forMilliseconds: Self.graceMilliseconds, every: 20) == nil {
                kill(-process.id, SIGKILL)
                _ = process.wait()
            }
            return .timedOut
        } catch {
            return .failedToStart(error.text)
        }
    }

    /// How it ended; `nil` when it did not in time.
    private func poll(
        _ process: ChildProcess, forMilliseconds limit: Int, every pause: Int
    ) throws(Errno) -> ChildProcess.Ending? {
        let deadline = ContinuousClock.now + .milliseconds(limit)
        while true {
            if let ending = try process.endingIfEnded() { return ending }
            if ContinuousClock.now >= deadline { return nil }
            sleepMilliseconds(pause)
        }
    }

    /// Ends what the command of this process's own mark has started, in its group or out of it.
    static func endAll() {
        if let own = tarn.environment(mark) { endMarked("\(mark)=\(own)") }
        kill(0, SIGKILL)
    }

    /// Ends what the command left behind out of its group.
    private static func endMarked(_ mark: String) {
        // What one has started before it was ended is found by the next look.
        for _ in 0..<maximumLooks {
            if endMarkedOnce(mark) == 0 { return }
        }
    }

    private static let maximumLooks = 100

    /// Answers how many there were.
    private static func endMarkedOnce(_ mark: String) -> Int {
        var count = 0
        for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] {
            guard let process = pid_t(name), process != getpid(),
                let variables = FileManager.default.contents(atPath: "/proc/\(name)/environ"),
                variables.split(separator: 0).contains(where: { $0.elementsEqual(mark.utf8) })
            else { continue }
            // One that has ended and is not waited for keeps no environment.
            if kill(process, SIGKILL) == 0 { count += 1 }
        }
        return count
    }
}

/// Reads what a process prints, shows it on standard error with the hook's name before each line, and keeps the end of it.
private final class OutputReader: Sendable {
    private let descriptor: Int32
    private let name: String
    private let state = Mutex<(kept: [UInt8], isCut: Bool, line: [UInt8])>(([], false, []))
    private let isDone = DispatchSemaphore(value: 0)

    init(_ descriptor: Int32, name: String) {
        self.descriptor = descriptor
        self.name = name
    }

    func start() {
        Thread.detachNewThread { [self] in
            // What cannot be read any more has ended.
            while let next = try? readNext(descriptor), !next.isEmpty { take(next) }
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
            if state.line.count > HookProcess.shownLineBytes {
                lines.append(state.line)
                state.line = []
            }
            return lines
        }
        for line in lines { show(line) }
    }

    private func show(_ line: [UInt8]) {
        writeError(.block(String(decoding: line, as: UTF8.self), indent: "[\(name)] "))
    }

    func finish(waitingSeconds: Int) -> (output: String, isCut: Bool) {
        // A reader that still waits keeps its descriptor and ends with the process.
        if isDone.wait(timeout: .now() + .seconds(waitingSeconds)) == .success { close(descriptor) }
        return state.withLock { state in
            if !state.line.isEmpty { show(state.line) }
            state.line = []
            return (String(decoding: state.kept, as: UTF8.self), state.isCut)
        }
    }
}
