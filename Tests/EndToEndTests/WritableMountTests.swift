import Foundation
import Testing

/// What a writable mount does beyond the POSIX suite. SEMANTICS: W8, W13, W14, W15.
@Suite(.enabled(if: FUSE.isAvailable, "no /dev/fuse"))
struct WritableMountTests {
    private func mounted(_ sandbox: Sandbox, _ options: String...) throws -> String {
        try sandbox.mount("m", ["--ref", "main", "--write"] + options.flatMap { ["-o", $0] })
    }

    /// A renamed directory is one line of `status` and of `diff`, whatever is in it.
    @Test func renamedDirectoryIsOneLine() throws {
        let sandbox = try Sandbox()
        try sandbox.shell(
            "mkdir -p data/old/deep/empty; for i in $(seq 2000); do echo same > data/old/$i; echo $i > data/old/deep/$i; done; : > data/old/none"
        )
        try sandbox.tarn("import", "data", "-m", "first")
        let point = try mounted(sandbox)
        try sandbox.shell("mv '\(point)/old' '\(point)/new'; echo extra > '\(point)/new/extra'")
        let status = try sandbox.tarn("status", at: point)
        #expect(status.lines.filter { $0.hasPrefix("R") } == ["R  old → new/"])
        #expect(status.lines.filter { $0.hasPrefix("A") }.count == 1)
        try sandbox.tarn("commit", "-m", "rename", at: point)
        #expect(try sandbox.tarn("diff", "main~1", "main").lines == ["R  old → new/", "A  new/extra  6 B"])
        try sandbox.unmount(point)
    }

    /// W10: attributes, names and kinds that others changed are seen at once, not when the kernel asks again.
    @Test func whatAnUpdateBringsIsSeenWhenItReturns() throws {
        let sandbox = try Sandbox()
        try sandbox.shell(
            "mkdir -p data/d data/kept; cd data; for f in gone mode time moved size link; do echo $f > $f; done; echo x > d/x"
        )
        try sandbox.tarn("import", "data", "-m", "first")
        let point = try mounted(sandbox)
        let other = try sandbox.mount("other", ["--ref", "main", "--write", "-o", "workspace=two"])
        try sandbox.shell(
            "cd '\(other)'; rm gone; chmod 600 mode; mv moved moved2; echo more >> size; rm -r d; echo d > d; rm link; ln -s mode link; touch -d 2001-01-01 time; rmdir kept"
        )
        try sandbox.tarn("commit", "-m", "others", at: other)
        let look = "cd '\(point)'; stat -c '%n %f %s %Y' * d/x moved2 2>&1 || true"
        try sandbox.shell(look)
        let now = try sandbox.shell("'\(Sandbox.binary)' -C '\(point)' update > /dev/null; \(look)")
        try sandbox.shell("sleep 1.3")
        #expect(try sandbox.shell(look) == now)
        #expect(now.contains("moved2 8") && now.contains("link a1ff") && !now.contains("Input/output"))
        for point in [point, other] { try sandbox.unmount(point) }
    }

    /// W13: names of one file are one file in the workspace, over commits and mounts; in a commit each is a file.
    @Test func hardLinksLastInTheWorkspace() throws {
        let sandbox = try Sandbox()
        let point = try mounted(sandbox)
        try sandbox.shell("cd '\(point)'; mkdir d; echo one > a; ln a b; ln a d/c")
        try sandbox.tarn("commit", "-m", "linked", at: point)
        #expect(try sandbox.shell("stat -c %h '\(point)/b'") == "3\n")
        try sandbox.unmount(point)
        _ = try mounted(sandbox)
        try sandbox.shell("echo two >> '\(point)/d/c'")
        #expect(try sandbox.read(point + "/a") == "one\ntwo\n")
        try sandbox.shell("rm '\(point)/a'")
        try sandbox.tarn("commit", "-m", "changed by one of its names", at: point)
        #expect(try sandbox.tarn("cat", "main:b").output == "one\ntwo\n")
        #expect(try sandbox.tarn("ls", "main").lines == ["b", "d/"])
        #expect(try sandbox.tarn("status", at: point).output.contains("Nothing is staged."))
        // Others change one of the names: it is a file of its own from then on.
        try sandbox.write("other/b", "theirs\n")
        try sandbox.tarn("import", "other", "-m", "others")
        try sandbox.write(point + "/mine", "")
        try sandbox.tarn("commit", "-m", "merged", at: point)
        #expect(try sandbox.read(point + "/b") == "theirs\n")
        #expect(try sandbox.read(point + "/d/c") == "one\ntwo\n")
        try sandbox.unmount(point)
    }

