import BlockingIO
import ErrorMessages
import FoundationEssentials
import Glibc
import Versioning

/// Directories on this host: `TARN_STATE_DIR` and `TARN_CACHE_DIR`, else as the XDG base directory specification says.
///
/// The same user must come to the same state directory however a command is started: what is staged is only there. So a
/// path that depends on where one is counts for nothing, and without `HOME` the password database says where home is.
enum HostDirectories {
    static func state() throws -> String {
        if let directory = environment("TARN_STATE_DIR") {
            guard directory.hasPrefix("/") else {
                throw CommandFailure(
                    message: "TARN_STATE_DIR is '\(directory)', which is no absolute path",
                    hint: "What is staged must be found from everywhere: write the whole path", kind: .usage)
            }
            return directory
        }
        return try (absolute("XDG_STATE_HOME") ?? home("TARN_STATE_DIR") + "/.local/state") + "/tarn"
    }

    static func cache() throws -> String {
        if let directory = environment("TARN_CACHE_DIR") { return directory }
        return try (absolute("XDG_CACHE_HOME") ?? home("TARN_CACHE_DIR") + "/.cache") + "/tarn"
    }

    /// The specification says: relative paths are to be ignored.
    private static func absolute(_ name: String) -> String? {
        environment(name).flatMap { $0.hasPrefix("/") ? $0 : nil }
    }

    /// - Parameter variable: what to set when there is no home.
    private static func home(_ variable: String) throws -> String {
        // Daemons are often started with "/", which is a home of nobody but perhaps root.
        if let home = absolute("HOME"), home != "/" { return home }
        let home = passwordHome()
        if let home, home != "/" || geteuid() == 0 { return home == "/" ? "" : home }
        throw CommandFailure(
            message: "user \(geteuid()) has no home directory", hint: "Set HOME or \(variable)", kind: .usage)
    }

    private static let entryBytes = 64 << 10

    /// This user's directory in the password database; `nil` when there is none.
    private static func passwordHome() -> String? {
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: entryBytes)
        guard getpwuid_r(geteuid(), &entry, &buffer, buffer.count, &found) == 0, let found,
            let directory = found.pointee.pw_dir
        else { return nil }
        let text = String(cString: directory)
        return text.hasPrefix("/") ? text : nil
    }

    static func workspace(_ repository: UUID, _ name: String) throws -> String {
        let escaped = name.split(separator: "/", omittingEmptySubsequences: false).joined(separator: "%2F")
        return try "\(state())/workspaces/\(repository.uuidString.lowercased())/\(escaped)"
    }
}
