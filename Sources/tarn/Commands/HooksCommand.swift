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
            The destination's own .tarn/hooks.yaml decides. A command gets a read-only mount of the exact tree to be published in \
            $TARN_MOUNT, the changed paths in the file $TARN_CHANGES, and TARN_EVENT, TARN_BRANCH, TARN_COMMIT, TARN_PARENT, \
            TARN_SOURCE, TARN_AUTHOR and TARN_MESSAGE. Anything but exit code 0 refuses the operation (exit code 4).

              hooks:
                - name: row-counts
                  on: pre-merge            # or a list: [pre-commit, pre-merge]
                  branches: [main, release/*]
                  run: python3 checks/row_counts.py "$TARN_MOUNT"
                  timeout: 10m
                - name: tell-the-team
                  on: post-merge
                  url: https://example.org/hook
                  secret: HOOK_SECRET      # a variable: signs the body (X-Tarn-Signature)

            Events: pre- and post- with commit, merge, revert, reset, create-branch, delete-branch, create-tag, delete-tag. Hooks of an \
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
            let commit = try repository.database.resolve(revision ?? currentRevision()).commitID
            struct HookJSON: Encodable {
                let name: String
                let on: [String]
                let refs: [String]
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
                isTrusted: try found.map { try TrustedHooks(repository).contains($0.file) } ?? false,
                hooks: (found?.hooks ?? []).map { hook in
                    HookJSON(
                        name: hook.name, on: hook.events.sorted(), refs: hook.refs, action: hook.action.text,
                        timeoutSeconds: hook.timeoutSeconds, after: hook.after)
                })
            try json.output.show(result) {
                guard let file = result.file else { return "" }
                let lines = table(
                    result.hooks.map {
                        [
                            "\($0.name)", "\($0.on.joined(separator: ","))", "\($0.refs.joined(separator: ","))",
                            "\($0.action)",
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
            commandName: "trust", abstract: "Let the hooks file of a branch run on this host, exactly as it is now.",
            discussion: """
                Hooks are commands that came with the data: read them before you trust them. They are printed. In automation set \
                TARN_TRUST_HOOKS to the file's content id (printed here), or to 'all'.
                """)
        @Argument(help: "The branch or revision (default: the mounted one, else main).") var revision: String?
        @OptionGroup var repository: RepositoryArguments

        func run() throws {
            let repository = try repository.open()
            let commit = try repository.database.resolve(revision ?? currentRevision()).commitID
            guard let (hooks, file) = try repository.hookFile(in: commit) else {
                throw CommandFailure(message: "it has no \(Repository.hooksPath)", kind: .notFound)
            }
            try TrustedHooks(repository).add(file)
            for hook in hooks {
                try StandardStreams.write(
                    line: "\(hook.name)  (\(hook.events.sorted().joined(separator: ", "))): \(hook.action.text)")
            }
            try StandardStreams.write(line: "Trusted: \(file.hex)")
        }
    }
}

extension Hook.Action {
    var text: String {
        switch self {
        case .command(let command): command
        case .webhook(let url, _, _): url
        }
    }
}
