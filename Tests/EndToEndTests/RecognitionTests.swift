import CLinux
import Foundation
import Glibc
import Testing

/// Rule (M4): a mount is what the kernel says is one, whoever gave a directory which attribute.
@Suite struct RecognitionTests {
    private static let forged =
        "{\"repository\":\"s3://bucket/lake\",\"endpoint\":\"http://127.0.0.1:PORT\",\"mountPoint\":\"/x\",\"processID\":1}"

    /// No request leaves this host for a server that a directory names.
    @Test func anAttributeOfAnOrdinaryDirectoryIsNotBelieved() throws {
        let sandbox = try Sandbox(initialised: false)
        sandbox.environment["TARN_REPO"] = nil
        sandbox.environment["AWS_ACCESS_KEY_ID"] = "a"
        sandbox.environment["AWS_SECRET_ACCESS_KEY"] = "b"
        let server = try sandbox.start(
            "/usr/bin/env",
            [
                "python3", "-u", "-c",
                """
                import socket
                s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(8)
                open("port", "w").write(str(s.getsockname()[1]) + "\\n")
                while True:
                    c, _ = s.accept(); open("asked", "a").write("x"); c.close()
                """,
            ])
        defer { server.kill(SIGKILL) }
        try sandbox.shell("until test -s port; do sleep 0.05; done; mkdir -p d/e")
        let port = try sandbox.read("port").trimmingCharacters(in: .whitespacesAndNewlines)
        let text = Self.forged.replacingOccurrences(of: "PORT", with: port)
        for (name, value) in [("mount", text), ("stats", "{}"), ("commit", "00"), ("content", "00")] {
            for directory in ["d", "d/e"] {
                try #require(setxattr(sandbox.path(directory), "user.tarn.\(name)", value, value.utf8.count, 0) == 0)
            }
        }
        for words in [["log"], ["status"], ["ls"], ["diff"], ["discard", "x"], ["branch", "list"], ["gc"]] {
            let outcome = try sandbox.tarn(words + ["--timeout", "2"], code: 2, at: sandbox.path("d/e"))
            #expect(outcome.errors.contains("which repository?"), "\(words): \(outcome.errors)")
        }
        try sandbox.tarn("stats", sandbox.path("d"), code: 5)
        try sandbox.tarn("umount", sandbox.path("d"), code: 5)
        try sandbox.tarn("prefetch", "--order", "/dev/null", "--at", sandbox.path("d"), code: 5)
        #expect(access(sandbox.path("asked"), F_OK) != 0, "somebody was asked")
    }

    /// What root mounts for all, others may believe; whose it is, the kernel says.
    @Test(.enabled(if: FUSE.isAvailable && geteuid() == 0, "needs /dev/fuse and root"))
    func aMountOfRootIsBelievedByOthers() throws {
        let sandbox = try Sandbox()
        let point = try sandbox.mount("m", "--ref", "main", "-o", "allow_other")
        try sandbox.shell("chmod 755 . && mkdir -m 777 other && chmod -R a+rX lake")
        let outcome = try sandbox.shell(
            """
            unset TARN_REPO
            export HOME="$PWD/other" TARN_STATE_DIR="$PWD/other" TARN_CACHE_DIR="$PWD/other/c" XDG_RUNTIME_DIR="$PWD/other"
            setpriv --reuid 4711 --regid 4711 --clear-groups '\(Sandbox.binary)' -C '\(point)' log --oneline
            """)
        #expect(outcome.contains("Create the repository"))
        try sandbox.unmount(point)
    }
}
