import BlockingIO
import Glibc

/// Runs a command of the user's own configuration (`credential_process`) and takes its output.
enum ShellCommand {
    static let timeoutSeconds = 60
    static let outputLimitBytes = 1 << 20

    /// Standard output of `/bin/sh -c command`. Standard error goes to this process's, so that a prompt or a complaint is
    /// seen.
    static func run(_ command: String) throws(CredentialProcessFailure) -> String {
        let ends = try attempt("no pipe") { () throws(Errno) in try makePipe() }
        defer { close(ends.reading) }
        let process: ChildProcess
        do {
            defer { close(ends.writing) }
            process = try attempt("it cannot be started") { () throws(Errno) in
                var options = ChildProcess.Options()
                options.output = .descriptor(ends.writing)
                return try ChildProcess.start("/bin/sh", ["/bin/sh", "-c", command], options)
            }
        }
        let output: [UInt8]
        do {
            output = try read(ends.reading)
        } catch {
            kill(process.id, SIGKILL)
            _ = process.wait()
            throw error
        }
        // It has closed its output, so this does not take long.
        let ending = process.wait()
        guard ending == .exited(0) else { throw CredentialProcessFailure(reason: "it ended with \(ending.words)") }
        return String(decoding: output, as: UTF8.self)
    }

    private static func attempt<Result>(
        _ what: String, _ body: () throws(Errno) -> Result
    ) throws(CredentialProcessFailure) -> Result {
        do throws(Errno) {
            return try body()
        } catch {
            throw CredentialProcessFailure(reason: "\(what): \(error.text)")
        }
    }

    private static func read(_ descriptor: Int32) throws(CredentialProcessFailure) -> [UInt8] {
        let deadline = ContinuousClock.now + .seconds(timeoutSeconds)
        var output: [UInt8] = []
        while true {
            let left = max(0, (deadline - ContinuousClock.now).components.seconds * 1000 + 1)
            var ready = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let count = poll(&ready, 1, Int32(clamping: left))
            if count < 0, errno == EINTR { continue }
            guard count > 0, ContinuousClock.now < deadline else {
                throw CredentialProcessFailure(reason: "it took longer than \(timeoutSeconds) s")
            }
            let next = try attempt("its output cannot be read") { () throws(Errno) in try readNext(descriptor) }
            if next.isEmpty { return output }
            output += next
            guard output.count <= outputLimitBytes else {
                throw CredentialProcessFailure(reason: "it wrote more than \(outputLimitBytes) bytes")
            }
        }
    }
}
