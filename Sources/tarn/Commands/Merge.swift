import ArgumentParser
import ProllyTree
import Repository
import Versioning

struct Merge: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Bring the changes of one branch into another, in one atomic step.",
        discussion: """
            Three-way, path by path and field by field (content, mode, owner, attributes). A path that both sides changed differently is a \
            conflict: nothing is changed and the exit code is 3, unless --ours (the destination's version) or --theirs (the source's). \
            A merge commit is made even where the destination could simply move, unless --ff-only.
            """)

    @Argument(help: "The branch, tag or commit to bring in.") var source: String
    @Option(name: .customLong("into"), help: ArgumentHelp("The branch to change.", valueName: "branch"))
    var destination: String = Repository.defaultBranch
    @Option(name: .shortAndLong, help: "What this is.") var message: String?
    @Option(name: .customLong("meta"), help: ArgumentHelp("Metadata to record.", valueName: "key=value")) var metadata:
        [String] = []
    @Flag(help: "In conflicts take the destination's version.") var ours = false
    @Flag(help: "In conflicts take the source's version.") var theirs = false
    @Flag(name: .customLong("ff-only"), help: "Only move the branch, if it has no commit of its own.")
    var fastForwardOnly = false
    @OptionGroup var repository: RepositoryArguments
    @OptionGroup var author: AuthorArguments
    @OptionGroup var json: JSONArguments

    func run() throws {
        guard !(ours && theirs) else { throw CommandFailure(message: "say --ours or --theirs, not both", code: .usage) }
        let repository = try repository.open()
        let info = CommitInfo(
            author: try author.resolve(), message: message ?? "Merge \(source) into \(destination)",
            metadata: try parseMetadata(metadata))
        let published = try repository.merge(
            repository.resolve(source), named: source, into: .branch(destination), info,
            strategy: ours ? .ours : theirs ? .theirs : .report, fastForwardOnly: fastForwardOnly)
        struct Result: Encodable {
            let commit: String
            let previous: String
            let branch: String
        }
        let result = Result(
            commit: published.commitID.hex, previous: published.previous.hex, branch: destination)
        try json.output.show(result) { result.commit }
    }
}
