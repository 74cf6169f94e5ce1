import Foundation
import Glibc
import Testing

/// What survives a kill. SEMANTICS: W2, W3, W4, W5, B5.
@Suite(.enabled(if: FUSE.isAvailable, "no /dev/fuse"))
struct DurabilityTests {
    /// W2.
    @Test func fsyncedFileIsThereAfterKillOfTheMount() throws {
        let sandbox = try Sandbox()
        try sandbox.shell("mkdir data; head -c 5000000 /dev/urandom > data/old")
        try sandbox.tarn("import", "data", "-m", "first")
        let point = try sandbox.mount("m", "--ref", "main", "--write")
        try sandbox.write(
            "writer.py",
            """
            import os, sys, time
            new = os.open(sys.argv[1] + "/new", os.O_CREAT | os.O_WRONLY)
            os.write(new, b"precious" * 100000); os.fsync(new)
            old = os.open(sys.argv[1] + "/old", os.O_WRONLY)
            os.pwrite(old, b"EDIT", 2500000); os.fsync(old)
            open("done", "w").close()
            time.sleep(600)
            """)
        let writer = try sandbox.start("/usr/bin/env", ["python3", "writer.py", point])
        let server = try sandbox.server(of: point)
        try sandbox.shell("for i in $(seq 400); do [ -e done ] && exit 0; sleep 0.05; done; exit 1")
        sandbox.kill(server, SIGKILL)
        writer.kill(SIGKILL)
        _ = try writer.wait()
        try sandbox.shell("cp data/old want; printf EDIT | dd of=want bs=1 seek=2500000 conv=notrunc status=none")
        // The dead mount is still there.
        let again = try sandbox.mount("m", "--ref", "main", "--write")
        try sandbox.shell(
            "cmp want '\(again)/old'; python3 -c \"import sys; sys.exit(open('\(again)/new').read() != 'precious' * 100000)\""
        )
        sandbox.kill(try sandbox.server(of: again), SIGKILL)
        try sandbox.tarn("umount", "--lazy", again)
        let last = try sandbox.mount("m2", "--ref", "main", "--write")
        try sandbox.shell("cmp want '\(last)/old'; [ $(stat -c %s '\(last)/new') = 800000 ]")
        try sandbox.tarn("commit", "-m", "after the crash", at: last)
        try sandbox.unmount(last)
        try sandbox.tarn("fsck", "--read-data")
    }

