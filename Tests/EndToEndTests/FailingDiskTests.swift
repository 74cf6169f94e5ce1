import Foundation
import Glibc
import Testing

/// Calls of the disk below a workspace or a cache fail. SEMANTICS: W16, W27, M6.
@Suite(.enabled(if: FUSE.isAvailable, "no /dev/fuse"))
struct FailingDiskTests {
    let sandbox: Sandbox
    let point: String

    init() throws {
        sandbox = try Sandbox()
        point = try sandbox.mount("m", "--ref", "main", "--write")
    }

    /// Writes and syncs files one after the other; prints `name: errno` of open, write, fsync and close, 0 for none.
    private func writing(_ names: [String]) throws -> [String] {
        let script = """
            python3 - '\(point)' \(names.joined(separator: " ")) <<'PY'
            import os, sys
            for name in sys.argv[2:]:
                codes = []
                def call(body):
                    try: return body(), codes.append(0)
                    except OSError as error: codes.append(error.errno)
                made = call(lambda: os.open(sys.argv[1] + "/" + name, os.O_CREAT | os.O_WRONLY, 0o644))
                if made:
                    call(lambda: os.write(made[0], b"x" * 5000))
                    call(lambda: os.fsync(made[0]))
                    call(lambda: os.close(made[0]))
                print(name + ":", *codes)
            PY
            """
        return try sandbox.shell(script).split(separator: "\n").map(String.init)
    }

    /// Runs `body` while a system call of the mount fails, on files whose paths hold `part` (`nil`: on any).
    private func failing(_ injection: String, on part: String?, _ body: () throws -> Void) throws {
        let server = try sandbox.server(of: point)
        let paths =
            try part.map { try sandbox.shell("find '\(sandbox.path("state"))' -path '*\($0)*'").split(separator: "\n") }
            ?? []
        let tracer = try sandbox.start(
            "/usr/bin/strace",
            ["-f", "-p", "\(server)", "-o", sandbox.path("trace"), "-e", "inject=\(injection)"]
                + paths.flatMap { ["-P", String($0)] })
        defer { tracer.kill(SIGINT) }
        let isAttached = "grep -q 'TracerPid:[[:space:]]*[1-9]' /proc/\(server)/status"
        try sandbox.shell("for i in $(seq 100); do \(isAttached) && exit 0; sleep 0.05; done; exit 1")
        try body()
    }

    /// W27: once a sync has failed, none says that it succeeded, and nothing more is taken.
    @Test(arguments: ["overlay.sqlite-wal", nil])
    func aFailedSyncIsNeverFollowedByOneThatSucceeds(_ part: String?) throws {
        #expect(try writing(["before"]) == ["before: 0 0 0 0"])
        try failing("fdatasync:error=EIO:when=1", on: part) {
            let during = try writing(["during"])
            #expect(during.first?.hasPrefix("during: 0 0 5") == true, "\(during)")
        }
        let after = try writing(["after", "before"])
        #expect(after == ["after: 30", "before: 0 30 5 5"], "EROFS: the mount takes no more changes")
        #expect(try sandbox.tarn("commit", "-m", "no", code: 1, at: point).errors.contains("failed to keep"))
        #expect(try sandbox.shell("head -c 3 '\(point)/before'") == "xxx")
        try sandbox.unmount(point)
        _ = try sandbox.mount("m", "--ref", "main", "--write")
        let read = try sandbox.shell("cat '\(point)/during' | wc -c || true").trimmingCharacters(
            in: .whitespacesAndNewlines)
        if part == nil {
            #expect(read == "0", "bytes in doubt are not shown")
            #expect(try sandbox.tarn("commit", "-m", "no", code: 1, at: point).errors.contains("failed to keep"))
            try sandbox.shell("rm '\(point)/during'")
        }
        #expect(try writing(["again"]) == ["again: 0 0 0 0"])
        try sandbox.tarn("commit", "-m", "yes", at: point)
        #expect(try sandbox.tarn("cat", "main:before").output.count == 5000)
        try sandbox.unmount(point)
    }

    /// W16: a full disk says so, whichever call met it.
    @Test func aFullDiskIsToldAsOne() throws {
        try failing("mkdir,mkdirat:error=ENOSPC", on: nil) {
            let full = try writing(["a"])
            #expect(full.first?.hasPrefix("a: 0 28") == true, "\(full)")
        }
        #expect(try writing(["a"]) == ["a: 0 0 0 0"])
        try sandbox.unmount(point)
    }

