import BlockingIO
import Foundation
import Glibc
import ObjectDatabase
import ObjectStorage
import Operations
import ProllyTree
import Versioning

/// A read-only mount of one commit for a short time, in a directory of its own, served by another process of this
/// program.
final class TemporaryMount {
    let directory: String
    /// Of the directories of all such mounts.
    static let prefix = "/tmp/tarn-mount-"

    /// Throws when the commit cannot be mounted.
    init(_ commit: CommitID, of repository: Repository, _ store: StoreArguments) throws {
        directory = try makeTemporaryDirectory("mount")
        do {
            try runTarn(
                ["mount", repository.database.store.location, directory, "--ref", commit.hex] + OwnedMount.words
                    + store.words)
        } catch {
            rmdir(directory)
            throw error
        }
    }

    deinit {
        // What cannot be unmounted stays until its process ends; nothing depends on it.
        _ = try? Unmounting(directory, isLazy: false).endOwn()
        rmdir(directory)
    }
}

/// A new directory `/tmp/tarn-<name>-…` for this user only.
func makeTemporaryDirectory(_ name: String) throws -> String { try makeDirectory(like: "/tmp/tarn-\(name)") }

/// A new directory `<path>-…` for this user only.
func makeDirectory(like path: String) throws -> String {
    // The last six letters are mkdtemp(3)'s to replace.
    var template = Array("\(path)-XXXXXX".utf8CString)
    guard let made = mkdtemp(&template) else {
        throw CommandFailure(message: "no temporary directory: \(String(cString: strerror(errno)))")
    }
    return String(cString: made)
}

extension StoreArguments {
    /// The arguments as they would be written.
    var words: [String] {
        var words = ["--timeout", "\(timeout)"]
        if let endpoint { words += ["--endpoint", endpoint] }
        if let region { words += ["--region", region] }
        if let cacheDirectory { words += ["--cache-dir", cacheDirectory] }
        return words
    }
}

/// Runs this program again and waits for it. Throws when it fails; what it says goes to standard error.
func runTarn(_ arguments: [String]) throws {
    var options = ChildProcess.Options()
    options.output = .standardError
    let ending: ChildProcess.Ending
    do throws(Errno) {
        ending = try ChildProcess.start(ChildProcess.thisProgram, ["tarn"] + arguments, options).wait()
    } catch {
        throw CommandFailure(message: "cannot start tarn: \(error.text)")
    }
    guard ending == .exited(0) else { throw CommandFailure(message: "'tarn \(arguments.first ?? "")' failed") }
}
