import Foundation
import TestSupport
import Testing

/// The example of a daily release, and the command that it rests on.
@Suite(.enabled(if: FUSE.isAvailable, "no /dev/fuse"))
struct DailyReleaseTests {
    private static let example = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "examples/daily-release.sh").path

    private func sandbox() throws -> Sandbox {
        let sandbox = try Sandbox()
        try sandbox.shell("mkdir bin && ln -s '\(Sandbox.binary)' bin/tarn")
        sandbox.environment["PATH"] = sandbox.path("bin") + ":" + (sandbox.environment["PATH"] ?? "/usr/bin:/bin")
        try sandbox.write(
            "data/.tarn/hooks.yaml",
            """
            hooks:
              - {name: rows, on: pre-merge, branches: main, run: 'cat "$TARN_MOUNT"/day-*.csv'}
            """)
        try sandbox.tarn("import", "data", "-m", "a gate")
        try sandbox.tarn("hooks", "trust", "main")
        return sandbox
    }

    /// Runs the example for a day. Before its command number `number` it is killed, or the store goes away.
    private func release(_ sandbox: Sandbox, _ day: Int, _ action: String = ":", before number: Int = 0) throws
        -> Outcome
    {
        try sandbox.run(
            "/bin/bash",
            [
                "-T", "-c",
                """
                n=0
                at() { n=$((n + 1)); if [ $n = \(number) ]; then \(action); fi; }
                trap at DEBUG
                set -- 2026-11-\(10 + day) sh -c 'echo \(day) > "$LAKE/day-\(day).csv"'
                . '\(Self.example)'
                """,
            ])
    }

    private func isReleased(_ sandbox: Sandbox, _ day: Int) throws -> Bool {
        try sandbox.tarn("tag", "list").output.contains("release-2026-11-\(10 + day) ")
    }

    @Test(arguments: ["kill -9 $$", "mv \"$TARN_REPO\" \"$TARN_REPO.away\""])
    func aReleaseThatIsBrokenOffAnywhereIsContinued(_ action: String) throws {
        let sandbox = try sandbox()
        var (day, broken) = (0, 0)
        for number in 1...200 {
            day += 1
            let outcome = try release(sandbox, day, action, before: number)
            try sandbox.shell("if [ -e lake.away ]; then rm -rf lake; mv lake.away lake; fi")
            let isDone = outcome.code == 0
            if isDone {
                #expect(try isReleased(sandbox, day), "\(number): \(outcome)")
            } else {
                broken += 1
            }
            let again = try release(sandbox, day)
            #expect(again.code == 0, "\(number): \(outcome) \(again)")
            let name = "release-2026-11-\(10 + day)"
            #expect(try sandbox.tarn("cat", "\(name):day-\(day).csv").output == "\(day)\n")
            #expect(try sandbox.tarn("cat", "main:day-\(day).csv").output == "\(day)\n")
            let branches = try sandbox.tarn("branch", "list").output
            #expect(!branches.contains("ingest/"), "\(number): \(branches)")
            // Past the end of the script nothing is broken off.
            if isDone, !outcome.output.contains("there already"), broken > 5, number > 40 { break }
        }
        #expect(broken > 5)
        try sandbox.tarn("audit", "verify")
        try sandbox.shell("! grep -F 'tarn#\(sandbox.repository) ' /proc/self/mounts")
    }

    @Test func aRunWritesToABranch() throws {
        let sandbox = try sandbox()
        try sandbox.tarn("branch", "create", "work")
        let place = sandbox.path("place")
        func run(_ script: String, _ more: String..., code: Int32 = 0) throws -> Outcome {
            try sandbox.tarn(
                ["run", "--write", "--ref", "work", "--at", place] + more + ["--", "sh", "-c", script], code: code)
        }
        _ = try run("echo one > '\(place)/a'", "--commit", "-m", "first", "--metadata", "k=v")
        #expect(try sandbox.tarn("cat", "work:a").output == "one\n")
        #expect(try sandbox.tarn("log", "work", "-n", "1", "--json").output.contains(#""k" : "v""#))
        // A failure commits nothing; what was written stays, or goes.
        let failed = try run("echo two > '\(place)/a'; exit 9", "--commit", "-m", "second", code: 9)
        #expect(failed.errors.contains("stays staged"))
        #expect(try sandbox.tarn("status", "--workspace", "work").output.contains("M  a"))
        _ = try run("exit 9", "--discard-on-failure", code: 9)
        #expect(try sandbox.tarn("status", "--workspace", "work").output.contains("Nothing is staged"))
        #expect(try sandbox.tarn("cat", "work:a").output == "one\n")
        // Nothing is seen outside, and nothing stays mounted.
        _ = try run("test -e '\(place)/a' && test ! -e /proc/1/root'\(place)/a'")
        try sandbox.shell(
            "! grep -F 'tarn#\(sandbox.repository) ' /proc/self/mounts; ls '\(place)' | wc -l | grep -qx 0")
        // Whatever lies there for others is hidden from the program alone.
        try sandbox.write("place/other", "x")
        _ = try run("test -e '\(place)/a' && test ! -e '\(place)/other'")
        let mounted = try sandbox.mount("mounted", "--ref", "main")
        try sandbox.tarn("run", "--ref", "work", "--at", mounted, "--", "test", "-e", mounted + "/a")
        #expect(try sandbox.shell("ls -A '\(mounted)'") == ".tarn\n")
        try sandbox.unmount(mounted)
        // What the commit says is the run's exit code, and nothing is lost.
        try sandbox.tarn("protect", "add", "work")
        _ = try run("echo three > '\(place)/a'", "--commit", "-m", "third", code: 4)
        #expect(try sandbox.tarn("status", "--workspace", "work").output.contains("M  a"))
        for words in [["--commit"], ["-m", "x"], ["--receipt", "r", "--commit", "-m", "x"]] {
            try sandbox.tarn(["run", "--write", "--ref", "work", "--at", place] + words + ["--", "true"], code: 2)
        }
        try sandbox.tarn("run", "--ref", "work", "--at", place, "--commit", "-m", "x", "--", "true", code: 2)
    }
}
