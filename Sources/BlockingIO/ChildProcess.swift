package import CLinux
import Glibc

/// A program that was started, by posix_spawn(3).
package struct ChildProcess: Sendable {
    package let id: pid_t

    /// Where one of its three standard streams leads.
    package enum Stream: Sendable {
        case inherited
        case null
        case file(String)
        case descriptor(Int32)
        /// Where standard error of this process leads.
        case standardError
    }

    package struct Options: Sendable {
        package var input = Stream.null
        package var output = Stream.inherited
        package var error = Stream.inherited
        /// Where it begins; `nil`: where this process is.
        package var directory: String?
        /// Its whole environment, `NAME=value`; `nil`: that of this process.
        package var environment: [String]?
        /// A session of its own, and so a process group to end and no terminal.
        package var hasOwnSession = false
        /// A descriptor that it gets as number 3; all others are closed.
        package var inheritedDescriptor: Int32?
        /// Descriptors from 3 on stay open: only for a program that takes the place of this one's at a terminal.
        package var keepsDescriptors = false

        package init() {}
    }

    /// How it ended.
    package enum Ending: Hashable, Sendable {
        case exited(Int32)
        case signalled(Int32)

        /// As a shell tells it: 128 + number for a signal.
        package var code: Int32 {
            switch self {
            case .exited(let code): code
            case .signalled(let number): 128 + number
            }
        }

        package var words: String {
            switch self {
            case .exited(let code): "exit code \(code)"
            case .signalled(let number): "signal \(number)"
            }
        }
    }

    /// This program itself, whatever its path became.
    package static let thisProgram = "/proc/self/exe"

    /// Starts a program: a path, or a name to be looked for in PATH. No signal is blocked in it, and SIGINT, SIGTERM and
    /// SIGPIPE do what they do by default: threads of a pool block signals, which a child would inherit.
    ///
    /// - Parameter words: its arguments, the first being its own name.
    package static func start(
        _ program: String, _ words: [String], _ options: Options = Options()
    ) throws(Errno) -> ChildProcess {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        // Streams that lead to a descriptor of number 3 would be lost: nobody has one.
        if let inherited = options.inheritedDescriptor { posix_spawn_file_actions_adddup2(&actions, inherited, 3) }
        redirect(&actions, STDIN_FILENO, options.input, O_RDONLY)
        redirect(&actions, STDOUT_FILENO, options.output, O_WRONLY)
        redirect(&actions, STDERR_FILENO, options.error, O_WRONLY)
        if !options.keepsDescriptors {
            tarn_spawn_close_from(&actions, options.inheritedDescriptor == nil ? 3 : 4)
        }
        if let directory = options.directory { tarn_spawn_change_directory(&actions, directory) }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var blocked = sigset_t()
        sigemptyset(&blocked)
        posix_spawnattr_setsigmask(&attributes, &blocked)
        var defaults = sigset_t()
        sigemptyset(&defaults)
        for number in [SIGINT, SIGTERM, SIGPIPE] { sigaddset(&defaults, number) }
        posix_spawnattr_setsigdefault(&attributes, &defaults)
        posix_spawnattr_setflags(
            &attributes,
            Int16(POSIX_SPAWN_SETSIGMASK) | Int16(POSIX_SPAWN_SETSIGDEF) | (options.hasOwnSession ? setsidFlag : 0))
        let arguments = cStrings(words)
        let variables = options.environment.map(cStrings)
        defer { for word in arguments + (variables ?? []) { free(word) } }
        var child = pid_t()
        let failed =
            if let variables {
                posix_spawnp(&child, program, &actions, &attributes, arguments, variables)
            } else {
                posix_spawnp(&child, program, &actions, &attributes, arguments, environ)
            }
        guard failed == 0 else { throw Errno(code: failed) }
        return ChildProcess(id: child)
    }

    /// Waits for its end. Blocks; at most one caller. Exit code 255 when how it ended cannot be known (SIGCHLD is ignored).
    package func wait() -> Ending {
        var status: Int32 = 0
        while waitpid(id, &status, 0) < 0 {
            if errno != EINTR { return .exited(255) }
        }
        return Self.ending(status)
    }

    /// How it ended; `nil` while it runs. Throws when it is no child of this process any more.
    package func endingIfEnded() throws(Errno) -> Ending? {
        var status: Int32 = 0
        let ended = waitpid(id, &status, WNOHANG)
        if ended < 0, errno != EINTR { throw Errno() }
        return ended == id ? Self.ending(status) : nil
    }

    private static func ending(_ status: Int32) -> Ending {
        let number = status & 0x7f
        return number == 0 ? .exited(status >> 8 & 0xff) : .signalled(number)
    }

    private static func redirect(
        _ actions: inout posix_spawn_file_actions_t, _ number: Int32, _ stream: Stream, _ flags: Int32
    ) {
        switch stream {
        case .inherited: break
        case .null: posix_spawn_file_actions_addopen(&actions, number, "/dev/null", flags, 0)
        case .file(let path): posix_spawn_file_actions_addopen(&actions, number, path, flags, 0)
        case .descriptor(let descriptor): posix_spawn_file_actions_adddup2(&actions, descriptor, number)
        case .standardError: posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, number)
        }
    }

    /// `POSIX_SPAWN_SETSID` of spawn.h.
    private static let setsidFlag: Int16 = 0x80
}

/// Copies of strings, ended by nil, to be freed.
private func cStrings(_ strings: [String]) -> [UnsafeMutablePointer<CChar>?] {
    strings.map { strdup($0) } + [nil]
}
