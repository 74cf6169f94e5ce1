import ArgumentParser
import ErrorMessages
import ObjectDatabase
import Operations
import ProllyTree
import Versioning

struct Protect: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Rules that keep branches and tags from being changed but by merges.",
        discussion: """
            A protected branch takes merges, reverts and restores, through its hooks; commits, imports, cherry-picks, resets and its \
            deletion are refused (exit code 4). To create it is a merge into nothing: it needs the same approvals and passes the same \
            hooks. The rules lie in the repository, and changing them is recorded in the audit trail. They bind \
            clients of Tarn; docs/howto/s3-and-credentials.md has the bucket policy that binds everyone else.
            """,
        subcommands: [ListRules.self, AddRule.self, RemoveRule.self], defaultSubcommand: ListRules.self)

    struct ListRules: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "List the rules.")
        @OptionGroup var repository: RepositoryArguments
        @OptionGroup var json: JSONArguments

        func run() throws {
            try show(try repository.open().protectionRules().rules, json.output)
        }
    }

    struct AddRule: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "add", abstract: "Protect the branches that a pattern names, or change its rule.")
        @Argument(help: "A branch, or a pattern: release/*, ** for all; tags/v* for tags.") var pattern: String
        @Option(help: ArgumentHelp("How many people must have approved a merge ('tarn approve').", valueName: "count"))
        var approvals = 0
        @Flag(
            help: """
                Take only commits and approvals that are signed by whom they name ($TARN_ALLOWED_SIGNERS says by which keys).
                """)
        var signed = false
        @Option(name: .shortAndLong, help: "Why.") var message: String?
        @OptionGroup var repository: RepositoryArguments
        @OptionGroup var author: AuthorArguments
        @OptionGroup var json: JSONArguments

        func run() throws {
            guard (0...100).contains(approvals) else {
                throw CommandFailure(message: "--approvals is a number from 0 to 100", kind: .usage)
            }
            let rule = ProtectionRule(pattern: pattern, approvals: approvals, signed: signed)
            if let fault = ProtectionRule.fault(inPattern: pattern) {
                throw CommandFailure(message: "'\(pattern)' covers nothing: \(fault)", kind: .usage)
            }
            let rules = try repository.open().changeProtection(
                who: author.resolve(), why: message ?? "Protect \(pattern)"
            ) { rules in
                if let old = rules.rules.first(where: { $0.pattern == pattern }), old != rule {
                    writeError("tarn: this takes the place of: \(ruleText(old))")
                }
                return rules.adding(rule)
            }
            try show(rules, json.output)
        }
    }

    struct RemoveRule: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "remove", abstract: "Remove the rule of a pattern.")
        @Argument(help: "The pattern, exactly as it is listed.") var pattern: String
        @Option(name: .shortAndLong, help: "Why.") var message: String?
        @OptionGroup var repository: RepositoryArguments
        @OptionGroup var author: AuthorArguments
        @OptionGroup var json: JSONArguments

        func run() throws {
            let rules = try repository.open().changeProtection(
                who: author.resolve(), why: message ?? "Remove the protection of \(pattern)"
            ) { rules in
                guard rules.rules.contains(where: { $0.pattern == pattern }) else {
                    throw CommandFailure(
                        message: "there is no rule for '\(pattern)'", hint: "'tarn protect list' shows them",
                        kind: .notFound)
                }
                return ProtectionRules(rules.rules.filter { $0.pattern != pattern })
            }
            try show(rules, json.output)
        }
    }

    private static func ruleText(_ rule: ProtectionRule) -> TerminalText {
        "\(rule.pattern), \(count(rule.approvals, "approval"))\(rule.wantsSignatures ? ", signed" : "")"
    }

    private static func show(_ rules: ProtectionRules, _ output: Output) throws {
        try output.show(rules.rules) {
            table(
                rules.rules.map { rule in
                    [
                        output.paint("\(rule.pattern)", .green),
                        rule.approvals > 0 ? "\(count(rule.approvals, "approval"))" : "",
                        rule.wantsSignatures ? "signed" : "",
                    ]
                })
        }
    }
}

struct Approve: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Say that a commit may be merged into a protected branch.",
        discussion: """
            The approval is of exactly this commit: a branch that moves on needs a new one. Nobody's approval of a commit of their own \
            counts. Each approval is a ref update in the audit trail, and the merge names those it relied on.
            """)

    @Argument(help: "The branch, tag or commit to be merged.") var source: String
    @Option(
        name: .customLong("into"),
        help: ArgumentHelp(
            "The branch it may be merged into, or made at; a tag after 'tags/'.", valueName: "branch"))
    var destination: String = Repository.defaultBranch
    @Flag(help: "Approve that it be taken back from the branch ('tarn revert').") var revert = false
    @Flag(help: "Approve that the branch be made equal to it ('tarn restore').") var restore = false
    @Flag(help: "Take an approval of yours back.") var withdraw = false
    @Option(name: .shortAndLong, help: "Why.") var message: String?
    @OptionGroup var repository: RepositoryArguments
    @OptionGroup var author: AuthorArguments
    @OptionGroup var json: JSONArguments

    func run() throws {
        let repository = try repository.open()
        guard !(revert && restore) else {
            throw CommandFailure(message: "--revert and --restore are two different approvals", kind: .usage)
        }
        let tag = "tags/"
        let branch =
            destination.hasPrefix(tag)
            ? try RefName.tag(String(destination.dropFirst(tag.count))) : try .branch(destination)
        if try repository.database.head(of: branch) == nil {
            writeError(
                "tarn: there is no \(branch.kind == .tag ? "tag" : "branch") '\(branch.name)' yet; this lets it be made"
            )
        }
        let commit = try repository.database.resolve(source).commitID
        let approvals = try repository.approve(
            commit, for: revert ? .revert : restore ? .restore : .merge, of: branch, withdraw ? .withdraw : .approve,
            who: author.resolve(),
            why: message ?? "\(withdraw ? "Withdraw the approval of" : "Approve") \(source) for \(destination)")
        struct ApprovalJSON: Encodable {
            let who: String
            let when: String
            let why: String
            let movement: String
            let counts: Bool
        }
        struct Result: Encodable {
            let commit: String
            let branch: String
            let approvals: [ApprovalJSON]
        }
        let result = Result(
            commit: commit.hex, branch: destination,
            approvals: approvals.map {
                ApprovalJSON(
                    who: $0.who, when: $0.when.rfc3339, why: $0.why, movement: $0.refUpdateID.hex, counts: !$0.isOwn)
            })
        try json.output.show(result) {
            "\(commit.hex.prefix(12)) has \(count(approvals.count { !$0.isOwn }, "approval")) for \(destination)"
                + approvals.map { approval in
                    "\n  \(approval.who)  \(approval.when.rfc3339.prefix(19))Z"
                        + (approval.isOwn ? "  does not count: the commit is their own" : "")
                }.joined()
        }
    }
}
