import ArgumentParser
import BlockingIO
import ObjectDatabase
import Operations
import ProllyTree
import Staging
import Versioning

struct CommitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "commit", abstract: "Publish what is staged, in one atomic step.",
        discussion: """
            Writers may go on meanwhile: what they write after the commit began is staged for the next one. If others have committed to \
            the branch, their changes are merged with yours; a path that both changed is a conflict: nothing is published, your changes \
            stay staged, and the exit code is 3. Decide with 'tarn resolve' (or edit the file), then commit again. When nothing is staged, \
            that is said, the head of the branch is printed, and the exit code is 0 (--fail-if-empty: 6).
            """)

    @Option(name: .shortAndLong, help: "What this is.") var message: String
    @OptionGroup var metadata: MetadataArguments
    @OptionGroup var arguments: WorkspaceArguments
    @OptionGroup var empty: EmptyArguments
    @OptionGroup var author: AuthorArguments
    @OptionGroup var json: JSONArguments

    func run() throws {
        let info = CommitInfo(author: try author.resolve(), message: message, metadata: try metadata.parsed())
        let open = try OpenWorkspace(arguments)
        let lock = try CommitLock(open.workspace)
        let branch = try RefName.branch(open.workspace.info.branch)
        let line = Monitor(ProgressLine())
        let report: @Sendable (Int, UInt64) -> Void = { files, bytes in
            line.update { $0.show("\(count(files, "file")), \(humanSize(bytes)) uploaded") }
        }
        defer { line.update { $0.clear() } }
        let committed: StagedCommit?
        do {
            committed = try empty.orNothing(on: branch, in: open.repository, json) {
                defer { line.update { $0.clear() } }
                return try publish(open, info, progress: report)
            }
        } catch RepositoryError.conflicts(let conflicts, let head, let side) {
            let paths = Set(conflicts.map(\.path))
            try open.telling({ paths.contains($0.path) }) {
                writeFailure(RepositoryError.conflicts(conflicts, head: head, seenFrom: side))
            }
            throw ExitCode(Code.conflict.rawValue)
        }
        for file in try open.workspace.read({ try $0.specialFiles() }) {
            writeError("tarn: left out: \(file.path) (\(file.kind.words))")
        }
        if let committed { try open.telling { try show(committed, branch: branch.name) } }
        withExtendedLifetime(lock) {}
    }

    private func publish(
        _ open: OpenWorkspace, _ info: CommitInfo, progress: @escaping @Sendable (Int, UInt64) -> Void
    ) throws -> StagedCommit {
        if let mount = open.liveMount {
            return try open.repository.commitStaged(open.workspace, info, holder: mount, progress: progress)
        }
        let holder = LocalHolder(workspace: open.workspace, repository: open.repository)
        return try open.repository.commitStaged(open.workspace, info, holder: holder, progress: progress)
    }

    private func show(_ committed: StagedCommit, branch: String) throws {
        struct Result: Encodable {
            let commit: String
            let branch: String
            let changedPaths: Int
            let uploadedBytes: UInt64
            let laterConflicts: [JSONPath]
        }
        let result = Result(
            commit: committed.published.commitID.hex, branch: branch, changedPaths: committed.changedPaths,
            uploadedBytes: committed.uploadedBytes, laterConflicts: committed.laterConflicts.map(JSONPath.init))
        try json.output.show(result) {
            var text: TerminalText = """
                \(result.commit)
                Committed \(count(result.changedPaths, "path")) to \(branch); uploaded \(humanSize(result.uploadedBytes)).
                """
            for path in committed.laterConflicts {
                text +=
                    "\nC  \(path)  (changed here since, and by others: decide with 'tarn resolve' before the next commit)"
            }
            return text
        }
    }
}