    /// W14: copies of committed bytes are made without reading or uploading them.
    @Test func copyMovesNoData() throws {
        let sandbox = try Sandbox()
        try sandbox.shell("mkdir data; head -c 20M /dev/urandom > data/f")
        try sandbox.tarn("import", "data", "-m", "first")
        let point = try mounted(sandbox)
        try sandbox.shell("cp --reflink=auto '\(point)/f' '\(point)/copy'")
        #expect(
            try sandbox.shell("du -s state | cut -f1").split(separator: "\n").first.flatMap { Int($0) } ?? .max < 5000)
        try sandbox.shell("cmp data/f '\(point)/copy'")
        let committed = try sandbox.tarn("commit", "-m", "copy", "--json", at: point).output
        #expect(committed.contains("\"uploadedBytes\" : 0") || committed.contains("\"uploadedBytes\":0"))
        // The copies are apart.
        try sandbox.shell(
            "cp '\(point)/f' '\(point)/again'; printf %32s | dd of='\(point)/f' bs=1 seek=9000000 conv=notrunc status=none"
        )
        try sandbox.shell("cmp data/f '\(point)/again'; cmp data/f '\(point)/copy'")
        try sandbox.shell("cmp data/f '\(point)/f'", code: 1)
        try sandbox.unmount(point)
    }

    /// W8: an edit in the middle of a large committed file brings and uploads only the blocks around it.
    @Test func editTransfersOnlyTheBlocksAroundIt() throws {
        let sandbox = try Sandbox()
        try sandbox.shell("mkdir data; head -c 200M /dev/urandom > data/f")
        try sandbox.tarn("import", "data", "-m", "first")
        try sandbox.shell("rm -rf cache; cp data/f copy")
        let point = try mounted(sandbox)
        try sandbox.shell("echo line >> '\(point)/f'; echo line >> copy")
        try sandbox.shell(
            "for f in '\(point)/f' copy; do printf X | dd of=$f bs=1 seek=100000000 conv=notrunc status=none; done")
        let before = try sandbox.shell("du -s --apparent-size -k lake | cut -f1")
        try sandbox.tarn("commit", "-m", "edit", at: point)
        let after = try sandbox.shell("du -s --apparent-size -k lake | cut -f1")
        let kilobytes = [before, after].compactMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
        #expect(kilobytes[1] - kilobytes[0] < 17 << 10)
        let cached = try sandbox.shell("du -s -k cache | cut -f1").trimmingCharacters(in: .whitespacesAndNewlines)
        #expect(Int(cached) ?? .max < 16 << 10)
        try sandbox.shell("cmp copy '\(point)/f'")
        try sandbox.shell("'\(Sandbox.binary)' cat main:f | cmp - copy")
        try sandbox.unmount(point)
    }

    /// W15: what was uploaded ahead is what is committed, and bytes that changed since are not.
    @Test func uploadAheadTakesTheWorkFromTheCommit() throws {
        let sandbox = try Sandbox()
        let point = try mounted(sandbox, "upload=background")
        try sandbox.shell(
            "head -c 60M /dev/urandom | tee '\(point)/big' > copy; for i in $(seq 50); do echo $i > '\(point)/'$i; done"
        )
        try sandbox.shell(
            Self.untilLeased
        )
        try sandbox.shell(
            "for f in '\(point)/big' copy; do printf X | dd of=$f bs=1 seek=30000000 conv=notrunc status=none; done")
        let first = try uploadedBytes(try sandbox.tarn("commit", "-m", "first", "--json", at: point))
        #expect(first > 0 && first < 70 << 20)
        try sandbox.shell("'\(Sandbox.binary)' cat main:big | cmp - copy")
        try sandbox.shell(Self.untilNotLeased)
        try sandbox.shell("head -c 20M /dev/urandom > '\(point)/second'")
        try sandbox.shell(Self.untilLeased)
        let second = try sandbox.tarn("commit", "-m", "second", "--json", at: point)
        #expect(try uploadedBytes(second) == 0)
        try sandbox.shell("cmp <('\(Sandbox.binary)' cat main:second) '\(point)/second'")
        try sandbox.tarn("fsck", "--read-data")
        // Nothing is left to protect: the lease goes.
        try sandbox.shell(
            Self.untilNotLeased
        )
        try sandbox.unmount(point)
    }

    /// The uploader notes a file just after it wrote the lease.
    private static let untilLeased =
        "for i in $(seq 300); do \(uploads) && break; sleep 0.1; done; sleep 2"
    private static let untilNotLeased =
        "for i in $(seq 200); do \(uploads) || break; sleep 0.1; done; ! \(uploads)"
    private static let uploads = "grep -lqs '\"purpose\":\"upload\"' lake/leases/*"

    private func uploadedBytes(_ outcome: Outcome) throws -> Int {
        struct Committed: Decodable {
            let uploadedBytes: Int
        }
        return try JSONDecoder().decode(Committed.self, from: Data(outcome.output.utf8)).uploadedBytes
    }

    /// A full disk under the workspace: the write that finds no room says so, everything before it stays, and removing a
    /// file makes room. Needs root for a file system of its own.
    @Test(.enabled(if: getuid() == 0, "not root"))
    func fullDiskLosesNothing() throws {
        let sandbox = try Sandbox()
        try sandbox.shell("mkdir state; mount -t tmpfs -o size=24m tmpfs state")
        defer { _ = try? sandbox.shell("umount -l state") }
        let point = try mounted(sandbox)
        try sandbox.shell("head -c 6M /dev/urandom | tee '\(point)/kept' > kept; sync '\(point)/kept'")
        let refused = try sandbox.run("/bin/bash", ["-c", "head -c 40M /dev/zero > '\(point)/toobig'"])
        #expect(refused.code != 0 && refused.errors.contains("No space left"))
        try sandbox.shell("cmp kept '\(point)/kept'")
        try sandbox.shell(
            "rm '\(point)/toobig'; head -c 6M /dev/urandom | tee '\(point)/after' > after; sync '\(point)/after'")
        try sandbox.tarn("commit", "-m", "after the disk was full", at: point)
        for name in ["kept", "after"] { try sandbox.shell("'\(Sandbox.binary)' cat main:\(name) | cmp - \(name)") }
        try sandbox.unmount(point)
    }
}
