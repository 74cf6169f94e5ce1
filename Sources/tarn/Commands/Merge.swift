import ArgumentParser
import ErrorMessages
import ObjectDatabase
import Operations
import ProllyTree
import Versioning

struct Merge: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Bring the changes of one branch into another, in one atomic step.",
        discussion: """
            Three-way, path by path and field by field (content, mode, owner, attributes). A path that both sides changed differently is a \
            conflict: nothing is changed and the exit code is 3, unless --ours (the destination's version) or --theirs (the source's). \
            --resolve decides by patterns of paths. A merge commit is made even where the destination could simply move, unless --ff-only. \
            The destination's protection rules and hooks are asked about the exact result before it is published. When the destination has \
            everything already, that is said, the commit that brought it in is printed, and the exit code is 0.
            """)

    @Argument(help: "The branch, tag or commit to bring in.") var source: String
    @Option(name: .customLong("into"), help: ArgumentHelp("The branch to change.", valueName: "branch"))
    var destination: String = Repository.defaultBranch
    @Option(name: .shortAndLong, help: "What this is.") var message: String?
    @OptionGroup var metadata: MetadataArguments
    @OptionGroup var strategy: StrategyArguments
    @Flag(name: .customLong("ff-only"), help: "Only move the branch, if it has no commit of its own.")
    var fastForwardOnly = false
    @Flag(help: "One commit, without the source's history.") var squash = false
    @Flag(help: "Only say what would change, or conflict.") var dryRun = false
    @OptionGroup var empty: EmptyArguments
    @OptionGroup var repository: RepositoryArguments
    @OptionGroup var author: AuthorArguments
    @OptionGroup var json: JSONArguments

    func run() throws {
        guard !(squash && fastForwardOnly) else {
            throw CommandFailure(message: "--squash makes a commit, and --ff-only makes none", kind: .usage)
        }
        let repository = try repository.open()
        let info = CommitInfo(
            author: try author.resolve(), message: message ?? "Merge \(source) into \(destination)",
            metadata: try metadata.parsed())
        if dryRun { return try preview(repository) }
        var options = MergeOptions()
        options.strategy = try strategy.strategy()
        options.fastForwardOnly = fastForwardOnly
        options.squash = squash
        let branch = try RefName.branch(destination)
        try empty.publish(on: branch, in: repository, json) {
            try repository.merge(
                repository.database.resolve(source), named: source, into: branch, info, options: options)
        }
    }

    private func preview(_ repository: Repository) throws {
        let preview = try repository.previewMerge(
            repository.database.resolve(source), named: source, into: .branch(destination), strategy.strategy())
        guard preview.conflicts.isEmpty else {
            throw RepositoryError.conflicts(preview.conflicts, head: preview.head, seenFrom: .current)
        }
        let lines = summarize(preview.changes)
        let output = json.output
        try output.show(lines.map(ChangeJSON.init)) {
            lines.map { changeText($0, output) }.joined(separator: "\n")
        }
    }
}
