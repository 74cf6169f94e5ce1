import ArgumentParser
import ObjectDatabase
import Operations
import ProllyTree
import Versioning

struct Branch: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List, create and delete branches.",
        subcommands: [ListBranches.self, CreateBranch.self, DeleteBranch.self], defaultSubcommand: ListBranches.self)

    struct ListBranches: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "List the branches.")
        @OptionGroup var repository: RepositoryArguments
        @OptionGroup var json: JSONArguments

        func run() throws { try listRefs(.branch, repository.open(), json.output) }
    }

    struct CreateBranch: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "create", abstract: "Create a branch; it costs the same however large the repository is.")
        @Argument(help: "Its name.") var name: String
        @Option(
            name: .customLong("from"),
            help: ArgumentHelp("Where it begins (default: the mounted revision, else main).", valueName: "rev"))
        var start: String?
        @OptionGroup var repository: RepositoryArguments
        @OptionGroup var author: AuthorArguments
        @OptionGroup var json: JSONArguments

        func run() throws {
            try createRef(
                .branch(name), start ?? self.repository.currentRevision(), nil, repository.open(), author, json.output)
        }
    }

    struct DeleteBranch: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "delete",
            abstract:
                "Delete a branch; its history of updates stays, and it can be created again from its last commit.",
            discussion: "Refuses while something is staged for the branch on this host.")
        @Argument(help: "Its name.") var name: String
        @Flag(help: "Also when something is staged for it. The workspace stays.") var force = false
        @OptionGroup var repository: RepositoryArguments
        @OptionGroup var author: AuthorArguments
        @OptionGroup var json: JSONArguments

        func run() throws {
            let opened = try repository.open()
            if !force { try refuseWhenStaged(for: .branch(name), opened, repository) }
            try deleteRef(.branch(name), opened, author, json.output)
        }
    }
}

struct Tag: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List, create and delete tags.",
        subcommands: [ListTags.self, CreateTag.self, DeleteTag.self], defaultSubcommand: ListTags.self)

    struct ListTags: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "List the tags.")
        @OptionGroup var repository: RepositoryArguments
        @OptionGroup var json: JSONArguments

        func run() throws { try listRefs(.tag, repository.open(), json.output) }
    }

    struct CreateTag: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "create", abstract: "Create a tag; it never moves afterwards.")
        @Argument(help: "Its name.") var name: String
        @Argument(help: "What it names (default: the mounted revision, else main).") var revision: String?
        @Option(name: .shortAndLong, help: "Why.") var message: String?
        @OptionGroup var repository: RepositoryArguments
        @OptionGroup var author: AuthorArguments
        @OptionGroup var json: JSONArguments

        func run() throws {
            try createRef(
                .tag(name), revision ?? self.repository.currentRevision(), message, repository.open(), author,
                json.output)
        }
    }

    struct DeleteTag: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "delete", abstract: "Delete a tag; its history of updates stays.")
        @Argument(help: "Its name.") var name: String
        @OptionGroup var repository: RepositoryArguments
        @OptionGroup var author: AuthorArguments
        @OptionGroup var json: JSONArguments

        func run() throws { try deleteRef(.tag(name), repository.open(), author, json.output) }
    }
}

private struct RefJSON: Encodable {
    let name: String
    let commit: String
    var movedBy: String?
    var movedAt: String?
}

private func listRefs(_ kind: RefName.Kind, _ repository: Repository, _ output: Output) throws {
    let refs = try repository.database.listRefs(kind).map { snapshot, commit in
        RefJSON(
            name: snapshot.name.name, commit: commit.hex, movedBy: snapshot.newestUpdate.who,
            movedAt: snapshot.newestUpdate.when.rfc3339)
    }
    try output.show(refs) {
        table(
            refs.map {
                [
                    output.paint("\($0.name)", .green), "\($0.commit.prefix(12))", "\($0.movedAt ?? "")",
                    "\($0.movedBy ?? "")",
                ]
            })
    }
}

private func createRef(
    _ name: RefName, _ start: String, _ why: String?, _ repository: Repository, _ author: AuthorArguments,
    _ output: Output
) throws {
    let found = try repository.database.resolve(start)
    let commit = found.commitID
    let who = try author.resolve()
    let isMain = found.ref == (try .branch(Repository.defaultBranch))
    try repository.createRef(
        name, at: commit, who: who, why: why ?? "Create from \(start)", main: isMain ? commit : nil)
    try output.show(RefJSON(name: name.name, commit: commit.hex)) { "\(commit.hex)" }
}

private func deleteRef(_ name: RefName, _ repository: Repository, _ author: AuthorArguments, _ output: Output) throws {
    let commit = try repository.deleteRef(name, who: try author.resolve(), why: "Delete \(name.name)")
    try output.show(RefJSON(name: name.name, commit: commit.hex)) {
        "Deleted '\(name.name)', which was at \(commit.hex)"
    }
}
