import Foundation
import Glibc

/// Runs a command of the user's own configuration (`credential_process`) and takes its output.
enum ShellCommand {
    static let timeoutSeconds = 60
    static let outputLimitBytes = 1 << 20

    /// Standard output of `/bin/sh -c command`. Standard error goes to ours, so that a prompt or a complaint is seen.
    static func run(_ command: String) throws(CommandFailure) -> String {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw failure("no pipe", errno) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        defer { close(ends[0]) }
        let process: pid_t
        do {
            defer { close(ends[1]) }
            process = try spawn(command, output: ends[1])
        }
        let output: [UInt8]
        do {
            output = try read(ends[0])
        } catch {
            kill(process, SIGKILL)
            _ = wait(for: process)
            throw error
        }
        let status = wait(for: process)
        guard status == 0 else {
            throw CommandFailure(reason: "it ended with wait status \(status)")
        }
        return String(decoding: output, as: UTF8.self)
    }

    private static func spawn(_ command: String, output: Int32) throws(CommandFailure) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        var arguments: [UnsafeMutablePointer<CChar>?] = [strdup("/bin/sh"), strdup("-c"), strdup(command), nil]
        defer { arguments.forEach { free($0) } }
        // Threads of a pool may have signals blocked, which a child would inherit: it could not be stopped with ^C.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var process: pid_t = 0
        let code = posix_spawn(&process, "/bin/sh", &actions, &attributes, &arguments, environ)
        guard code == 0 else { throw failure("it cannot be started", code) }
        return process
    }

    private static func read(_ descriptor: Int32) throws(CommandFailure) -> [UInt8] {
        let deadline = ContinuousClock.now + .seconds(timeoutSeconds)
        var output: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let left = max(0, (deadline - ContinuousClock.now).components.seconds * 1000 + 1)
            var ready = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let count = poll(&ready, 1, Int32(clamping: left))
            if count < 0, errno == EINTR { continue }
            guard count > 0, ContinuousClock.now < deadline else {
                throw CommandFailure(reason: "it took longer than \(timeoutSeconds) s")
            }
            let got = Glibc.read(descriptor, &chunk, chunk.count)
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else { throw failure("its output cannot be read", errno) }
            if got == 0 { return output }
            output += chunk[..<got]
            guard output.count <= outputLimitBytes else {
                throw CommandFailure(reason: "it wrote more than \(outputLimitBytes) bytes")
            }
        }
    }

    /// The wait status; the process has closed its output or has been killed, so this does not take long.
    private static func wait(for process: pid_t) -> Int32 {
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        return status
    }

    private static func failure(_ what: String, _ code: Int32) -> CommandFailure {
        CommandFailure(reason: "\(what): \(String(cString: strerror(code)))")
    }
}
