import ArgumentParser
import ErrorMessages
import Glibc
import Versioning

@main
struct Tarn: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tarn",
        abstract: "Version control for a data lake, mounted as a filesystem.",
        discussion: """
            A repository is a directory or a prefix in S3-compatible storage. Mount any commit, tag or branch as an ordinary directory \
            tree; what you write to a mounted branch is staged until you commit it.

              tarn init ./lake                      make a repository (or s3://bucket/prefix)
              tarn import ./data -m "First load"    copy a directory into it, as one commit
              tarn mount ./lake ./main --ref main   look at it
              tarn branch create work               a branch costs nothing
              tarn mount ./lake ./work --ref work --write
              cd work; …; tarn status; tarn commit -m "Clean the names"
              tarn merge work --into main -m "Publish"

            Which repository: --repo, else the mount that the current directory lies in, else $TARN_REPO. 'tarn -C DIR …' acts \
            from DIR. A revision is a commit id, a branch, a tag or a unique prefix of an id of 6 digits or more, then ~N, ^N \
            or @{date}: main~2, v1^2, main@{2026-01-31}, main@{3 days ago}. REV:path names a path in it.

            Exit codes: 0 done, 1 failed, 2 usage, 3 conflict, 4 refused, 5 not found, 6 nothing to commit (with --fail-if-empty), \
            7 done, but some files were left out.
            """,
        version: tarnVersion,
        groupedSubcommands: [
            CommandGroup(name: "Repositories", subcommands: [Init.self, Import.self, Export.self]),
            CommandGroup(
                name: "Mounts",
                subcommands: [
                    Mount.self, Unmount.self, Mounts.self, Run.self, Receipt.self, Stats.self, PrefetchCommand.self,
                    CacheCommand.self,
                ]),
            CommandGroup(
                name: "Staged changes",
                subcommands: [
                    Status.self, Diff.self, CommitCommand.self, Update.self, Discard.self, Resolve.self,
                    WorkspaceCommand.self,
                ]),
            CommandGroup(
                name: "Branches and tags",
                subcommands: [
                    Branch.self, Tag.self, Merge.self, Revert.self, Restore.self, CherryPick.self, Reset.self,
                ]),
            CommandGroup(name: "Gates", subcommands: [Protect.self, Approve.self, HooksCommand.self]),
            CommandGroup(
                name: "History and contents",
                subcommands: [
                    Log.self, Blame.self, Bisect.self, Show.self, List.self, Cat.self, StatCommand.self,
                ]),
            CommandGroup(
                name: "Storage",
                subcommands: [
                    GarbageCollection.self, Retention.self, DiskUsageCommand.self, Mirror.self,
                ]),
            CommandGroup(name: "Trust", subcommands: [Fsck.self, Audit.self, GateCommand.self]),
        ])

    static func main() {
        StandardStreams.open()
        signal(SIGPIPE, SIG_IGN)
        var arguments = Self.arguments()
        while arguments.first == "-C" {
            guard arguments.count >= 2 else { fail("'-C' needs a directory", code: .usage) }
            guard chdir(arguments[1]) == 0 else {
                fail("cannot go to \(arguments[1]): \(String(cString: strerror(errno)))", code: .failed)
            }
            arguments.removeFirst(2)
        }
        arguments = Spelling.mended(arguments)
        do {
            var command = try parseAsRoot(arguments)
            try command.run()
            StandardStreams.end(Code.done.rawValue)
        } catch {
            finish(error, arguments)
        }
    }

    /// The arguments, with bytes that are not UTF-8 escaped: file names may hold any.
    private static func arguments() -> [String] {
        (1..<max(1, Int(CommandLine.argc))).compactMap { index in
            CommandLine.unsafeArgv[index].map { argument in
                escapedText(UnsafeRawBufferPointer(start: argument, count: strlen(argument)))
            }
        }
    }

    /// Ends the process as `error` asks: usage errors as 2, our own by `describe`.
    private static func finish(_ error: any Error, _ arguments: [String]) -> Never {
        // The end of the process tells it.
        if error is OutputFailure { StandardStreams.end(Code.done.rawValue) }
        if let description = describe(error) {
            fail(description.text, hint: description.hint, code: description.kind.exitCode)
        }
        let code = Tarn.exitCode(for: error)
        // The parser has no words for what is neither ours nor its own.
        if code == .failure, !(error is ExitCode) { fail(logLine(of: error), code: .failed) }
        let text = TerminalText.lines(of: message(of: error, arguments)).joined(separator: "\n")
        if code == .success {
            // A failure is kept, and told at the end.
            try? StandardStreams.write(line: text)
            StandardStreams.end(Code.done.rawValue)
        }
        if !text.isEmpty { writeError(text) }
        StandardStreams.end(code == .validationFailure ? Code.usage.rawValue : code.rawValue)
    }

    /// What the argument parser says: text of ours, of several lines, with arguments in it as they were written. Those are
    /// made one line each.
    private static func message(of error: any Error, _ arguments: [String]) -> String {
        var text = fullMessage(for: error)
        for argument in arguments where argument.unicodeScalars.contains(where: isUnprintable) {
            text = text.replacing(argument, with: printableText(argument))
        }
        return text
    }
}

let tarnVersion = "0.1.0"
