import BlockingIO
import Glibc
import ObjectDatabase
import Operations
import Versioning

/// A mount in the background: this program started again in a session of its own, which reports when the mount is up.
enum Daemon {
    /// The child's end of the pipe.
    private static let childDescriptor: Int32 = 3

    /// Starts the child with the same arguments and returns when its mount is up; ends this process with the child's
    /// exit code when the child gives up before.
    static func spawn() throws {
        do throws(Errno) {
            let ends = try makePipe()
            var options = ChildProcess.Options()
            options.hasOwnSession = true
            // A caller that waits for its pipes to end must not wait for the mount.
            options.inheritedDescriptor = ends.writing
            let words = ["tarn"] + withoutDirectoryChange() + ["--ready-descriptor", "\(childDescriptor)"]
            let child = try ChildProcess.start(ChildProcess.thisProgram, words, options)
            close(ends.writing)
            if try !readNext(ends.reading).isEmpty { return }
            switch child.wait() {
            case .exited(let code): StandardStreams.end(code)
            case .signalled: StandardStreams.end(Code.failed.rawValue)
            }
        } catch {
            throw CommandFailure(message: "cannot start the mount: \(error.text)")
        }
    }

    /// `-C DIR` was carried out already.
    private static func withoutDirectoryChange() -> [String] {
        var rest = CommandLine.arguments.dropFirst()
        while rest.first == "-C" { rest = rest.dropFirst(2) }
        return Array(rest)
    }

    /// Tells the waiting parent that the mount is up, and lets go of its terminal: from now on the log is a file.
    static func reportReady(_ descriptor: Int32) {
        // Without a log the mount works all the same.
        let directory = (try? HostDirectories.state()).map { $0 + "/log" } ?? ""
        try? makeDirectories(directory)
        var log = open("\(directory)/\(getpid()).log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o600)
        if log < 0 { log = open("/dev/null", O_WRONLY | O_CLOEXEC) }
        StandardStreams.lead(to: log)
        // Nobody may listen any more.
        try? writeFully(descriptor, [1])
        close(descriptor)
    }
}
