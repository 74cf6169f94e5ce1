import Foundation
import TestSupport
import Testing

/// Nothing to commit is no failure, and a failure is never taken for it.
@Suite struct ExitCodeTests {
    private func expectNothing(_ sandbox: Sandbox, _ arguments: [String], commit: String, at: String? = nil) throws {
        let done = try sandbox.tarn(arguments, at: at)
        #expect(done.errors.contains("nothing to commit") && done.commit == commit, "\(arguments): \(done)")
        let json = try sandbox.tarn(arguments + ["--json"], at: at).output
        #expect(json.contains(#""isEmpty":true"#) || json.contains(#""isEmpty" : true"#), "\(json)")
        #expect(json.contains(commit))
        try sandbox.tarn(arguments + ["--fail-if-empty"], code: 6, at: at)
    }

    @Test func nothingToCommitIsSaid() throws {
        let sandbox = try Sandbox()
        try sandbox.write("data/a", "1")
        try sandbox.tarn("import", "data", "-m", "first")
        try sandbox.tarn("branch", "create", "work")
        try sandbox.write("more/b", "2")
        let work = try sandbox.tarn("import", "more", "--branch", "work", "-m", "second").commit
        let merged = try sandbox.tarn("merge", "work", "-m", "up").commit
        // The commit that brought it in, not where the branch has gone since.
        try sandbox.write("other/c", "3")
        let head = try sandbox.tarn("import", "other", "-m", "later").commit
        try expectNothing(sandbox, ["merge", "work", "-m", "up"], commit: merged)
        try expectNothing(sandbox, ["merge", "work", "-m", "up", "--ff-only"], commit: merged)
        try expectNothing(sandbox, ["import", "other", "-m", "again"], commit: head)
        try expectNothing(sandbox, ["restore", "--on", "main", "--to", head], commit: head)
        try expectNothing(sandbox, ["restore", "--on", "work", "--to", "work"], commit: work)
        try expectNothing(sandbox, ["cherry-pick", head, "--on", "main"], commit: head)
    }

    @Test(.enabled(if: FUSE.isAvailable, "no /dev/fuse"))
    func aCommitWithoutItsStoreFails() throws {
        let sandbox = try Sandbox()
        let work = try sandbox.mount("work", "--ref", "main", "--write")
        let head = try sandbox.shell("getfattr --only-values -n user.tarn.commit '\(work)'")
        try expectNothing(sandbox, ["commit", "-m", "x"], commit: head, at: work)
        try sandbox.write(work + "/new", "x")
        try sandbox.shell("mv lake away")
        let failed = try sandbox.tarn(["commit", "-m", "x"], code: 5, at: work)
        #expect(!failed.errors.contains("nothing to commit"))
        try sandbox.shell("mv away lake")
        try sandbox.tarn("commit", "-m", "x", at: work)
        try sandbox.unmount(work)
    }
}
