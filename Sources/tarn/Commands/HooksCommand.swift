import ArgumentParser
import ErrorMessages
import ObjectDatabase
import Operations
import ProllyTree
import Versioning

struct HooksCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hooks", abstract: "The gates of a branch: what its .tarn/hooks.yaml runs before and after moves.",
        discussion: """
            The destination's own .tarn/hooks.yaml decides, and its programs are the destination's own: a command starts in a read-only \
            mount of the tree that the destination shows now ($TARN_GATE). What would be published is mounted at $TARN_MOUNT (at: \
            /lake shows it there), and the changed paths are in the file $TARN_CHANGES. It gets few variables of this host, no \
            credentials and an empty HOME, unless env: names them. Anything but exit code 0 refuses the operation (exit code 4).

              hooks:
                - name: row-counts
                  on: pre-merge            # or a list: [pre-commit, pre-merge]
                  branches: [main, release/*]
                  run: python3 .tarn/gates/row_counts.py "$TARN_MOUNT" "$TARN_CHANGES"
                  timeout: 10m
                - name: tell-the-team
                  on: post-merge
                  url: https://example.org/hook
                  secret: HOOK_SECRET      # a variable: signs the body (X-Tarn-Signature)

            Events: pre- and post- with commit, merge, revert, restore, reset, create-branch, delete-branch, create-tag, delete-tag. Hooks of an \
            event run at the same time, unless 'after: [name]' says otherwise.
            """,
        subcommands: [ListHooks.self, RunHooks.self, HooksLog.self, TrustHooks.self], defaultSubcommand: ListHooks.self)

    struct ListHooks: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "List the hooks of a branch.")
        @Argument(help: "The branch or revision (default: the mounted one, else main).") var revision: String?
        @OptionGroup var repository: RepositoryArguments
        @OptionGroup var json: JSONArguments

        func run() throws {
            let repository = try repository.open()
            let commit = try repository.database.resolve(revision ?? self.repository.currentRevision()).commitID
            struct HookJSON: Encodable {
                let name: String
                let on: [String]
                let branches: [String]
                let tags: [String]
                let action: String
                let timeoutSeconds: Double
                let after: [String]
            }
            struct Result: Encodable {
                let file: String?
                let isTrusted: Bool
                let hooks: [HookJSON]
            }
            let found = try repository.hookFile(in: commit)
            let result = Result(
                file: found?.file.hex,
                isTrusted: try found.map { try TrustedHooks(repository).contains($0.programs.digest) } ?? false,
                hooks: (found?.hooks ?? []).map { hook in
                    HookJSON(
                        name: hook.name, on: hook.events.sorted(), branches: hook.branches, tags: hook.tags,
                        action: hook.action.text, timeoutSeconds: hook.timeoutSeconds, after: hook.after)
                })
            try json.output.show(result) {
                guard let file = result.file else { return "" }
                let lines = table(
                    result.hooks.map {
                        [
                            "\($0.name)", "\($0.on.joined(separator: ","))",
                            "\(($0.branches + $0.tags.filter { $0 != "**" }).joined(separator: ","))", "\($0.action)",
                        ]
                    })
                return
                    "\(lines)\n\(Repository.hooksPath) \(file.prefix(12)) is \(result.isTrusted ? "" : "not ")trusted"
            }
        }
    }

    struct RunHooks: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "run", abstract: "Run a branch's hooks on a revision, without publishing anything.")
        @Argument(help: "What is to be judged: the branch or commit that would be merged or committed.") var revision:
            String
        @Option(name: .customLong("into"), help: ArgumentHelp("The branch whose hooks run.", valueName: "branch"))
        var destination: String = Repository.defaultBranch
        @Flag(help: "As a commit (default: as a merge).") var asCommit = false
        @OptionGroup var repository: RepositoryArguments
        @OptionGroup var author: AuthorArguments

        func run() throws {
            let opened = try repository.open()
            let branch = try RefName.branch(destination)
            let source = try opened.database.resolve(revision).commitID
            let tried = try opened.tryHooks(
                on: branch, source, as: asCommit ? .commit : .merge, who: author.resolve(),
                with: CommandHookRunner(store: repository.store, keepsRecords: false))
            writeError(
                tried == 0
                    ? "tarn: '\(branch.name)' has no hook for this; nothing was run" : "tarn: every hook passed")
        }
    }

    struct HooksLog: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "log", abstract: "What hooks did and said, oldest first.")
        @Argument(help: "Only about this commit.") var revision: String?
        @OptionGroup var repository: RepositoryArguments
        @OptionGroup var json: JSONArguments

        func run() throws {
            let repository = try repository.open()
            struct RecordJSON: Encodable {
                let id: String
                let record: HookRecord
            }
            let records = try repository.hookRecords(of: revision.map { try repository.database.resolve($0).commitID })
            let output = json.output
            try output.show(records.map { RecordJSON(id: $0.id.hex, record: $0.record) }) {
                records.map { _, record in
                    let verdict = output.paint("\(record.verdict.rawValue)", record.verdict == .passed ? .green : .red)
                    let head: TerminalText = """
                        \(record.started.rfc3339.prefix(19))Z  \(record.ref)  \(record.commit.hex.prefix(12))  \
                        \(record.event)  \(record.hook)  \(verdict)
                        """
                    let said = TerminalText.lines(of: record.output).filter { !$0.isEmpty }.map { "    " + $0 }
                    return ([head] + said).joined(separator: "\n")
                }.joined(separator: "\n")
            }
        }
    }

    struct TrustHooks: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "trust", abstract: "Let the hooks of a branch run on this host, exactly as they are now.",
            discussion: """
                Hooks are commands that came with the data: read them, and the programs that they run, before you trust them. They are \
                printed. Trust is of the hooks file, of all files below .tarn/, of what 'programs:' names, and of the files that the \
                commands name with the directories these lie in; when one of them changes, trust must be given anew. In automation \
                set TARN_TRUST_HOOKS to the digest that is printed here, or to 'all'.
                """)
        @Argument(help: "The branch or revision (default: the mounted one, else main).") var revision: String?
        @Flag(name: .customLong("print"), help: "Only print what would be trusted.") var onlyPrints = false
        @OptionGroup var repository: RepositoryArguments
        @OptionGroup var json: JSONArguments

        func run() throws {
            let repository = try repository.open()
            let commit = try repository.database.resolve(revision ?? self.repository.currentRevision()).commitID
            guard let found = try repository.hookFile(in: commit) else {
                throw CommandFailure(message: "it has no \(Repository.hooksPath)", kind: .notFound)
            }
            if !onlyPrints { try TrustedHooks(repository).add(found.programs.digest) }
            struct FileJSON: Encodable {
                let path: JSONPath
                let content: String
            }
            struct Result: Encodable {
                let digest: String
                let isTrusted: Bool
                let commands: [String]
                let programs: [FileJSON]
            }
            let digest = found.programs.digest
            let result = Result(
                digest: digest.hex, isTrusted: try TrustedHooks(repository).contains(digest),
                commands: found.hooks.map(\.action.text),
                programs: found.programs.files.map { FileJSON(path: JSONPath($0.path), content: $0.content.hex) })
            try json.output.show(result) {
                let hooks: [TerminalText] = found.hooks.map { hook in
                    let facts = [hook.events.sorted().joined(separator: ", ")] + hook.action.facts
                    let lines = TerminalText.lines(of: hook.action.text).filter { !$0.isEmpty }
                    let head: TerminalText = "\(hook.name)  (\(facts.joined(separator: "; ")))"
                    return lines.count == 1
                        ? head + ": " + lines[0] : ([head + ":"] + lines.map { "    " + $0 }).joined(separator: "\n")
                }
                let programs: [TerminalText] = found.programs.files.map { "  \($0.content.hex.prefix(12))  \($0.path)" }
                let verdict: TerminalText = onlyPrints ? "Not changed. The digest is: \(digest)" : "Trusted: \(digest)"
                return (hooks + programs + [verdict]).joined(separator: "\n")
            }
        }
    }
}

extension Hook.Action {
    /// What a command gets of this host.
    fileprivate var facts: [String] {
        switch self {
        case .command(let command):
            (command.variables.isEmpty ? [] : ["env \(command.variables.joined(separator: " "))"])
                + (command.place.map { ["at \($0)"] } ?? [])
        case .webhook(_, let secret, _): secret.map { ["secret \($0)"] } ?? []
        }
    }

    var text: String {
        switch self {
        case .command(let command): command.text
        case .webhook(let url, _, _): url
        }
    }
}
