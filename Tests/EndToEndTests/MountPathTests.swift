import Foundation
import Glibc
import Testing

/// Rule (W26, M7): a mount is the same by whichever path it is reached, and `umount` waits for it and nothing else.
@Suite(.serialized, .enabled(if: FUSE.isAvailable, "no /dev/fuse")) struct MountPathTests {
    private func mounted() throws -> (sandbox: Sandbox, point: String) {
        let sandbox = try Sandbox()
        try sandbox.tarn("branch", "create", "work")
        mkdir(sandbox.path("above"), 0o755)
        return (sandbox, try sandbox.mount("above/m", "--ref", "work", "--write"))
    }

    /// The commands of staged changes, by `path`, where the mount was made at `point`.
    private func work(_ sandbox: Sandbox, at path: String) throws {
        try sandbox.write("\(path)/d/one", "1")
        try sandbox.write("\(path)/d/two", "2")
        #expect(try sandbox.tarn("status", at: path).output.contains("A  d/one"))
        try sandbox.tarn("discard", "one", at: path + "/d")
        try sandbox.tarn("discard", path + "/d/two", at: path)
        #expect(try sandbox.tarn("status", at: path).output.contains("A  d/"))
        #expect(try !sandbox.tarn("status", at: path).output.contains("one"))
        try sandbox.write("\(path)/three", "3")
        try sandbox.tarn("commit", "-m", "by \(path)", at: path)
        try sandbox.tarn("update", at: path)
        try sandbox.tarn("discard", "no/such", code: 5, at: path)
        try sandbox.tarn("discard", "/etc/passwd", code: 2, at: path)
    }

    private func expectEnd(_ sandbox: Sandbox, _ path: String, _ server: pid_t) throws {
        let start = ContinuousClock.now
        try sandbox.tarn("umount", path)
        #expect(ContinuousClock.now - start < .seconds(10))
        // (Of a zombie that nobody waits for there is no descriptor, either.)
        #expect(access("/proc/\(server)/fd/0", F_OK) != 0, "the process is still there")
    }

    @Test func aSymbolicLinkLeadsToTheMount() throws {
        let (sandbox, point) = try mounted()
        try sandbox.shell("ln -s above/m link")
        try work(sandbox, at: sandbox.path("link"))
        try expectEnd(sandbox, sandbox.path("link"), sandbox.server(of: point))
    }

    @Test func aRenamedParentLeadsToTheMount() throws {
        let (sandbox, point) = try mounted()
        let server = try sandbox.server(of: point)
        #expect(rename(sandbox.path("above"), sandbox.path("renamed")) == 0)
        try work(sandbox, at: sandbox.path("renamed/m"))
        try expectEnd(sandbox, sandbox.path("renamed/m"), server)
    }

    /// A bind mount holds the mount: taking one of the two away says so at once, and loses nothing.
    @Test(.enabled(if: geteuid() == 0, "needs root")) func aBindMountLeadsToTheMount() throws {
        let (sandbox, point) = try mounted()
        let server = try sandbox.server(of: point)
        try sandbox.shell("mkdir bind part; mount --bind above/m bind; mkdir bind/sub; mount --bind above/m/sub part")
        defer { _ = try? sandbox.shell("umount -l part bind 2>/dev/null || true") }
        try work(sandbox, at: sandbox.path("bind"))
        try sandbox.write("part/f", "x")
        #expect(try sandbox.tarn("status", at: sandbox.path("part")).output.contains("A  sub/f"))
        try sandbox.tarn("discard", "f", at: sandbox.path("part"))
        #expect(access(sandbox.path("part/f"), F_OK) != 0)
        try sandbox.write("part/kept", "x")
        let start = ContinuousClock.now
        let first = try sandbox.tarn("umount", point)
        #expect(ContinuousClock.now - start < .seconds(10))
        #expect(first.errors.contains("is still at") && first.errors.contains("saved"), "\(first.errors)")
        #expect(Glibc.kill(server, 0) == 0)
        try sandbox.shell("umount part")
        try expectEnd(sandbox, sandbox.path("bind"), server)
        let again = try sandbox.mount("above/m", "--ref", "work", "--write")
        #expect(access(again + "/sub/kept", F_OK) == 0)
        try sandbox.unmount(again)
    }

    /// Another mount namespace that holds the mount is not waited for, and what was staged is saved.
    @Test(.enabled(if: geteuid() == 0, "needs root")) func anotherNamespaceIsNotWaitedFor() throws {
        let (sandbox, point) = try mounted()
        let server = try sandbox.server(of: point)
        let holder = try sandbox.start(
            "/usr/bin/env", ["unshare", "-m", "--propagation", "private", "sh", "-c", "echo > held; exec sleep 600"])
        try sandbox.shell("until test -e held; do sleep 0.02; done")
        try sandbox.write("above/m/f", "staged")
        let start = ContinuousClock.now
        let outcome = try sandbox.tarn("umount", point)
        #expect(ContinuousClock.now - start < .seconds(5))
        #expect(outcome.errors.contains("another mount namespace"), "\(outcome.errors)")
        #expect(outcome.errors.contains("saved"))
        #expect(Glibc.kill(server, 0) == 0)
        #expect(try sandbox.tarn("status", "--workspace", "work").output.contains("A  f"))
        holder.kill(SIGKILL)
        _ = try holder.wait()
        try sandbox.shell("for i in {1..200}; do ! test -e /proc/\(server)/fd/0 || sleep 0.05; done")
        let again = try sandbox.mount("above/m", "--ref", "work", "--write")
        #expect(try sandbox.read("above/m/f") == "staged")
        try sandbox.unmount(again)
    }

    /// When `umount` returns the process has let go of everything, each time.
    @Test func theProcessHasEndedWhenUmountReturns() throws {
        let sandbox = try Sandbox()
        try sandbox.tarn("branch", "create", "work")
        for round in 0..<12 {
            let point = try sandbox.mount("m", "--ref", "work", "--write")
            let server = try sandbox.server(of: point)
            try sandbox.write("m/f\(round)", String(repeating: "x", count: 1 << 20))
            try sandbox.unmount(point)
            #expect(access("/proc/\(server)/fd/0", F_OK) != 0, "round \(round)")
            try sandbox.shell("flock --nonblock state/workspaces/*/*/lock true")
        }
    }

    /// A mount that tarn made itself is tried again while something in it ends, and the receipt is whole.
    @Test func aRunEndsItsMountAlthoughItIsBusyForAMoment() throws {
        let sandbox = try Sandbox()
        try sandbox.write("data/a", "one")
        try sandbox.tarn("import", sandbox.path("data"), "-m", "x")
        let lake = sandbox.path("lake-here")
        try sandbox.tarn(
            "run", "--ref", "main", "--at", lake, "--receipt", sandbox.path("receipt"), "--", "sh", "-c",
            "cd '\(lake)' && cat a >/dev/null && (sleep 1.5 >/dev/null 2>&1 </dev/null &)")
        #expect(try sandbox.read("receipt").contains("\"path\":\"a\""))
    }

    /// A busy mount is said to be busy, and stays.
    @Test func aBusyMountStays() throws {
        let (sandbox, point) = try mounted()
        let holder = try sandbox.start("/bin/sh", ["-c", "cd above/m && echo > ../../in && exec sleep 600"])
        try sandbox.shell("until test -e in; do sleep 0.02; done")
        let outcome = try sandbox.tarn("umount", point, code: 1)
        #expect(outcome.errors.split(separator: "\n").count == 1 && outcome.errors.contains("--lazy"))
        holder.kill(SIGKILL)
        _ = try holder.wait()
        try sandbox.unmount(point)
    }
}
