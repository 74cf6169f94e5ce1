import BlockingIO
import CLinux
import ErrorMessages
import Glibc
import Versioning

/// Where control sockets lie: `$XDG_RUNTIME_DIR/tarn`, or `/tmp/tarn-<uid>`. Whoever could put something into it could answer
/// for a mount, so it is used only when it is a directory of this user's that nobody else may enter.
enum RuntimeDirectory {
    /// The directory, made if it is missing. Throws when neither can be trusted.
    static func make() throws -> String {
        if let parent = environment("XDG_RUNTIME_DIR"), parent.hasPrefix("/"), fault(inParent: parent) == nil {
            let directory = parent + "/tarn"
            mkdir(directory, 0o700)
            if fault(in: directory) == nil { return directory }
        }
        let directory = "/tmp/tarn-\(getuid())"
        mkdir(directory, 0o700)
        if let fault = fault(in: directory) {
            throw CommandFailure(
                message: "control sockets cannot lie in \(directory): \(fault)",
                hint: "Set XDG_RUNTIME_DIR to a directory of your own that others cannot write to", kind: .refused)
        }
        return directory
    }

    /// Checks the directory of a socket that is to be connected to. It may be root's.
    static func check(directoryOf socket: String) throws {
        let directory = socket.lastIndex(of: "/").map { String(socket[..<$0]) } ?? "."
        if let fault = fault(in: directory, allowingRoot: true) {
            throw CommandFailure(
                message: "the control socket in \(directory) is not to be trusted: \(fault)",
                hint: "See who made that directory; set XDG_RUNTIME_DIR and mount again", kind: .refused)
        }
    }

    /// Why a directory is not this user's alone; `nil` when it is.
    private static func fault(in directory: String, allowingRoot: Bool = false) -> TerminalText? {
        var info = stat()
        guard lstat(directory, &info) == 0 else { return "\(String(cString: strerror(errno)))" }
        if info.st_mode & S_IFMT == S_IFLNK { return "it is a symbolic link" }
        if info.st_mode & S_IFMT != S_IFDIR { return "it is no directory" }
        if info.st_uid != geteuid(), !(allowingRoot && info.st_uid == 0) { return "it belongs to user \(info.st_uid)" }
        if info.st_mode & 0o077 != 0 { return "others may enter it (mode \(String(info.st_mode & 0o7777, radix: 8)))" }
        return nil
    }

    /// Others must not be able to put another directory into the place of ours.
    private static func fault(inParent directory: String) -> TerminalText? {
        var info = stat()
        guard stat(directory, &info) == 0 else { return "\(String(cString: strerror(errno)))" }
        let isOurs = info.st_uid == geteuid() || info.st_uid == 0
        return isOurs && info.st_mode & S_IFMT == S_IFDIR && info.st_mode & 0o022 == 0 ? nil : "others may write to it"
    }
}

/// Whether this user may speak with the process at the other end of a socket: it is theirs or root's.
func peerIsTrusted(_ socket: Int32) -> Bool {
    peer(of: socket).map { $0.user == geteuid() || $0.user == 0 } ?? false
}
