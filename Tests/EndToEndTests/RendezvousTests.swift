import CLinux
import Foundation
import Glibc
import Testing

/// Rules W23 (sockets), W24 (workspaces) and W25 (state directories): a command and a mount find each other, and only each
/// other.
@Suite(.serialized, .enabled(if: FUSE.isAvailable, "no /dev/fuse")) struct RendezvousTests {
    private func branch() throws -> Sandbox {
        let sandbox = try Sandbox()
        try sandbox.tarn("branch", "create", "work")
        return sandbox
    }

    /// A directory that somebody else made first, that others may enter, or that is a link is refused. (In a mount
    /// namespace with a /tmp of its own.)
    @Test(
        .enabled(if: geteuid() == 0, "needs root"),
        arguments: [
            ("mkdir -m 700 DIR; chown 4711 DIR", "it belongs to user 4711"),
            ("mkdir DIR; chmod 755 DIR", "others may enter it"),
            ("mkdir -m 700 other; ln -s $PWD/other DIR", "it is a symbolic link"), ("touch DIR", "it is no directory"),
        ])
    func aRuntimeDirectoryOfSomebodyElseIsNotUsed(how: String, reason: String) throws {
        let sandbox = try branch()
        let made = how.replacingOccurrences(of: "DIR", with: "/tmp/tarn-0")
        let outcome = try sandbox.run(
            "/usr/bin/env",
            [
                "unshare", "-m", "--propagation", "private", "bash", "-euc",
                """
                mount --bind "$PWD" /mnt; mount -t tmpfs none /tmp; cd /mnt; mkdir m
                \(made); unset XDG_RUNTIME_DIR
                export TARN_STATE_DIR=/mnt/state TARN_CACHE_DIR=/mnt/cache
                exec '\(Sandbox.binary)' mount /mnt/lake /mnt/m --ref work --write
                """,
            ])
        #expect(outcome.code == 4, "\(how): \(outcome.errors)")
        #expect(outcome.errors.contains(reason) && outcome.errors.contains("XDG_RUNTIME_DIR"), "\(outcome.errors)")
    }

    /// The command looks, too: at the directory, and at who answers.
    @Test(.enabled(if: geteuid() == 0, "needs root"))
    func aSocketInADirectoryOfSomebodyElseIsNotAsked() throws {
        let sandbox = try branch()
        let point = try sandbox.mount("m", "--ref", "work", "--write")
        try sandbox.write("m/f", "x")
        try sandbox.shell("chmod 777 tarn")
        let outcome = try sandbox.tarn("commit", "-m", "x", code: 4, at: point)
        #expect(outcome.errors.contains("not to be trusted"))
        try sandbox.shell("chmod 700 tarn")
        try sandbox.tarn("commit", "-m", "x", at: point)
        try sandbox.unmount(point)
    }

    /// A directory in XDG_RUNTIME_DIR that others may write to is passed over.
    @Test func anUnusableXDGRuntimeDirectoryIsPassedOver() throws {
        let sandbox = try branch()
        try sandbox.shell("mkdir -m 777 open; chmod 777 open")
        sandbox.environment["XDG_RUNTIME_DIR"] = sandbox.path("open")
        let point = try sandbox.mount("m", "--ref", "work", "--write")
        let socket = try sandbox.shell("getfattr --only-values -n user.tarn.mount '\(point)'")
        #expect(socket.contains("/tmp/tarn-\(geteuid())/"), "\(socket)")
        try sandbox.write("m/f", "x")
        try sandbox.tarn("commit", "-m", "x", at: point)
        try sandbox.unmount(point)
    }

    /// Logging out removes the runtime directory; the mount can still be committed.
    @Test(arguments: [true, false]) func aSocketThatIsGoneIsMadeAgain(canBeMadeThere: Bool) throws {
        let sandbox = try branch()
        try sandbox.shell("mkdir -m 700 run")
        sandbox.environment["XDG_RUNTIME_DIR"] = sandbox.path("run")
        let point = try sandbox.mount("m", "--ref", "work", "--write")
        try sandbox.write("m/f", "x")
        try sandbox.shell(canBeMadeThere ? "rm -rf run/tarn" : "rm -rf run")
        let server = try sandbox.server(of: point)
        let places = ["\(sandbox.path("run"))/tarn/\(server).sock", "/tmp/tarn-\(geteuid())/\(server).sock"]
        // Of a process that had this number before and was killed.
        if canBeMadeThere { unlink(places[1]) }
        try sandbox.shell(
            "for i in {1..100}; do ! test -S \(places[canBeMadeThere ? 0 : 1]) || break; sleep 0.05; done")
        try sandbox.tarn("commit", "-m", "x", at: point)
        // From outside, too.
        try sandbox.write("m/g", "y")
        try sandbox.tarn("commit", "-m", "y", "--workspace", "work")
        #expect(try sandbox.tarn("ls", "work").lines == ["f", "g"])
        try sandbox.unmount(point)
        #expect(places.allSatisfy { access($0, F_OK) != 0 })
    }

    /// What the mount of another user of this host would take is not even read.
    @Test(.enabled(if: geteuid() == 0, "needs root"))
    func aRequestOfAnotherUserIsRefused() throws {
        let sandbox = try branch()
        let point = try sandbox.mount("m", "--ref", "work", "--write")
        try sandbox.write("m/f", "x")
        let socket = "tarn/\(try sandbox.server(of: point)).sock"
        try sandbox.shell("chmod 755 . tarn; chmod 666 \(socket)")
        let answer = try sandbox.shell(
            """
            python3 -c '
            import os, socket
            os.setgroups([]); os.setgid(4711); os.setuid(4711)
            s = socket.socket(socket.AF_UNIX); s.connect("\(socket)")
            try: s.sendall(b"{\\"verb\\":\\"seal\\"}\\n"); print(len(s.recv(100)))
            except OSError: print(0)'
            """)
        #expect(answer == "0\n")
        #expect(try sandbox.logs().contains("a control request of another user was refused"))
        try sandbox.shell("chmod 700 tarn")
        try sandbox.tarn("commit", "-m", "x", at: point)
        try sandbox.unmount(point)
    }

    // MARK: State directories

    /// Without HOME, with HOME=/ and with the home of the password database it is the same workspace.
    @Test(.enabled(if: geteuid() == 0, "needs root"))
    func aHomeThatIsMissingIsLookedUp() throws {
        let sandbox = try Sandbox()
        sandbox.environment["TARN_STATE_DIR"] = nil
        sandbox.environment["TARN_CACHE_DIR"] = nil
        try sandbox.write("data/.tarn/hooks.yaml", "hooks:\n  - name: h\n    on: pre-merge\n    run: 'true'\n")
        let home = try sandbox.shell("getent passwd $(id -u) | cut -d: -f6").trimmingCharacters(in: .newlines)
        let id = try sandbox.shell("sed -n 's/.*\"id\":\"\\([^\"]*\\)\".*/\\1/p' lake/tarn.json")
            .trimmingCharacters(in: .newlines).lowercased()
        defer {
            _ = try? sandbox.shell("rm -rf '\(home)/.cache/tarn/\(id)' '\(home)/.local/state/tarn/trusted-hooks/\(id)'")
        }
        for value in [nil, "/", "", "relative"] {
            sandbox.environment["HOME"] = value
            try sandbox.tarn("import", sandbox.path("data"), "-m", "x", "--to", "d\(value?.count ?? 9)")
            #expect(access("/.local/state/tarn", F_OK) != 0 && access("/.cache/tarn/\(id)", F_OK) != 0)
            #expect(access("\(home)/.cache/tarn/\(id)", F_OK) == 0)
        }
    }

    @Test(.enabled(if: geteuid() == 0, "needs root"))
    func whoHasNoHomeIsToldSo() throws {
        let sandbox = try Sandbox()
        for home in ["unset HOME", "export HOME=/"] {
            let outcome = try sandbox.run(
                "/bin/bash",
                [
                    "-c",
                    """
                    \(home); unset TARN_STATE_DIR; export TARN_CACHE_DIR=/nowhere
                    exec setpriv --reuid 4711 --regid 4711 --clear-groups '\(Sandbox.binary)' hooks trust
                    """,
                ])
            #expect(outcome.code != 0)
            #expect(access("/.local/state", F_OK) != 0)
            let listed = try sandbox.run(
                "/bin/bash",
                [
                    "-c",
                    """
                    \(home); unset TARN_STATE_DIR TARN_CACHE_DIR
                    exec setpriv --reuid 4711 --regid 4711 --clear-groups '\(Sandbox.binary)' log
                    """,
                ])
            #expect(listed.code == 2, "\(listed.errors)")
            #expect(listed.errors.contains("has no home directory") && listed.errors.contains("TARN_CACHE_DIR"))
        }
    }

    @Test func aStateDirectoryIsAbsolute() throws {
        let sandbox = try branch()
        sandbox.environment["TARN_STATE_DIR"] = "state"
        mkdir(sandbox.path("m"), 0o755)
        let outcome = try sandbox.tarn(
            "mount", sandbox.repository, sandbox.path("m"), "--ref", "work", "--write", code: 2)
        #expect(outcome.errors.contains("no absolute path"))
    }

    // MARK: Workspaces

    /// The branch's workspace has `ours` staged, and nobody mounts it.
    private func branchWithStagedFile() throws -> Sandbox {
        let sandbox = try branch()
        let point = try sandbox.mount("m", "--ref", "work", "--write")
        try sandbox.write("m/ours", "x")
        try sandbox.unmount(point)
        return sandbox
    }

    /// A copy of a repository has the original's id. Its staged changes are its own.
    @Test func aCopyDoesNotTakeTheOriginalsWorkspace() throws {
        let sandbox = try branchWithStagedFile()
        try sandbox.shell("cp -a lake copy; mkdir c")
        let mount = ["mount", sandbox.path("copy"), sandbox.path("c"), "--ref", "work", "--write"]
        let refused = try sandbox.tarn(mount, code: 4)
        #expect(refused.errors.contains(sandbox.path("lake")) && refused.errors.contains("--adopt-workspace"))
        #expect(refused.errors.contains("-o workspace=NAME"))
        let outside = try sandbox.tarn("status", "--workspace", "work", "--repo", sandbox.path("copy"), code: 4)
        #expect(outside.errors.contains("belongs to the repository at"))
        try sandbox.tarn(mount + ["-o", "workspace=copys"])
        #expect(access(sandbox.path("c/ours"), F_OK) != 0)
        try sandbox.unmount(sandbox.path("c"))
        // By a link it is the same repository.
        try sandbox.shell("ln -s lake link")
        #expect(
            try sandbox.tarn("status", "--workspace", "work", "--repo", sandbox.path("link")).output.contains("A  ours")
        )
        // One that was moved takes its workspace along when told so.
        try sandbox.shell("rm -r copy; mv lake moved")
        let moved = ["mount", sandbox.path("moved"), sandbox.path("c"), "--ref", "work", "--write"]
        try sandbox.tarn(moved, code: 4)
        try sandbox.tarn(moved + ["--adopt-workspace"])
        #expect(access(sandbox.path("c/ours"), F_OK) == 0)
        try sandbox.tarn("commit", "-m", "x", "--repo", sandbox.path("moved"), at: sandbox.path("c"))
        try sandbox.unmount(sandbox.path("c"))
    }

    /// A workspace that does not say where it belongs takes the first place.
    @Test func anOlderWorkspaceIsBoundAtItsNextUse() throws {
        let sandbox = try branchWithStagedFile()
        try sandbox.shell("rm state/workspaces/*/*/location")
        #expect(try sandbox.tarn("status", "--workspace", "work").output.contains("A  ours"))
        #expect(try sandbox.shell("cat state/workspaces/*/*/location") == sandbox.repository)
    }
}
