import ArgumentParser
import ObjectDatabase
import Operations
import Versioning

struct Retention: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "How long the commits of branches stay.",
        discussion: """
            A rule names branches by a pattern: '*' stands for anything but '/', '**' for anything. A commit stays as long as any \
            rule of any branch that showed it keeps it. A branch's head always stays, tags stay for ever, and so does all that \
            branches without a rule ever showed. The rules take effect when 'tarn gc --delete' runs.

              tarn retention set 'ingest/**' --days 30
              tarn retention set main --days 365 --commits 100     whichever keeps more
              tarn gc                                              what would go
            """,
        subcommands: [RetentionList.self, RetentionSet.self, RetentionRemove.self],
        defaultSubcommand: RetentionList.self)

    struct RetentionList: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "List the rules.")
        @OptionGroup var repository: RepositoryArguments
        @OptionGroup var json: JSONArguments

        func run() throws { try showRules(repository.open().retention(), json.output) }
    }

    struct RetentionSet: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "set", abstract: "Add a rule, or change the one of the same pattern.")
        @Argument(help: "Which branches: main, 'ingest/*', '**'.") var branches: String
        @Option(help: ArgumentHelp("Keep what the branch showed in so many days.", valueName: "n")) var days: Int?
        @Option(help: ArgumentHelp("Keep its newest so many commits.", valueName: "n")) var commits: Int?
        @OptionGroup var repository: RepositoryArguments
        @OptionGroup var author: AuthorArguments
        @OptionGroup var json: JSONArguments

        func validate() throws {
            guard days != nil || commits != nil else {
                throw ValidationError("Give --days, --commits or both.")
            }
            guard (days ?? 0) >= 0, (commits ?? 1) >= 1, (days ?? 0) <= 100_000 else {
                throw ValidationError("--days is a number from 0, --commits one from 1.")
            }
            guard !branches.isEmpty else { throw ValidationError("The pattern is empty.") }
        }

        func run() throws {
            let rule = RetentionRule(
                branches: branches, days: days, commits: commits, who: try author.resolve(), when: now())
            try showRules(repository.open().setRetention(branches, to: rule, who: rule.who), json.output)
        }
    }

    struct RetentionRemove: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "remove", abstract: "Remove a rule: what is there stays for ever.")
        @Argument(help: "The rule's pattern, as 'list' shows it.") var branches: String
        @OptionGroup var repository: RepositoryArguments
        @OptionGroup var author: AuthorArguments
        @OptionGroup var json: JSONArguments

        func run() throws {
            try showRules(repository.open().setRetention(branches, to: nil, who: author.resolve()), json.output)
        }
    }
}

private func showRules(_ rules: RetentionRules, _ output: Output) throws {
    try output.show(rules.rules) {
        if rules.rules.isEmpty { return "No rules: everything stays for ever." }
        return table(
            rules.rules.map { rule in
                [
                    output.paint("\(rule.branches)", .yellow), rule.days.map { "\(count($0, "day"))" } ?? "-",
                    rule.commits.map { "\(count($0, "commit"))" } ?? "-", "\(rule.who)",
                    "\(rule.when.rfc3339.prefix(10))",
                ]
            })
    }
}
