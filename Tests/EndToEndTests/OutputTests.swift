import Foundation
import Glibc
import Testing

/// Rule (A7): a command that could not say everything has not succeeded.
@Suite struct OutputTests {
    /// Every command that prints when all is well, as it is run after `prepare`.
    private static let printing: [(name: String, arguments: String)] = [
        ("init", "\"$HERE/other\""), ("import", "\"$HERE/data\" -m again --to more"),
        ("export", "main \"$HERE/exported\""), ("receipt verify", "\"$HERE/receipt\""),
        ("receipt diff", "\"$HERE/receipt\" \"$HERE/receipt\""), ("stats", "\"$HERE/m\""), ("prefetch", "main"),
        ("cache status", ""), ("cache set", "--size 1G"), ("status", "--workspace work"), ("diff", "main~1 main"),
        ("commit", "-m staged --workspace work"), ("update", "--workspace work"), ("branch list", ""),
        ("branch create", "b2"), ("branch delete", "b1"), ("tag list", ""), ("tag create", "t2"),
        ("tag delete", "t1"), ("merge", "side --into main"), ("revert", "main"),
        ("restore", "--on b4"), ("cherry-pick", "side --on b3"), ("reset", "b3 main~1"), ("protect list", ""),
        ("protect add", "p2"),
        ("protect remove", "p1"), ("approve", "side"), ("hooks list", "hooked"), ("hooks log", ""),
        ("hooks trust", "hooked"), ("log", ""), ("blame", ""), ("bisect run", "--good main~1 --bad main -- true"),
        ("show", "main"), ("ls", ""), ("cat", "main:a"), ("stat", "main:a"), ("gc", ""),
        ("retention list", ""), ("retention set", "r2 --days 1"), ("retention remove", "r1"), ("du", ""),
        ("mirror", "\"$HERE/copy\""), ("fsck", ""), ("audit log", ""), ("audit verify", ""),
        ("mounts", ""), ("workspace list", ""), ("workspace show", "work"),
    ]
    /// These say nothing on standard output.
    private static let silent: Set<String> = [
        "mount", "umount", "run", "cache clear", "discard", "resolve", "hooks run", "workspace move",
        "workspace remove", "gate",
    ]

    /// A repository in which each of them has something to say.
    private func prepare() throws -> Sandbox {
        let sandbox = try Sandbox()
        try sandbox.write("data/a", "one")
        try sandbox.write("hooked/.tarn/hooks.yaml", "hooks:\n  - name: h\n    on: pre-merge\n    run: 'true'\n")
        try sandbox.tarn("import", sandbox.path("data"), "-m", "first")
        for name in ["side", "b1", "b3", "b4", "hooked", "work"] { try sandbox.tarn("branch", "create", name) }
        try sandbox.write("data/b", "two")
        try sandbox.tarn("import", sandbox.path("data"), "--branch", "side", "-m", "second")
        try sandbox.tarn("import", sandbox.path("hooked"), "--branch", "hooked", "-m", "hooks")
        sandbox.environment["TARN_TRUST_HOOKS"] = "all"
        try sandbox.tarn("merge", "side", "--into", "hooked")
        try sandbox.tarn("tag", "create", "t1")
        try sandbox.tarn("protect", "add", "p1")
        try sandbox.tarn("retention", "set", "r1", "--days", "9")
        return sandbox
    }

    private func commands(_ command: Help.Command, _ above: [String] = []) -> [String] {
        let below = (command.subcommands ?? []).filter { $0.commandName != "help" }
        let path = above + [command.commandName]
        return below.isEmpty ? [path.dropFirst().joined(separator: " ")] : below.flatMap { commands($0, path) }
    }

    private struct Help: Decodable {
        struct Command: Decodable {
            let commandName: String
            let subcommands: [Command]?
        }
        let command: Command
    }

    /// A new command must be in one of the two tables.
    @Test func everyCommandIsHeldToTheRule() throws {
        let sandbox = try Sandbox(initialised: false)
        let help = try sandbox.tarn("--experimental-dump-help").output
        let all = commands(try JSONDecoder().decode(Help.self, from: Data(help.utf8)).command)
        #expect(Set(all) == Set(Self.printing.map(\.name)).union(Self.silent))
    }

