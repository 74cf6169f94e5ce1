import ArgumentParser
import BlockingIO
import CLinux
import ErrorMessages
import Glibc
import ObjectDatabase
import Operations
import Versioning

struct Unmount: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "umount", abstract: "End a mount and wait until it has ended.",
        discussion: "Staged changes stay in the workspace and are there again at the next mount.")

    @Argument(help: "The mount point.") var directory: String
    @Flag(name: .shortAndLong, help: "Detach it now, even if files are open; it ends when they are closed.")
    var lazy = false

    private static let waitMilliseconds = 120_000

    func run() throws {
        let path =
            realpath(directory, nil).map { pointer in
                defer { free(pointer) }
                return String(cString: pointer)
            } ?? directory
        let mount = MountDescription.of(path: path)
        guard KernelMount.at(unescapedBytes(path)) != nil else {
            throw CommandFailure(message: "nothing of Tarn's is mounted at \(directory)", kind: .notFound)
        }
        guard try Self.detach(path, lazy: lazy) else {
            throw CommandFailure(
                message: "\(directory) was not unmounted",
                hint: "If it is busy, close the files and shells in it, or use --lazy")
        }
        guard !lazy, let process = mount?.processID else { return }
        for _ in 0..<Self.waitMilliseconds / 20 {
            if Self.hasEnded(process) { return }
            sleepMilliseconds(20)
        }
        throw CommandFailure(
            message: "process \(process) of the mount has not ended yet",
            hint: "It may still be saving; look at its log")
    }

    /// Gone, or a zombie that nobody has waited for yet (proc(5): the state follows the name in parentheses).
    private static func hasEnded(_ process: Int32) -> Bool {
        guard let file = fopen("/proc/\(process)/stat", "r") else { return true }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 512)
        guard fgets(&line, Int32(line.count), file) != nil, let end = line.lastIndex(of: CChar(UInt8(ascii: ")")))
        else {
            return true
        }
        return line[end + 2] == CChar(UInt8(ascii: "Z"))
    }

    /// Runs fusermount3; false when it could not unmount.
    static func detach(_ path: String, lazy: Bool) throws -> Bool {
        let words = ["fusermount3", "-u"] + (lazy ? ["-z"] : []) + ["--", path]
        do throws(Errno) {
            return try ChildProcess.start("fusermount3", words).wait() == .exited(0)
        } catch {
            throw CommandFailure(message: "fusermount3 is not installed", hint: "Install it: apt install fuse3")
        }
    }
}
