import Foundation
import Glibc
import TestSupport
import Testing

/// Gates, reverts and proofs as a user meets them. SEMANTICS: P1–P7, C1–C4, A1–A4.
@Suite(.enabled(if: FUSE.isAvailable, "no /dev/fuse"))
struct GovernanceTests {
    /// A repository whose `main` has data and this hooks file.
    private func sandbox(_ hooks: String, on place: Place = .directory) throws -> Sandbox {
        let sandbox = try Sandbox(place)
        try sandbox.write("data/a.csv", "1\n2\n3\n")
        try sandbox.write("data/.tarn/hooks.yaml", hooks)
        try sandbox.tarn("import", "data", "-m", "first")
        try sandbox.tarn("branch", "create", "work")
        return sandbox
    }

    /// Commits a file on `work`.
    private func change(_ sandbox: Sandbox, _ name: String, _ text: String) throws {
        try sandbox.shell("rm -rf change")
        try sandbox.write("change/\(name)", text)
        try sandbox.tarn("import", "change", "--branch", "work", "-m", "change \(name)")
    }

    private static let rowCounts = """
        hooks:
          - name: rows
            on: pre-merge
            branches: main
            env: SEEN
            run: |
              echo "looking at $TARN_COMMIT"
              cp "$TARN_CHANGES" "$SEEN"
              test "$(getfattr --only-values -n user.tarn.commit "$TARN_GATE")" = "$TARN_PARENT" || exit 10
              test "$(pwd -P)" = "$(cd "$TARN_GATE" && pwd -P)" || exit 11
              test "$(getfattr --only-values -n user.tarn.commit "$TARN_MOUNT")" = "$TARN_COMMIT" || exit 9
              ! touch "$TARN_MOUNT/x" 2>/dev/null || exit 8
              [ "$(wc -l < "$TARN_MOUNT/a.csv")" -ge 3 ] || { echo "too few rows"; exit 7; }
        """

    @Test(arguments: Place.available)
    func gateLooksAtTheExactResult(_ place: Place) throws {
        let sandbox = try sandbox(Self.rowCounts, on: place)
        sandbox.environment["SEEN"] = sandbox.path("seen")
        try change(sandbox, "b.csv", "b")
        let before = try sandbox.tarn("log", "main", "-n", "1", "--oneline").output
        let untrusted = try sandbox.tarn("merge", "work", "-m", "up", code: 4)
        #expect(untrusted.errors.contains("not trusted") && untrusted.errors.contains("tarn hooks trust main"))
        try sandbox.tarn("hooks", "trust", "main")
        try change(sandbox, "a.csv", "1\n")
        let refused = try sandbox.tarn("merge", "work", "-m", "up", code: 4)
        #expect(refused.errors.contains("too few rows") && refused.errors.contains("rows: refused (code 7)"))
        #expect(try sandbox.tarn("log", "main", "-n", "1", "--oneline").output == before)
        #expect(try sandbox.read("seen") == "M\ta.csv\nA\tb.csv\n")
        try change(sandbox, "a.csv", "1\n2\n3\n4\n")
        let merged = try sandbox.tarn("merge", "work", "-m", "up").commit
        let log = try sandbox.tarn("hooks", "log", merged).output
        #expect(log.contains("passed") && log.contains("looking at \(merged)"))
        let verified = try sandbox.tarn("audit", "verify").output
        #expect(verified.contains("1 hook record") && verified.contains("Everything fits."))
        try sandbox.tarn("fsck", "--read-data")
        try sandbox.shell("! grep -F 'tarn#\(sandbox.repository) ' /proc/self/mounts")
    }

    @Test func hookThatHangsIsKilledWithItsChildren() throws {
        let mark = UInt32.random(in: 100_000...900_000)
        let sandbox = try sandbox(
            """
            hooks:
              - {name: hangs, on: pre-commit, branches: work, timeout: 1s, run: "setsid sleep \(mark) & sleep \(mark)"}
              - {name: later, on: pre-commit, branches: work, after: hangs, run: "touch ran"}
            """)
        sandbox.environment["TARN_TRUST_HOOKS"] = "all"
        let work = try sandbox.mount("work", "--ref", "work", "--write")
        try sandbox.write(work + "/new", "kept")
        let refused = try sandbox.tarn("commit", "-m", "hangs", code: 4, at: work)
        #expect(refused.errors.contains("hangs: timed out") && refused.errors.contains("later: skipped"))
        try sandbox.shell("! ps -eo args | grep -x 'sleep \(mark)'")
        #expect(try sandbox.tarn("status", at: work).output.contains("A  new"))
        #expect(try sandbox.read(work + "/new") == "kept")
        try sandbox.unmount(work)
    }

