import ArgumentParser
import BlockingIO
import ErrorMessages
import Glibc
import ObjectDatabase
import ObjectStorage
import Operations
import Versioning

/// `tarn run --write`: a program writes to a branch at a path of its own, and what it wrote is committed when it succeeds.
struct WritingArguments: ParsableArguments {
    @Flag(help: "Mount the branch --ref to be written to.") var write = false
    @Flag(help: "With --write: commit what was written when the program ends with 0.") var commit = false
    @Option(name: .shortAndLong, help: "With --commit: what this is.") var message: String?
    @OptionGroup var metadata: MetadataArguments
    @Flag(
        name: .customLong("discard-on-failure"),
        help: "With --write: discard everything that is staged when the program does not end with 0.")
    var discardsOnFailure = false

    func check(receipt: String?) throws {
        let isUsed = commit || message != nil || discardsOnFailure
        let fault: TerminalText? =
            !write && isUsed
            ? "--commit, -m and --discard-on-failure go with --write"
            : write && receipt != nil
                ? "--receipt notes what was read of one commit, which --write changes"
                : commit != (message != nil) ? "--commit and -m MESSAGE go together" : nil
        if let fault { throw CommandFailure(message: fault, kind: .usage) }
    }

    /// Runs the program in a writable mount that nobody else sees. Throws its exit code, else that of the commit.
    func run(
        _ words: [String], on branch: String, at directory: String, _ repository: Repository, _ store: StoreArguments
    ) throws {
        try runTarn(
            ["mount", repository.database.store.location, directory, "--ref", branch, "--write"] + OwnedMount.words
                + store.words)
        let outcome = Result { try runProgram(words, ignoringInterrupts: true) }
        let code = try? outcome.get()
        var failure: Int32 = 0
        if code == 0 {
            if commit { failure = try end(["commit", "-m", message ?? ""] + metadata.words, in: directory) }
        } else if discardsOnFailure {
            failure = try end(["discard", "--all"], in: directory)
        }
        // A process that stays keeps a mount that it may write to no more.
        _ = try Unmounting(directory, isLazy: false).endOwn()
        if code != 0 || failure != 0, !(discardsOnFailure && failure == 0) {
            writeError("tarn: what was written stays staged: tarn status --workspace \(branch)")
        }
        let programs = try outcome.get()
        if programs != 0 { throw ExitCode(programs) }
        if failure != 0 { throw ExitCode(failure) }
    }

    /// Runs this program again in the mount; answers its exit code. What it says has been told.
    private func end(_ arguments: [String], in directory: String) throws -> Int32 {
        try runProgram([ChildProcess.thisProgram, "-C", directory] + arguments, ignoringInterrupts: true)
    }
}

extension MetadataArguments {
    /// As they would be written.
    fileprivate var words: [String] { metadata.flatMap { ["--metadata", $0] } }
}
