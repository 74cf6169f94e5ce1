import ArgumentParser
import BlockingIO
import CLinux
import ErrorMessages
import Foundation
import Glibc
import Versioning

/// The process between Tarn and the command of a gate: it shows the judged tree at the place that the hook asks for, to that
/// command alone, and ends the command when the process that wants its word has ended.
struct GateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "gate", abstract: "", shouldDisplay: false)

    /// The process of this program that runs the gate.
    @Option(help: .hidden) var owner: Int32
    /// A directory that goes with that process.
    @Option(help: .hidden) var scratch: String
    /// A mount.
    @Option(help: .hidden) var show: String?
    /// Where the command sees it.
    @Option(help: .hidden) var at: String?
    @Argument(parsing: .captureForPassthrough, help: .hidden) var command: [String]

    func run() throws {
        let owner = tarn_process_descriptor(owner)
        guard owner >= 0 else { throw CommandFailure(message: "the process that wants the gate's word has ended") }
        if let show, let at { try bind(show, to: at) }
        var options = ChildProcess.Options()
        options.error = .standardError
        let words = ["/bin/sh", "-c", command.last ?? ""]
        let child: ChildProcess
        do throws(Errno) {
            child = try ChildProcess.start("/bin/sh", words, options)
        } catch {
            throw CommandFailure(message: "cannot run /bin/sh: \(error.text)")
        }
        if ownerEnds(owner, before: tarn_process_descriptor(child.id)) {
            // What cannot be removed stays in /tmp.
            try? FileManager.default.removeItem(atPath: scratch)
            HookProcess.endAll()
        }
        switch child.wait() {
        // Not by the parser, which would print an empty line.
        case .exited(let code): Glibc.exit(code)
        case .signalled(let number):
            signal(number, SIG_DFL)
            raise(number)
            throw ExitCode(128 + number)
        }
    }

    /// Waits until one of two processes, given by their descriptors, has ended.
    private func ownerEnds(_ owner: Int32, before child: Int32) -> Bool {
        var both = [owner, child].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        while poll(&both, 2, -1) < 0, errno == EINTR {}
        return both[0].revents != 0 && both[1].revents == 0
    }

    private func bind(_ mount: String, to place: String) throws {
        do {
            try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
        } catch {
            throw CommandFailure(
                message: "\(place) is not there and cannot be made", hint: "Make it first: sudo mkdir \(place)")
        }
        guard tarn_private_mounts() == 0 else {
            throw CommandFailure(
                message: "a gate cannot have mounts of its own: \(String(cString: strerror(errno)))",
                hint: "Run it as root, or allow user namespaces (sysctl kernel.unprivileged_userns_clone=1)")
        }
        guard tarn_bind_mount(mount, place) == 0 else {
            throw CommandFailure(
                message: "the tree cannot be shown at \(place): \(String(cString: strerror(errno)))")
        }
    }
}