    /// W5: `tarn commit` is killed at each of its renames, which publish objects in a directory store.
    @Test func killOfCommitAtEveryStepLeavesOldOrNew() throws {
        let sandbox = try Sandbox()
        let point = try sandbox.mount("m", "--ref", "main", "--write")
        var step = 0
        var round = 0
        while true {
            step += 1
            round += 1
            guard round <= 60 else {
                throw CommandFailed(description: "the commit was killed at 60 steps and never ended")
            }
            try sandbox.write(point + "/file-\(step)", "content \(step)")
            let before = try sandbox.tarn("log", "main", "-n", "1", "--json").output
            let outcome = try sandbox.run(
                "/usr/bin/strace",
                [
                    "-f", "-qq", "-o", "/dev/null", "-e", "trace=rename,renameat,renameat2,linkat", "-e",
                    "inject=rename,renameat,renameat2,linkat:signal=SIGKILL:when=\(step)", Sandbox.binary, "-C", point,
                    "commit", "-m", "step \(step)",
                ])
            try sandbox.shell(
                "for f in '\(point)'/file-*; do n=${f##*-}; [ \"$(cat \"$f\")\" = \"content $n\" ]; done; [ $(ls '\(point)' | wc -l) = \(step) ]"
            )
            if outcome.code == 0 { break }
            let after = try sandbox.tarn("log", "main", "-n", "1", "--json").output
            if before != after { #expect(after.contains("step \(step)")) }
            try sandbox.tarn("audit", "verify")
        }
        #expect(step > 3, "strace killed nothing: \(step) steps")
        // What was left staged by the killed commits went into the last one, or was published before.
        #expect(try sandbox.tarn("ls", "main").lines.count == step)
        try sandbox.unmount(point)
        try sandbox.tarn("fsck", "--read-data")
    }

    /// W4: a writer never stops while commits run; every commit holds a prefix of what was written, each file whole.
    @Test(arguments: [Place.directory])
    func writerAndCommitsAtTheSameTime(_ place: Place) throws {
        let sandbox = try Sandbox(place)
        let point = try sandbox.mount("m", "--ref", "main", "--write")
        let writer = try sandbox.start(
            "/usr/bin/env",
            [
                "python3", "-c",
                """
                import os, sys, time
                i = 0
                end = time.time() + 12
                log = open(sys.argv[1] + "/log", "a")
                while time.time() < end:
                    with open(f"{sys.argv[1]}/f{i:06}", "w") as f: f.write(f"{i}\\n" * 500)
                    log.write(f"{i}\\n"); log.flush()
                    i += 1; time.sleep(0.004)
                print(i)
                """, point,
            ])
        var commits: [String] = []
        func commit(_ message: String) throws {
            let outcome = try sandbox.run(Sandbox.binary, ["-C", point, "commit", "-m", message])
            if outcome.code == 0 { commits.append(outcome.commit) }
            #expect(outcome.code == 0 || outcome.errors.contains("nothing to commit"), "\(outcome.errors)")
        }
        try sandbox.shell("for i in $(seq 600); do [ -e '\(point)/f000000' ] && exit 0; sleep 0.05; done; exit 1")
        for number in 0..<6 {
            usleep(1_200_000)
            try commit("commit \(number)")
        }
        let written = Int(try writer.wait().output.trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0
        #expect(written > 100)
        try commit("last")
        #expect(commits.count > 1)
        for commit in commits {
            let names = try sandbox.tarn("ls", commit).lines.filter { $0.hasPrefix("f") }
            for (index, name) in names.enumerated() {
                #expect(name == "f" + String(repeating: "0", count: 6 - String(index).count) + String(index))
            }
            if !names.isEmpty {
                // The newest may have been between create and write; those before are whole.
                let out = sandbox.path("out-\(commit)")
                try sandbox.tarn("export", commit, out)
                try sandbox.shell(
                    """
                    cd '\(out)' && python3 -c '
                    import os
                    for name in sorted(n for n in os.listdir(".") if n[0] == "f")[:-1]:
                        assert open(name).read() == f"{int(name[1:])}\\n" * 500, name
                    '
                    """)
            }
        }
        #expect(try sandbox.tarn("ls", "main").lines.count == written + 1)
        #expect(try sandbox.tarn("cat", "main:log").lines.count == written)
        try sandbox.unmount(point)
    }

    /// B5.
    @Test func killedImportGoesOnWhereItStopped() throws {
        let sandbox = try Sandbox()
        try sandbox.shell("mkdir data; for i in $(seq 24); do head -c 40000000 /dev/urandom > data/f$i; done")
        // However fast it is, a checkpoint comes before 256 MiB more are uploaded.
        let importing = try sandbox.start(Sandbox.binary, ["import", "data", "-m", "big"])
        try sandbox.shell(
            "for i in $(seq 3000); do [ $(du -sm lake | cut -f 1) -gt 500 ] && exit 0; kill -0 \(importing.processID) || exit 1; sleep 0.01; done"
        )
        importing.kill(SIGKILL)
        _ = try importing.wait()
        #expect(try sandbox.tarn("log", "main", "--json").output.contains("big") == false)
        struct Result: Decodable { let uploadedBytes: UInt64; let reusedBytes: UInt64 }
        let output = try sandbox.tarn("import", "data", "-m", "big", "--json").output
        let result = try JSONDecoder().decode(Result.self, from: Data(output.utf8))
        #expect(result.reusedBytes >= 250_000_000, "\(result)")
        #expect(result.uploadedBytes < 800_000_000, "\(result)")
        try sandbox.tarn("export", "main", sandbox.path("out"))
        try sandbox.shell("diff -r data out; ! \(Self.checkpoints)")
    }

    /// The leases of imports that can go on.
    private static let checkpoints = "grep -ls '\"purpose\":\"import\"' lake/leases/*"
}
