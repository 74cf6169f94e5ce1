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
        abstract: "Copy a local directory into a branch, as one commit.",
        discussion: """
            Everything a directory holds is kept: names in any bytes, empty files and directories, symbolic links, modes, times to the \
            nanosecond, holes. Sockets, pipes and devices are named and left out. Hard links become files of their own that share \
            storage. What the branch has and SRC has not stays, unless --delete. Bytes that the branch holds already are not uploaded \
            again; an import that was interrupted goes on where it stopped when it is run again.
            """)

    @Argument(help: "The directory.") var source: String
    @Option(help: "The branch.") var branch: String = Repository.defaultBranch
    @Option(name: .customLong("to"), help: ArgumentHelp("Where in the tree.", valueName: "path")) var destination:
        String = ""
    @Option(name: .shortAndLong, help: "What this is.") var message: String
    @OptionGroup var metadata: MetadataArguments
    @Flag(name: .customLong("delete"), help: "Remove what is below --to but not in SRC.") var removesOthers = false
    @Flag(name: .customLong("owners"), help: "Record user and group ids.") var keepsOwners = false
    @OptionGroup var empty: EmptyArguments
    @OptionGroup var repository: RepositoryArguments
    @OptionGroup var author: AuthorArguments
    @OptionGroup var json: JSONArguments

    func run() throws {
        let info = CommitInfo(
            author: try author.resolve(), message: message, metadata: try metadata.parsed())
        tarn_return_large_memory()
        let repository = try repository.open()
        var options = ImportOptions()
        options.destination = try TreePath(parsing: destination)
        options.removesOthers = removesOthers
        options.keepsOwners = keepsOwners
        options.countsAhead = ProgressLine.isShown
        let progress = ImportProgress()
        let branch = try RefName.branch(branch)
        let imported = try empty.orNothing(on: branch, in: repository, json) {
            try showingProgress({ progress.current.text($0) }) {
                try repository.importDirectory(source, into: branch, info, options: options, progress: progress)
            }
        }
        let counts = progress.current
        for (path, reason) in counts.skipped { writeError("tarn: left out \(path): \(reason)") }
        if let (published, seconds) = imported { try show(published, counts, seconds) }
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
        }
        let result = Result(
            commit: published.commitID.hex, files: counts.files, directories: counts.directories, bytes: counts.bytes,
            uploadedBytes: counts.uploadedBytes, reusedBytes: counts.reusedBytes, seconds: seconds,
            skipped: counts.skipped.map { "\($0.path)" })
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
    /// Files, bytes, rate and time left.
    fileprivate func text(_ seconds: Double) -> TerminalText {
        let rate = seconds > 0 ? Double(bytes) / seconds : 0
        var text: TerminalText = "\(files)/\(totalFiles) files  \(humanSize(bytes))/\(humanSize(totalBytes))"
        text += "  \(humanSize(UInt64(rate)))/s"
        if isTotalKnown, rate > 0, totalBytes > bytes {
            text += "  \(Int(Double(totalBytes - bytes) / rate) + 1) s left"
        }
        return text
    }
}
