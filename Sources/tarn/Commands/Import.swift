import ArgumentParser
import CLinux
import ErrorMessages
import Glibc
import ObjectDatabase
import Operations
import ProllyTree
import Versioning

struct Import: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Copy a local directory or file into a branch, as one commit.",
        discussion: """
            Everything a directory holds is kept: names in any bytes, empty files and directories, symbolic links, modes, times to the \
            nanosecond, holes. Sockets, pipes and devices are named and left out, and so is the repository itself where it lies in SRC. \
            What cannot be read whole (no permission, removed or written to meanwhile) is named and left out, too: the rest is \
            committed, and the exit code is 7. Hard links become files of their own that share \
            storage. What the branch has and SRC has not stays, unless --delete. Bytes that the branch holds already are not uploaded \
            again; an import that was interrupted goes on where it stopped when it is run again.

            SRC may be a link to a directory. When it is a file, the file comes to lie in --to under its own name.

            Patterns say what is passed over, as in a .gitignore: those of the file .tarnignore at the top of SRC, one a line, then \
            those of --exclude; the last that matches decides. '*' and '?' stop at '/', '**' does not; a '/' in front or within \
            means from the top, one at the end means directories only; '!' takes back; '#' begins a comment. --delete removes \
            nothing from the branch that is passed over or cannot be read in SRC.

              tarn import . -m "Load" --exclude '*.tmp' --exclude /scratch/
            """)

    @Argument(help: "The directory, or one file.") var source: String
    @Option(help: "The branch.") var branch: String = Repository.defaultBranch
    @Option(name: .customLong("to"), help: ArgumentHelp("Where in the tree.", valueName: "path")) var destination:
        String = ""
    @Option(name: .shortAndLong, help: "What this is.") var message: String
    @OptionGroup var metadata: MetadataArguments
    @Flag(name: .customLong("delete"), help: "Remove what is below --to but not in SRC.") var removesOthers = false
    @Flag(name: .customLong("owners"), help: "Record user and group ids.") var keepsOwners = false
    @Option(name: .customLong("exclude"), help: ArgumentHelp("Pass over what matches.", valueName: "pattern"))
    var exclusions: [String] = []
    @Flag(name: .customLong("one-file-system"), help: "Do not enter directories on other filesystems.")
    var staysOnFileSystem = false
    @OptionGroup var empty: EmptyArguments
    @OptionGroup var repository: RepositoryArguments
    @OptionGroup var author: AuthorArguments
    @OptionGroup var json: JSONArguments

    func run() throws {
        guard !source.contains("://") else {
            throw CommandFailure(
                message: "import takes a local file or directory, and '\(source)' is an address",
                hint: "Copy it here first ('aws s3 sync', 'rclone copy'), or name a directory where it is mounted",
                kind: .usage)
        }
        let info = CommitInfo(
            author: try author.resolve(), message: message, metadata: try metadata.parsed())
        tarn_return_large_memory()
        let repository = try repository.open()
        var options = ImportOptions()
        options.destination = try TreePath(parsing: destination)
        options.removesOthers = removesOthers
        options.keepsOwners = keepsOwners
        options.exclusions = exclusions.map { unescapedBytes($0) }
        options.staysOnFileSystem = staysOnFileSystem
        options.countsAhead = ProgressLine.isShown
        let progress = ImportProgress()
        let branch = try RefName.branch(branch)
        let imported = try empty.orNothing(on: branch, in: repository, json) {
            defer { tellSkipped(progress.current) }
            return try showingProgress({ progress.current.text($0) }) {
                try repository.importDirectory(source, into: branch, info, options: options, progress: progress)
            }
        }
        let counts = progress.current
        if let (published, seconds) = imported { try show(published, counts, seconds) }
        let unreadable = counts.unreadable.count
        guard unreadable > 0 else { return }
        writeError(
            "tarn: \(count(unreadable, "path")) could not be read; the branch keeps what it had there. Run the import again when they can be"
        )
        throw ExitCode(Code.incomplete.rawValue)
    }

    private func tellSkipped(_ counts: ImportProgress.Counts) {
        for leftOut in counts.skipped { writeError("tarn: left out \(leftOut.path): \(leftOut.reason)") }
    }

    private func show(_ published: Published, _ counts: ImportProgress.Counts, _ seconds: Double) throws {
        struct Result: Encodable {
            let commit: String
            let files: Int
            let directories: Int
            let bytes: UInt64
            let uploadedBytes: UInt64
            let reusedBytes: UInt64
            let seconds: Double
            let skipped: [String]
            let unreadable: [String]
            let excluded: Int
        }
        let result = Result(
            commit: published.commitID.hex, files: counts.files, directories: counts.directories, bytes: counts.bytes,
            uploadedBytes: counts.uploadedBytes, reusedBytes: counts.reusedBytes, seconds: seconds,
            skipped: counts.skipped.map { "\($0.path)" }, unreadable: counts.unreadable.map { "\($0.path)" },
            excluded: counts.excluded)
        try json.output.show(result) {
            """
            \(result.commit)
            Imported \(count(counts.files, "file")) (\(humanSize(counts.bytes))) in \(oneDecimal(seconds)) s; \
            uploaded \(humanSize(counts.uploadedBytes)), reused \(humanSize(counts.reusedBytes)).
            """
        }
    }
}

extension ImportProgress.Counts {
    fileprivate var unreadable: [LeftOut] { skipped.filter { $0.kind == .unreadable } }

    /// Files, bytes, rate and time left.
    fileprivate func text(_ seconds: Double) -> TerminalText {
        let rate = seconds > 0 ? Double(readBytes) / seconds : 0
        var text: TerminalText = "\(files)/\(totalFiles) files  \(humanSize(readBytes))/\(humanSize(totalBytes))"
        text += "  \(humanSize(UInt64(rate)))/s"
        if isTotalKnown, rate > 0, totalBytes > readBytes {
            text += "  \(Int(Double(totalBytes - readBytes) / rate) + 1) s left"
        }
        return text
    }
}
