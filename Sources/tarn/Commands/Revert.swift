import ArgumentParser
import ErrorMessages
import ObjectDatabase
import Operations
import ProllyTree
import Versioning

/// How conflicts are to be decided: `--ours`, `--theirs`, `--resolve 'GLOB=ours'`.
struct StrategyArguments: ParsableArguments {
    @Flag(help: "In conflicts take the destination's version.") var ours = false
    @Flag(help: "In conflicts take the version that is brought in.") var theirs = false
    @Option(
        help: ArgumentHelp(
            "Decide paths by a pattern: 'tables/**=theirs' (ours, theirs or base); may be repeated, the first that matches decides.",
            valueName: "glob=side"))
    var resolve: [String] = []

    private static let sides: [String: Resolution] = ["ours": .current, "theirs": .incoming, "base": .base]

    func strategy() throws -> MergeStrategy {
        guard !(ours && theirs) else { throw CommandFailure(message: "say --ours or --theirs, not both", kind: .usage) }
        var strategy = MergeStrategy(otherwise: ours ? .current : theirs ? .incoming : nil)
        for text in resolve {
            guard let cut = text.lastIndex(of: "="),
                let resolution = Self.sides[String(text[text.index(after: cut)...])]
            else {
                throw CommandFailure(
                    message: "'\(text)' decides nothing", hint: "Write --resolve 'GLOB=ours' (or theirs, base)",
                    kind: .usage)
            }
            strategy.patterns.append((Glob(String(text[..<cut])), resolution))
        }
        return strategy
    }
}

/// The branch that a command changes when none is named: the one mounted here, else main.
private func branchHere(
    _ named: String?, _ arguments: RepositoryArguments, _ repository: Repository
) throws -> RefName {
    if let named { return try .branch(named) }
    guard let mounted = arguments.mountHere()?.revision,
        let branch = try? RefName.branch(mounted), try repository.database.head(of: branch) != nil
    else { return try .branch(Repository.defaultBranch) }
    return branch
}

struct Revert: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Take back what a commit changed, by a new commit.",
        discussion: """
            A merge is taken back relative to its first parent: everything that it brought in. What was changed since stays; where that \
            is the same path, it is a conflict (exit code 3). Allowed on protected branches, through their gates.
            """)
    @Argument(help: "The commit to take back.") var revision: String
    @Option(
        name: .customLong("on"),
        help: ArgumentHelp("The branch (default: the mounted one, else main).", valueName: "branch"))
    var branch: String?
    @Option(name: .shortAndLong, help: "Why.") var message: String?
    @OptionGroup var metadata: MetadataArguments
    @OptionGroup var strategy: StrategyArguments
    @OptionGroup var empty: EmptyArguments
    @OptionGroup var repository: RepositoryArguments
    @OptionGroup var author: AuthorArguments
    @OptionGroup var json: JSONArguments

    func run() throws {
        let repository = try repository.open()
        let branch = try branchHere(branch, self.repository, repository)
        let found = try repository.database.resolve(revision)
        let info = CommitInfo(
            author: try author.resolve(), message: message ?? "Revert \"\(found.commit.subject)\"",
            metadata: try metadata.parsed())
        try empty.publish(on: branch, in: repository, json) {
            try repository.revert(found, on: branch, info, strategy: strategy.strategy())
        }
    }
}

struct Restore: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make a branch, or paths of it, equal to an earlier commit, by a new commit.",
        discussion: """
            Everything that came since is taken back in one step, over any number of merges, and stays in the history. With PATHs only they \
            and what is below them are made equal; what the earlier commit does not have there is removed. Allowed on protected branches, \
            through their gates (those of merges are asked, too).

              tarn restore --on main --to release-2026-11-20 -m "Roll back to Friday"
              tarn restore --on main --to main~3 tables/orders
            """)
    @Argument(help: "Paths in the tree (default: all).") var paths: [String] = []
    @Option(
        name: .customLong("to"),
        help: ArgumentHelp(
            "The commit to be equal to (default: the first parent of the branch's head).", valueName: "rev"))
    var revision: String?
    @Option(
        name: .customLong("on"),
        help: ArgumentHelp("The branch (default: the mounted one, else main).", valueName: "branch"))
    var branch: String?
    @Option(name: .shortAndLong, help: "Why.") var message: String?
    @OptionGroup var metadata: MetadataArguments
    @OptionGroup var empty: EmptyArguments
    @OptionGroup var repository: RepositoryArguments
    @OptionGroup var author: AuthorArguments
    @OptionGroup var json: JSONArguments

    func run() throws {
        let repository = try repository.open()
        let branch = try branchHere(branch, self.repository, repository)
        let revision = revision ?? "\(branch.name)~1"
        let found = try repository.database.resolve(revision)
        let info = CommitInfo(
            author: try author.resolve(),
            message: message ?? "Restore \(paths.isEmpty ? "" : paths.joined(separator: ", ") + " ")to \(revision)",
            metadata: try metadata.parsed())
        let paths = try paths.map { text in try TreePath(parsing: text) }
        try empty.publish(on: branch, in: repository, json) { try repository.restore(found, paths, on: branch, info) }
    }
}

struct CherryPick: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cherry-pick", abstract: "Do what a commit changed on another branch, too, by a new commit.")
    @Argument(help: "The commit whose changes to take.") var revision: String
    @Option(
        name: .customLong("on"),
        help: ArgumentHelp("The branch (default: the mounted one, else main).", valueName: "branch"))
    var branch: String?
    @Option(name: .shortAndLong, help: "What this is (default: the commit's own message).") var message: String?
    @OptionGroup var metadata: MetadataArguments
    @OptionGroup var strategy: StrategyArguments
    @OptionGroup var empty: EmptyArguments
    @OptionGroup var repository: RepositoryArguments
    @OptionGroup var author: AuthorArguments
    @OptionGroup var json: JSONArguments

    func run() throws {
        let repository = try repository.open()
        let branch = try branchHere(branch, self.repository, repository)
        let found = try repository.database.resolve(revision)
        let info = CommitInfo(
            author: try author.resolve(), message: message ?? found.commit.message,
            metadata: try metadata.parsed())
        try empty.publish(on: branch, in: repository, json) {
            try repository.cherryPick(found, on: branch, info, strategy: strategy.strategy())
        }
    }
}

struct Reset: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Point a branch at another commit.",
        discussion: """
            Nothing is deleted, and the move is recorded: the command prints where the branch was, and resetting to that undoes it \
            ('tarn audit log --ref BRANCH' has it later, too). Protected branches refuse it.
            """)
    @Argument(help: "The branch.") var branch: String
    @Argument(help: "Where it is to point.") var revision: String
    @Option(name: .shortAndLong, help: "Why.") var message: String?
    @OptionGroup var repository: RepositoryArguments
    @OptionGroup var author: AuthorArguments
    @OptionGroup var json: JSONArguments

    func run() throws {
        let repository = try repository.open()
        let found = try repository.database.resolve(revision)
        let old = try repository.reset(
            .branch(branch), to: found.commitID, who: author.resolve(), why: message ?? "Reset to \(revision)")
        struct Result: Encodable {
            let commit: String
            let previous: String
            let branch: String
        }
        try json.output.show(Result(commit: found.commitID.hex, previous: old.hex, branch: branch)) {
            "\(found.commitID.hex)\n\(branch) was at \(old.hex); 'tarn reset \(branch) \(old.hex.prefix(12))' undoes this"
        }
    }
}

extension Commit {
    /// The first line of the message.
    var subject: String { message.split(separator: "\n").first.map(String.init) ?? "" }
}
