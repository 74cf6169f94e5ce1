import BlockingIO
import CLinux
import Glibc
import ObjectDatabase
import Operations

/// A mount in the background: this program started again in a session of its own, which reports when the mount is up.
enum Daemon {
    /// `POSIX_SPAWN_SETSID` of spawn.h.
    private static let setsidFlag: Int16 = 0x80
    /// The child's end of the pipe.
    private static let childDescriptor: Int32 = 3

    /// Starts the child with the same arguments and returns when its mount is up; ends this process with the child's
    /// exit code when the child gives up before.
    static func spawn() throws {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw failure("pipe") }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addclose(&actions, ends[0])
        posix_spawn_file_actions_adddup2(&actions, ends[1], childDescriptor)
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        // A caller that waits for its pipes to end must not wait for the mount.
        tarn_spawn_close_from(&actions, childDescriptor + 1)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        posix_spawnattr_setflags(&attributes, setsidFlag)
        var child = pid_t()
        let words = ["tarn"] + withoutDirectoryChange() + ["--ready-descriptor", "\(childDescriptor)"]
        let failed = withCStrings(words) { posix_spawn(&child, "/proc/self/exe", &actions, &attributes, $0, environ) }
        guard failed == 0 else { throw failure("posix_spawn") }
        close(ends[1])
        var byte: UInt8 = 0
        while true {
            let count = read(ends[0], &byte, 1)
            if count == 1 { return }
            if count < 0, errno == EINTR { continue }
            break
        }
        var status: Int32 = 0
        waitpid(child, &status, 0)
        fflush(nil)
        exit(status & 0x7f == 0 ? status >> 8 & 0xff : Code.failed.rawValue)
    }

    /// `-C DIR` was carried out already.
    private static func withoutDirectoryChange() -> [String] {
        var rest = CommandLine.arguments.dropFirst()
        while rest.first == "-C" { rest = rest.dropFirst(2) }
        return Array(rest)
    }

    /// Tells the waiting parent that the mount is up, and lets go of its terminal: from now on the log is a file.
    static func reportReady(_ descriptor: Int32) {
        let directory = HostDirectories.state() + "/log"
        // Without a log the mount works all the same.
        try? makeDirectories(directory)
        var log = open("\(directory)/\(getpid()).log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        if log < 0 { log = open("/dev/null", O_WRONLY | O_CLOEXEC) }
        dup2(log, STDOUT_FILENO)
        dup2(log, STDERR_FILENO)
        close(log)
        var byte: UInt8 = 1
        _ = write(descriptor, &byte, 1)
        close(descriptor)
    }

    private static func failure(_ call: String) -> CommandFailure {
        CommandFailure(message: "cannot start the mount: \(call): \(String(cString: strerror(errno)))")
    }

    private static func withCStrings<Result>(
        _ words: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
    ) -> Result {
        var pointers = words.map { strdup($0) }
        pointers.append(nil)
        defer { for pointer in pointers { free(pointer) } }
        return body(pointers)
    }
}