    @Test func protectedBranchIsChangedByApprovedMergesOnly() throws {
        let sandbox = try sandbox("hooks: []")
        try sandbox.tarn("protect", "add", "main", "--approvals", "1")
        let main = try sandbox.mount("main", "--ref", "main", "--write")
        try sandbox.write(main + "/mine", "staged")
        let refused = try sandbox.tarn("commit", "-m", "no", code: 4, at: main)
        #expect(
            refused.errors.contains("protected by the rule 'main'") && refused.errors.contains("tarn branch create"))
        #expect(try sandbox.tarn("status", at: main).output.contains("A  mine"))
        try change(sandbox, "b", "b")
        let tried = try sandbox.tarn("hooks", "run", "work", "--into", "main")
        #expect(tried.errors.contains("'main' has no hook for this; nothing was run"))
        let unapproved = try sandbox.tarn("merge", "work", "-m", "up", code: 4)
        #expect(unapproved.errors.contains("tarn approve"))
        try sandbox.tarn("approve", "work", "--author", "Eve <eve@example.org>", "-m", "looks right")
        try sandbox.tarn("merge", "work", "-m", "up")
        try sandbox.tarn("reset", "main", "main~1", code: 4)
        try sandbox.tarn("branch", "delete", "main", code: 4)
        try sandbox.tarn("approve", "main", "--revert", "--author", "Eve <eve@example.org>")
        try sandbox.tarn("revert", "main", "--on", "main", "-m", "back")
        #expect(!(try sandbox.tarn("ls", "main").output.contains("b\n")))
        let csv = try sandbox.tarn("audit", "log", "--csv", "--who", "eve").output
        #expect(csv.split(separator: "\r\n").count == 3 && csv.contains("looks right"))
        try sandbox.tarn("audit", "verify")
        try sandbox.unmount(main)
    }

    @Test func bisectFindsTheCommitThatBrokeIt() throws {
        let sandbox = try sandbox("hooks: []")
        var broken = ""
        for number in 1...9 {
            try change(sandbox, "a.csv", number >= 6 ? "broken \(number)" : "fine \(number)")
            if number == 6 { broken = try sandbox.tarn("log", "work", "-n", "1", "--oneline").output }
        }
        let found = try sandbox.tarn(
            "bisect", "run", "--good", "main", "--bad", "work", "--", "grep", "-q", "fine", "a.csv")
        #expect(found.output.contains("commit " + broken.prefix(12)))
        #expect(try sandbox.tarn("blame", "a.csv", "--at", "work~3").output.hasPrefix(broken.prefix(12)))
        #expect(try sandbox.tarn("log", "work", "--path", "a.csv", "--oneline").lines.count == 10)
    }

    @Test func signaturesAreSSHSignatures() throws {
        let sandbox = try Sandbox(initialised: false)
        try sandbox.shell(
            """
            ssh-keygen -q -t ed25519 -N '' -f key; ssh-keygen -q -t ed25519 -N '' -f other
            echo "test@example.org $(cat key.pub)" > allowed; echo "test@example.org $(cat other.pub)" > wrong
            """)
        sandbox.environment["TARN_SIGNING_KEY"] = sandbox.path("key")
        try sandbox.tarn("init", sandbox.repository)
        try sandbox.tarn("branch", "create", "signed")
        try sandbox.tarn("audit", "verify", "--allowed-signers", "allowed", "--require-signatures", "--save", "point")
        try sandbox.tarn("audit", "verify", "--allowed-signers", "wrong", code: 1)
        // Anybody can check one without Tarn.
        try sandbox.shell(
            """
            id=$(ls lake/movements | head -n 1)
            ssh-keygen -Y verify -f allowed -I test@example.org -n tarn -s lake/signatures/$id/* < lake/movements/$id
            """)
        sandbox.environment["TARN_SIGNING_KEY"] = nil
        try sandbox.tarn("branch", "create", "unsigned")
        try sandbox.tarn("audit", "verify", "--allowed-signers", "allowed", "--against", "point")
        try sandbox.tarn("audit", "verify", "--allowed-signers", "allowed", "--require-signatures", code: 1)
        // An offline copy proves the same.
        try sandbox.shell("cp -r lake copy")
        try sandbox.tarn("audit", "verify", "--repo", sandbox.path("copy"), "--against", "point")
    }

    @Test(arguments: Place.available)
    func receiptSaysWhatARunRead(_ place: Place) throws {
        let sandbox = try Sandbox(place)
        try sandbox.shell(
            "mkdir -p data/d; head -c 300000 /dev/urandom > data/big; echo one > data/d/x; echo no > data/unread")
        try sandbox.tarn("import", "data", "-m", "first")
        let at = sandbox.path("lake at")
        func run(_ name: String, _ script: String, code: Int32 = 0) throws {
            try sandbox.tarn(
                "run", "--ref", "main", "--at", at, "--receipt", name, "--", "sh", "-c", "cd '\(at)' && \(script)",
                code: code)
        }
        try run("first", "cat big d/x > /dev/null; exit 3", code: 3)
        // It was mounted for the program alone.
        try sandbox.shell("rmdir '\(at)'")
        let receipt = try sandbox.read("first")
        #expect(receipt.contains("\"path\":\"big\"") && receipt.contains("\"path\":\"d/x\""))
        #expect(!receipt.contains("unread") && receipt.contains("\"exitCode\":3"))
        let id = try sandbox.shell("sha256sum data/d/x | cut -c1-64 | tr -d '\\n'")
        #expect(receipt.contains(id))
        #expect(try sandbox.tarn("receipt", "verify", "first").output.contains("read 2 files"))
        try sandbox.shell("echo two > data/d/x")
        try sandbox.tarn("import", "data", "-m", "second")
        try sandbox.tarn("receipt", "verify", "first")
        try run("second", "cat big d/x > /dev/null")
        let difference = try sandbox.tarn("receipt", "diff", "first", "second", code: 1).output
        #expect(difference.contains("M  d/x") && !difference.contains("big"))
        try run("third", "cat big d/x > /dev/null")
        try sandbox.tarn("receipt", "diff", "second", "third")
        // A changed receipt is found, also when its last line was made anew.
        try sandbox.shell("sed 's/\"size\":4/\"size\":5/' first > forged")
        try sandbox.tarn("receipt", "verify", "forged", code: 1)
        try sandbox.shell(
            """
            head -n -1 forged > body; printf '{"files":2,"sha256":"%s"}\\n' $(sha256sum body | cut -c1-64) | cat body - > forged
            """)
        let found = try sandbox.tarn("receipt", "verify", "forged", code: 1)
        #expect(found.output.contains("d/x"))
    }

    /// The script of docs/tutorial/03-a-daily-release.md: refused by the gate, mended, released, and run once more.
    @Test func dailyReleaseRunsAndContinues() throws {
        let sandbox = try sandbox(Self.rowCounts)
        sandbox.environment["SEEN"] = sandbox.path("seen")
        sandbox.environment["TARN_TRUST_HOOKS"] = "all"
        sandbox.environment["PATH"] = "\(testedProgramDirectory):/usr/bin:/bin"
        try sandbox.tarn("protect", "add", "main")
        let script = Sandbox.packageRoot + "/examples/daily-release.sh"
        func release(_ load: String, code: Int32 = 0) throws -> String {
            try sandbox.shell("'\(script)' 2026-11-21 sh -c '\(load)'", code: code)
        }
        _ = try release("echo 1 > \"$LAKE/a.csv\"; echo day > \"$LAKE/day\"", code: 4)
        #expect(try sandbox.tarn("tag", "list").output.isEmpty)
        _ = try release("seq 5 > \"$LAKE/a.csv\"")
        #expect(try sandbox.tarn("cat", "release-2026-11-21:a.csv").output == "1\n2\n3\n4\n5\n")
        #expect(try sandbox.tarn("cat", "main:day").output == "day\n")
        #expect(try release("false").contains("already"))
        #expect(try sandbox.tarn("branch", "list").output.contains("ingest") == false)
    }

    /// Answers 500 to the first request and then what it is told; writes down what came, if its signature is right.
    private static let receiver = """
        import hashlib, hmac, http.server, sys
        seen = 0
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                global seen
                seen += 1
                body = self.rfile.read(int(self.headers['Content-Length']))
                code = 'sha256=' + hmac.new(b'a secret', body, hashlib.sha256).hexdigest()
                right = hmac.compare_digest(code, self.headers['X-Tarn-Signature'])
                open(sys.argv[1], 'a').write(f"{self.headers['X-Tarn-Event']} {right} {body.decode()}\\n")
                self.send_response(500 if seen == 1 else int(open(sys.argv[2]).read()))
                self.end_headers()
            def log_message(self, *_): pass
        server = http.server.HTTPServer(('127.0.0.1', 0), Handler)
        open(sys.argv[3], 'w').write(str(server.server_port))
        server.serve_forever()
        """

    @Test func webhookIsSignedAndTriedAgain() throws {
        let plain = try Sandbox(initialised: false)
        try plain.write("status", "200")
        let server = try plain.start(
            "/usr/bin/env",
            ["python3", "-c", Self.receiver, plain.path("seen"), plain.path("status"), plain.path("port")])
        try plain.shell("for i in $(seq 600); do [ -s port ] && exit 0; sleep 0.1; done; exit 1")
        let port = try plain.read("port")
        let sandbox = try sandbox(
            "hooks: [{name: tell, on: pre-merge, url: 'http://127.0.0.1:\(port)/x', secret: THE_SECRET, timeout: 20s}]")
        sandbox.environment["TARN_TRUST_HOOKS"] = "all"
        try change(sandbox, "b", "b")
        #expect(try sandbox.tarn("merge", "work", "-m", "up", code: 4).errors.contains("THE_SECRET is not set"))
        sandbox.environment["THE_SECRET"] = "a secret"
        let merged = try sandbox.tarn("merge", "work", "-m", "up").commit
        let seen = try plain.read("seen")
        #expect(seen.split(separator: "\n").count == 2, "once refused, once taken")
        #expect(seen.contains("pre-merge True") && seen.contains(merged) && !seen.contains("False"))
        try plain.write("status", "403")
        try change(sandbox, "c", "c")
        #expect(try sandbox.tarn("merge", "work", "-m", "up", code: 4).errors.contains("refused (code 403)"))
        server.kill(SIGTERM)
        _ = try server.wait()
    }
}
