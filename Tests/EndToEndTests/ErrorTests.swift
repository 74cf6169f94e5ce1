import Foundation
import Glibc
import Testing

/// Each mistake gets one line that says what to do.
@Suite struct ErrorTests {
    private func expect(_ outcome: Outcome, _ parts: String...) {
        let lines = outcome.errors.split(separator: "\n")
        #expect(lines.count == 1, "\(outcome.errors)")
        for part in parts { #expect(outcome.errors.contains(part), "'\(part)' is missing in: \(outcome.errors)") }
    }

    @Test func missingRepository() throws {
        let sandbox = try Sandbox(initialised: false)
        mkdir(sandbox.path("lake"), 0o755)
        expect(try sandbox.tarn("log", code: 5), "no Tarn repository", "tarn init")
        expect(try sandbox.tarn("log", "--repo", sandbox.path("nowhere"), code: 5), "nowhere", "does not exist")
        sandbox.environment["TARN_REPO"] = nil
        expect(try sandbox.tarn("log", code: 2), "which repository?", "--repo")
    }

    @Test(.enabled(if: Place.available.contains(.rgw), "no Ceph RGW"))
    func wrongCredentialsAndMissingBucket() throws {
        let sandbox = try Sandbox(.rgw, initialised: false)
        expect(try sandbox.tarn("init", "s3://no-such-bucket-here/x", code: 5), "does not exist", "bucket")
        sandbox.environment["AWS_SECRET_ACCESS_KEY"] = "wrong"
        expect(try sandbox.tarn("init", sandbox.repository, code: 1), "denied", "AWS_ACCESS_KEY_ID")
        sandbox.environment["AWS_ACCESS_KEY_ID"] = nil
        sandbox.environment["AWS_SECRET_ACCESS_KEY"] = nil
        sandbox.environment["AWS_EC2_METADATA_DISABLED"] = "true"
        expect(try sandbox.tarn("init", sandbox.repository, code: 1), "no credentials", "AWS_PROFILE")
    }

    @Test func storeThatDoesNotAnswer() throws {
        let sandbox = try Sandbox(initialised: false)
        sandbox.environment["AWS_ENDPOINT_URL"] = "http://127.0.0.1:9"
        sandbox.environment["AWS_ACCESS_KEY_ID"] = "a"
        sandbox.environment["AWS_SECRET_ACCESS_KEY"] = "b"
        expect(
            try sandbox.tarn("log", "--repo", "s3://bucket/x", "--timeout", "2", code: 1), "did not answer",
            "AWS_ENDPOINT_URL")
    }

    /// A server that keeps objects and ignores conditions, as some do.
    @Test func storeWithoutCompareAndSwapIsRefused() throws {
        let sandbox = try Sandbox(initialised: false)
        let server = try sandbox.start(
            "/usr/bin/env",
            [
                "python3", "-u", "-c",
                """
                import http.server, hashlib, os
                objects = {}
                class Store(http.server.BaseHTTPRequestHandler):
                    protocol_version = "HTTP/1.1"
                    def log_message(self, *a): pass
                    def answer(self, code, body=b"", etag=None):
                        self.send_response(code); self.send_header("Content-Length", str(len(body)))
                        if etag: self.send_header("ETag", '"%s"' % etag)
                        self.end_headers(); self.wfile.write(body if self.command != "HEAD" else b"")
                    def do_PUT(self):
                        body = self.rfile.read(int(self.headers["Content-Length"])); objects[self.path] = body
                        self.answer(200, etag=hashlib.md5(body).hexdigest())
                    def do_GET(self):
                        body = objects.get(self.path.split("?")[0])
                        self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>") if body is None else self.answer(200, body, hashlib.md5(body).hexdigest())
                    do_HEAD = do_GET
                    def do_DELETE(self): objects.pop(self.path, None); self.answer(204)
                server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Store)
                open("port", "w").write(str(server.server_port)); os.rename("port", "ready"); server.serve_forever()
                """,
            ])
        defer { server.kill(SIGKILL) }
        try sandbox.shell("for i in $(seq 600); do [ -e ready ] && exit 0; sleep 0.1; done; exit 1")
        sandbox.environment["AWS_ENDPOINT_URL"] = "http://127.0.0.1:\(try sandbox.read("ready"))"
        sandbox.environment["AWS_ACCESS_KEY_ID"] = "a"
        sandbox.environment["AWS_SECRET_ACCESS_KEY"] = "b"
        expect(try sandbox.tarn("init", "s3://bucket/lake", code: 1), "cannot hold a repository", "conditional writes")
    }

    @Test func mountPointMissingOrNotEmptyOrFuseNotInstalled() throws {
        let sandbox = try Sandbox()
        expect(
            try sandbox.tarn("mount", sandbox.repository, sandbox.path("nowhere"), code: 5), "does not exist", "mkdir")
        try sandbox.write("full/x", "x")
        expect(try sandbox.tarn("mount", sandbox.repository, sandbox.path("full"), code: 1), "not empty")
        mkdir(sandbox.path("m"), 0o755)
        expect(
            try sandbox.tarn("mount", sandbox.repository, sandbox.path("m"), "--ref", "nobody", code: 5), "'nobody'",
            "branch list")
        expect(try sandbox.tarn("mount", sandbox.repository, sandbox.path("m"), "--write", code: 2), "--ref")
        sandbox.environment["PATH"] = "/nonexistent"
        expect(
            try sandbox.tarn("mount", sandbox.repository, sandbox.path("m"), code: 1), "fusermount3",
            "apt install fuse3")
    }

    @Test func usageErrorsAreCodeTwoAndHelpTeaches() throws {
        let sandbox = try Sandbox()
        #expect(try sandbox.tarn("frobnicate", code: 2).errors.contains("frobnicate"))
        #expect(try sandbox.tarn("branch", "create", "no good", code: 2).errors.contains("letters"))
        let help = try sandbox.tarn("--help").output
        for word in ["import", "mount", "commit", "merge", "Exit codes"] { #expect(help.contains(word)) }
        expect(try sandbox.tarn("cat", "main:nothing", code: 5), "nothing")
    }

    /// `--json` on everything that prints is JSON.
    @Test func everythingThatPrintsHasJSON() throws {
        let sandbox = try Sandbox()
        try sandbox.shell("mkdir -p data/d; echo x > data/d/x; printf y > $'data/\\xff'")
        let commands: [[String]] = [
            ["import", "data", "-m", "first"], ["branch", "create", "b"], ["branch", "list"], ["tag", "create", "v1"],
            ["tag", "list"],
            ["log"], ["show", "main"], ["ls", "main"], ["ls", "-r", "main"], ["stat", "main:d/x"],
            ["diff", "main~1", "main"], ["fsck"],
            ["audit", "log"], ["audit", "verify"], ["cache", "status"], ["export", "main", sandbox.path("out")],
            ["branch", "delete", "b"],
        ]
        for command in commands {
            let output = try sandbox.tarn(command + ["--json"]).output
            #expect(throws: Never.self, "\(command): \(output)") {
                try JSONSerialization.jsonObject(with: Data(output.utf8))
            }
        }
    }
}
