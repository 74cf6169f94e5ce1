import Foundation
import Testing

/// Mounts that move with their branch. SEMANTICS: M10, W12.
@Suite(.enabled(if: FUSE.isAvailable, "no /dev/fuse"))
struct FollowTests {
    /// Reads a version that every commit writes to three places, again and again in turn. Whoever has seen a commit must
    /// not see an older one after it; a file opened at the start keeps its version.
    private static let reader = """
        import os, sys, time
        point, stop, newest, reads, end = sys.argv[1], sys.argv[2], 0, 0, time.time() + 300
        first = open(point + '/b/version')
        opened = first.read()
        open(sys.argv[3], 'w').close()
        while newest < 10 or not os.path.exists(stop):
            assert time.time() < end, f'it still shows {newest}'
            for path in ['a/deep/version', 'b/version', 'version']:
                version = int(open(point + '/' + path).read())
                assert version >= newest, f'{path} is of {version} after {newest} was seen'
                newest, reads = version, reads + 1
            os.listdir(point), os.stat(point + '/a')
        os.posix_fadvise(first.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        first.seek(0)
        assert first.read() == opened and newest > int(opened), 'an open file changed'
        print(newest)
        """

    @Test func readersThatNeverStopSeeEveryCommitWhole() throws {
        let sandbox = try Sandbox()
        let places = ["a/deep/version", "b/version", "version"]
        for place in places { try sandbox.write("data/\(place)", "0") }
        try sandbox.tarn("import", "data", "-m", "0")
        let following = try sandbox.mount("following", "--ref", "main", "--follow", "-o", "poll=0.1")
        let writing = try sandbox.mount("writing", "--ref", "main", "--write")
        let readers = try (0..<3).map { number in
            try sandbox.start(
                "/usr/bin/env",
                ["python3", "-c", Self.reader, following, sandbox.path("stop"), sandbox.path("ready\(number)")])
        }
        try sandbox.shell(
            "for i in $(seq 600); do [ $(ls ready* 2>/dev/null | wc -l) = 3 ] && exit 0; sleep 0.1; done; exit 1")
        for version in 1...10 {
            for place in places { try sandbox.write("\(writing)/\(place)", "\(version)") }
            try sandbox.write("\(writing)/new\(version)", "")
            try sandbox.tarn("commit", "-m", "\(version)", at: writing)
            usleep(300_000)
        }
        try sandbox.write("stop", "")
        for reader in readers {
            let outcome = try reader.wait()
            #expect(outcome.code == 0, "\(outcome.errors)")
            #expect(outcome.output.trimmingCharacters(in: .whitespacesAndNewlines) == "10")
        }
        let head = try sandbox.tarn("log", "-n", "1", "--oneline").output.prefix(12)
        #expect(try sandbox.shell("getfattr --only-values -n user.tarn.commit '\(following)'").hasPrefix(head))
        #expect(try sandbox.shell("ls '\(following)'").contains("new10"))
        try sandbox.unmount(following)
        try sandbox.unmount(writing)
    }

    @Test func onlyABranchIsFollowed() throws {
        let sandbox = try Sandbox()
        try sandbox.tarn("tag", "create", "v1", "main")
        try sandbox.shell("mkdir m")
        try sandbox.tarn("mount", sandbox.repository, "m", "--ref", "v1", "--follow", code: 2)
        try sandbox.tarn("mount", sandbox.repository, "m", "--ref", "main", "--write", "--follow", code: 2)
    }

    /// W12: what others committed comes below the staged changes; a path that both changed is a conflict to decide.
    @Test func updateTakesTheHeadUnderTheStagedChanges() throws {
        let sandbox = try Sandbox()
        for name in ["theirs", "shared", "mode"] { try sandbox.write("data/\(name)", "base\n") }
        try sandbox.tarn("import", "data", "-m", "first")
        let point = try sandbox.mount("m", "--ref", "main", "--write")
        try sandbox.write(point + "/ours", "ours\n")
        try sandbox.write(point + "/shared", "ours\n")
        try sandbox.shell("chmod 600 '\(point)/mode'; ln '\(point)/ours' '\(point)/link'; mkfifo '\(point)/pipe'")
        try sandbox.write("data/new", "new\n")
        for name in ["theirs", "shared", "mode"] { try sandbox.write("data/\(name)", "from others\n") }
        let head = try sandbox.tarn("import", "data", "-m", "others").commit

        let updated = try sandbox.tarn("update", code: 3, at: point)
        #expect(updated.output.contains(head.prefix(12)) && updated.output.contains("C  shared"))
        #expect(try sandbox.read(point + "/theirs") == "from others\n")
        #expect(try sandbox.read(point + "/new") == "new\n")
        #expect(try sandbox.read(point + "/shared") == "ours\n")
        #expect(try sandbox.read(point + "/mode") == "from others\n")
        #expect(try sandbox.shell("stat -c %a '\(point)/mode'") == "600\n")
        #expect(try sandbox.shell("stat -c %h '\(point)/link'") == "2\n")
        #expect(try sandbox.shell("stat -c %F '\(point)/pipe'") == "fifo\n")

        try sandbox.tarn("commit", "-m", "too early", code: 3, at: point)
        try sandbox.tarn("resolve", "shared", "--ours", at: point)
        try sandbox.tarn("commit", "-m", "both", at: point)
        #expect(try sandbox.tarn("cat", "main:shared").output == "ours\n")
        #expect(try sandbox.tarn("cat", "main:mode").output == "from others\n")
        #expect(try sandbox.tarn("ls", "main").lines == ["link", "mode", "new", "ours", "shared", "theirs"])
        #expect(try sandbox.tarn("status", at: point).output.contains("Nothing is staged."))
        #expect(try sandbox.tarn("update", at: point).output.contains("Already"))
        try sandbox.unmount(point)
    }
}
