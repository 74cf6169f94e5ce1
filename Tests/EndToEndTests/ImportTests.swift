import TestSupport
import Testing

/// What an import takes and what it passes over (B3, B4, B8, B9).
@Suite struct ImportTests {
    private let sandbox: Sandbox

    init() throws {
        sandbox = try Sandbox()
    }

    private func paths() throws -> [String] { try sandbox.tarn("ls", "-r", "main").lines.sorted() }

    @Test func theRepositoryItselfIsLeftOut() throws {
        try sandbox.write("top/a", "1")
        try sandbox.shell("mkdir -p top/deep; mv lake top/deep/lake")
        let done = try sandbox.tarn("--help", code: 0)
        #expect(done.output.contains("7 done, but"))
        for _ in 0..<2 {
            try sandbox.write("top/b", "\(Int.random(in: 0..<1 << 60))")
            let imported = try sandbox.tarn("import", ".", "--repo", "deep/lake", "-m", "x", "--delete", at: "top")
            #expect(imported.errors.contains("deep/lake") && imported.errors.contains("repository itself"))
        }
        sandbox.environment["TARN_REPO"] = sandbox.path("top/deep/lake")
        #expect(try paths() == ["a", "b", "deep/"] || paths() == ["a", "b", "deep"])
        let itself = try sandbox.tarn("import", "top/deep/lake", "-m", "x", code: 1)
        #expect(itself.errors.contains("repository itself"))
        try sandbox.tarn("import", "top/deep/lake/refs", "-m", "x", code: 1)
    }

    /// As another user than root, who may read everything.
    @Test func whatCannotBeReadIsNamedAndTheRestIsCommitted() throws {
        for name in ["data/a", "data/closed", "data/dir/x", "data/z"] { try sandbox.write(name, "old") }
        try sandbox.tarn("import", "data", "-m", "first")
        try sandbox.shell(
            """
            echo new > data/a; echo new > data/closed; chmod 0 data/closed data/dir; rm data/z
            cp '\(Sandbox.binary)' program; chmod -R a+rwX lake state cache . 2>/dev/null || true
            chmod 0 data/closed data/dir
            """)
        let run = "setpriv --reuid 65534 --clear-groups"
        let user = try sandbox.shell("id -u").hasPrefix("0") ? run : ""
        try sandbox.shell(
            "export HOME=$PWD; \(user) ./program import data -m second --delete >out 2>errors || echo $? >code")
        try sandbox.shell("chmod -R u+rwX data")
        #expect(try sandbox.read("code") == "7\n")
        let errors = try sandbox.read("errors")
        #expect(errors.contains("left out closed: Permission denied") && errors.contains("left out dir"))
        #expect(errors.contains("2 paths could not be read"))
        #expect(try sandbox.tarn("cat", "main:a").output == "new\n")
        #expect(try sandbox.tarn("cat", "main:closed").output == "old")
        #expect(try sandbox.tarn("cat", "main:dir/x").output == "old")
        try sandbox.tarn("cat", "main:z", code: 5)
    }

    /// Nothing half-read is committed, whether it goes through a batch or has packs of its own.
    @Test(arguments: ["1M", "64M"]) func whatIsWrittenToMeanwhileIsLeftOut(size: String) throws {
        try sandbox.write("data/a", "1")
        try sandbox.shell("truncate -s \(size) data/busy; head -c 65536 /dev/urandom >> data/busy")
        let outcome = try sandbox.run(
            "/bin/bash",
            [
                "-c",
                """
                (while :; do echo more >> data/busy; done) & writer=$!
                '\(Sandbox.binary)' import data -m x; code=$?
                kill $writer; exit $code
                """,
            ])
        #expect(outcome.code == 7 && outcome.errors.contains("left out busy"), "\(outcome)")
        #expect(try paths() == ["a"])
        try sandbox.tarn("import", "data", "-m", "again")
        #expect(try paths() == ["a", "busy"])
    }

    @Test func patternsPassOver() throws {
        for name in ["a", "a.tmp", "d/b.tmp", "d/keep.tmp", "scratch/x", "d/scratch/y", "d/c"] {
            try sandbox.write("data/" + name, "1")
        }
        try sandbox.tarn("import", "data", "-m", "all")
        try sandbox.write("data/.tarnignore", "# not these\n*.tmp\n!keep.tmp\n")
        try sandbox.shell("rm -r data/d/c data/d/b.tmp data/scratch")
        try sandbox.write("data/new.tmp", "1")
        try sandbox.tarn("import", "data", "-m", "some", "--exclude", "/scratch/", "--delete")
        let found = try Set(paths())
        // What is passed over stays in the branch, also where the source has it no more; d/c is gone.
        for name in ["a", "a.tmp", "d/b.tmp", "d/keep.tmp", "scratch/x", "d/scratch/y", ".tarnignore"] {
            #expect(found.contains(name), "\(name): \(found)")
        }
        #expect(!found.contains("d/c") && !found.contains("new.tmp"))
        let bad = try sandbox.tarn("import", "data", "-m", "x", "--exclude", " ", code: 2)
        #expect(bad.errors.contains("pattern"))
        // An ignore file that cannot be read is no leave to import everything.
        try sandbox.shell("rm data/.tarnignore; ln -s elsewhere data/.tarnignore; echo 2 > data/a")
        try sandbox.tarn("import", "data", "-m", "x", code: 1)
    }

    @Test func aFileOrALinkToADirectoryIsASource() throws {
        try sandbox.write("data/a.csv", "1")
        try sandbox.shell("ln -s data link; ln -s data/a.csv file-link")
        try sandbox.tarn("import", "data/a.csv", "--to", "raw/in", "-m", "file")
        #expect(try sandbox.tarn("cat", "main:raw/in/a.csv").output == "1")
        try sandbox.tarn("import", "link", "--to", "linked", "-m", "link")
        #expect(try sandbox.tarn("cat", "main:linked/a.csv").output == "1")
        try sandbox.tarn("import", "data/a.csv", "--to", "raw/in", "-m", "x", "--delete", code: 1)
        try sandbox.tarn("import", "file-link", "-m", "x", code: 1)
        try sandbox.tarn("import", "nothing", "-m", "x", code: 1)
    }

    @Test func otherFileSystemsAreNotEntered() throws {
        try sandbox.write("data/a", "1")
        let done = try sandbox.run(
            "/usr/bin/unshare",
            [
                "--user", "--map-root-user", "--mount", "/bin/bash", "-ec",
                """
                mkdir data/other; mount -t tmpfs none data/other; echo 1 > data/other/x
                '\(Sandbox.binary)' import data -m x --one-file-system
                """,
            ])
        #expect(done.code == 0 && done.errors.contains("left out other"), "\(done)")
        #expect(try !sandbox.tarn("ls", "-r", "main").output.contains("other/x"))
    }
}