    /// Files that are written and open are no limit to others.
    @Test func manyWrittenOpenFilesLeaveRoomForMore() throws {
        try sandbox.unmount(point)
        try sandbox.shell(
            "ulimit -S -n 256; ulimit -H -n 256; '\(Sandbox.binary)' mount '\(sandbox.repository)' '\(point)' --ref main --write"
        )
        let script = """
            ulimit -n 4096; python3 - '\(point)' <<'PY'
            import os, sys
            files = [os.open(f"{sys.argv[1]}/{n}", os.O_CREAT | os.O_RDWR, 0o644) for n in range(700)]
            for n, file in enumerate(files): os.write(file, b"%d" % n * 100)
            for file in files[::7]: os.fsync(file)
            for n, file in enumerate(files): assert os.pread(file, 400, 0) == b"%d" % n * 100
            open(sys.argv[1] + "/other", "w").write("others go on")
            for file in files: os.close(file)
            PY
            """
        try sandbox.shell(script)
        try sandbox.tarn("commit", "-m", "many", at: point)
        #expect(try sandbox.tarn("cat", "main:699").output == String(repeating: "699", count: 100))
        #expect(try sandbox.tarn("cat", "main:other").output == "others go on")
        try sandbox.unmount(point)
    }

    /// W21 (15): directories in directories, deeper than a thread's stack holds calls.
    @Test func deepDirectoriesAreCommittedAndChanged() throws {
        let script = """
            python3 - '\(point)' <<'PY'
            import os, sys
            os.chdir(sys.argv[1])
            for level in range(3000):
                os.mkdir("d")
                os.chdir("d")
            open("deepest", "w").write("here")
            PY
            """
        try sandbox.shell(script)
        try sandbox.tarn("commit", "-m", "deep", at: point)
        let again = """
            python3 - '\(point)' <<'PY'
            import os, sys
            os.chdir(sys.argv[1])
            for level in range(3000): os.chdir("d")
            assert open("deepest").read() == "here"
            open("deepest", "w").write("changed")
            PY
            """
        try sandbox.shell(again)
        try sandbox.tarn("commit", "-m", "changed", at: point)
        try sandbox.unmount(point)
        _ = try sandbox.mount("m", "--ref", "main", "--write")
        try sandbox.shell("mv '\(point)/d' '\(point)/e'")
        try sandbox.tarn("commit", "-m", "moved", at: point)
        try sandbox.shell("rm -rf '\(point)/e'")
        try sandbox.tarn("commit", "-m", "removed", at: point)
        #expect(try sandbox.tarn("ls", "main").output.isEmpty)
        try sandbox.tarn("fsck")
        try sandbox.unmount(point)
    }

    /// M6: a cache is never a condition for reading.
    @Test(arguments: ["full", "read-only", "a file"])
    func aCacheThatCannotBeWrittenIsPassedBy(_ kind: String) throws {
        try sandbox.shell("echo staged > '\(point)/f'")
        try sandbox.tarn("commit", "-m", "first", at: point)
        try sandbox.unmount(point)
        let cache = sandbox.path("small")
        try sandbox.shell("mkdir '\(cache)'")
        switch kind {
        case "full":
            try sandbox.shell("mount -t tmpfs -o size=64k tmpfs '\(cache)'; head -c 65536 /dev/zero > '\(cache)/fill'")
        case "read-only": try sandbox.shell("mount -t tmpfs -o ro tmpfs '\(cache)'")
        default: try sandbox.shell("rmdir '\(cache)'; echo no > '\(cache)'")
        }
        defer { _ = try? sandbox.shell("umount '\(cache)' 2>/dev/null || true") }
        for words in [["cat", "main:f"], ["log"], ["export", "main", sandbox.path("out")], ["fsck"], ["gc"]] {
            let outcome = try sandbox.tarn(words + ["--cache-dir", cache])
            let warnings = outcome.errors.split(separator: "\n").filter { $0.contains("reading on without one") }
            #expect(warnings.count == 1 && !outcome.errors.contains("system("), "\(outcome.errors)")
        }
        try sandbox.shell("mkdir src; echo new > src/g")
        try sandbox.tarn("import", "src", "-m", "second", "--cache-dir", cache)
        let point = try sandbox.mount("ro", "--ref", "main", "--cache-dir", cache)
        #expect(try sandbox.shell("cat '\(point)/f' '\(point)/g'") == "staged\nnew\n")
        try sandbox.unmount(point)
        #expect(try sandbox.tarn("prefetch", "main", "--cache-dir", cache, code: 1).errors.contains("block cache"))
    }
}