    @Test(.enabled(if: FUSE.isAvailable, "no /dev/fuse"))
    func everyCommandTellsThatItsOutputWasLost() throws {
        let sandbox = try prepare()
        sandbox.environment["HERE"] = sandbox.directory
        let point = try sandbox.mount("m", "--ref", "main")
        let work = try sandbox.mount("w", "--ref", "work", "--write")
        try sandbox.write("w/new", "staged")
        // A receipt; it needs mounts of its own, which not every place has.
        try sandbox.shell(
            "'\(Sandbox.binary)' run --ref main --at \"$HERE/run\" --receipt \"$HERE/receipt\" -- cat \"$HERE/run/a\"")
        for (name, arguments) in Self.printing {
            let outcome = try sandbox.run(
                "/bin/bash", ["-c", "'\(Sandbox.binary)' \(name) \(arguments) >/dev/full"])
            #expect(outcome.code == 1, "\(name): \(outcome.code) \(outcome.errors)")
            #expect(
                outcome.errors.hasSuffix("tarn: cannot write the output: No space left on device\n"),
                "\(name): \(outcome.errors)")
        }
        for words in ["--help", "--version", "log --help", "log --json", "audit log --csv", "ls -r --json"] {
            let outcome = try sandbox.run("/bin/bash", ["-c", "'\(Sandbox.binary)' \(words) >/dev/full"])
            #expect(outcome.code == 1, "\(words): \(outcome.code)")
            #expect(outcome.errors.contains("No space left on device"), "\(words): \(outcome.errors)")
        }
        try sandbox.unmount(work)
        try sandbox.unmount(point)
    }

    /// The command's own failure keeps its exit code.
    @Test func aFailureBeforeKeepsItsCode() throws {
        let sandbox = try Sandbox()
        try sandbox.shell("'\(Sandbox.binary)' log nowhere >/dev/full", code: 5)
    }

    /// A closed standard output is no place, and never becomes one of our files.
    @Test func aClosedStandardOutputIsAFailure() throws {
        let sandbox = try Sandbox()
        let outcome = try sandbox.run("/bin/bash", ["-c", "'\(Sandbox.binary)' log >&-"])
        #expect(outcome.code == 1 && outcome.errors.contains("cannot write the output"), "\(outcome)")
        try sandbox.write("data/a", "one")
        let closed = try sandbox.run(
            "/bin/bash", ["-c", "'\(Sandbox.binary)' import data -m x <&- >&- 2>&-; echo $?"])
        #expect(closed.output == "1\n")
        try sandbox.tarn("fsck", "--read-data")
        #expect(try sandbox.tarn("log", "--oneline").lines.count == 2)
    }

    /// `tarn log | head -1`: no message, and SIGPIPE's code, as of other tools.
    @Test func aClosedPipeEndsQuietly() throws {
        let sandbox = try Sandbox()
        let outcome = try sandbox.run(
            "/bin/bash", ["-c", "exec 3> >(exec true); sleep 0.5; '\(Sandbox.binary)' log >&3; echo $?"])
        #expect(outcome.output == "141\n", "\(outcome.output)")
        #expect(outcome.errors.isEmpty, "\(outcome.errors)")
    }

    @Test(arguments: ["A\nB <a@b>", "A\u{1b}[2J <a@b>", "A\u{202e} <a@b>"])
    func anAuthorThatCannotBePrintedIsRefused(author: String) throws {
        let sandbox = try Sandbox()
        sandbox.environment["TARN_AUTHOR"] = author
        let outcome = try sandbox.tarn("branch", "create", "x", code: 2)
        #expect(outcome.errors.contains("cannot be an author"))
        #expect(outcome.errors.split(separator: "\n").count == 1)
    }

    /// What a hook prints is shown line by line behind its name, and stays out of the terminal's way.
    @Test(.enabled(if: FUSE.isAvailable, "no /dev/fuse"))
    func outputOfAHookIsEscaped() throws {
        let sandbox = try Sandbox()
        try sandbox.write(
            "data/.tarn/hooks.yaml",
            "hooks:\n  - name: h\n    on: pre-merge\n    run: printf 'a\\033[2Jb\\r\\nFALSE\\rFALSE\\n'; exit 1\n")
        try sandbox.tarn("import", sandbox.path("data"), "-m", "hooks")
        try sandbox.tarn("branch", "create", "side")
        try sandbox.write("data/b", "two")
        try sandbox.tarn("import", sandbox.path("data"), "--branch", "side", "-m", "second")
        sandbox.environment["TARN_TRUST_HOOKS"] = "all"
        let refused = try sandbox.tarn("merge", "side", code: 4)
        let log = try sandbox.tarn("hooks", "log")
        for text in [refused.errors, log.output] {
            #expect(text.contains("a\\x1b[2Jb\n"), "\(text)")
            #expect(!text.unicodeScalars.contains { $0.value < 0x20 && $0 != "\n" }, "\(text)")
            #expect(!text.split(separator: "\n").contains { $0.hasPrefix("FALSE") }, "\(text)")
        }
    }
}
