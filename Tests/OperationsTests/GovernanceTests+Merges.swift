import ObjectDatabase
import ObjectStorage
import Operations
import ProllyTree
import Synchronization
import TestSupport
import Testing
import Versioning

/// SEMANTICS: C1–C4.
extension GovernanceTests {
    @Test func patternsDecideConflicts() throws {
        try change(work, ["a": "theirs", "b": "theirs"])
        try change(.main, ["a": "ours", "b": "ours"])
        #expect(throws: RepositoryError.self) { try merge("work") }
        var options = MergeOptions()
        options.strategy.patterns = [(Glob("a"), .incoming)]
        #expect(throws: RepositoryError.self) { try merge("work", options) }
        options.strategy.otherwise = .current
        let merged = try merge("work", options)
        #expect(try text("a", merged) == "theirs" && text("b", merged) == "ours")
    }

    /// A merge, a revert and a cherry-pick are told from the branch: what it deleted is "deleted here".
    @Test func conflictNamesTheSideThatDeleted() throws {
        let edit = try change(work, ["a": "changed on work"])
        var options = ImportOptions()
        options.removesOthers = true
        let other = try TemporaryDirectory()
        try other.write(["other": "kept"])
        _ = try repository.importDirectory(other.path, into: .main, .test(), options: options)
        func words(_ body: () throws -> Void) throws -> String? {
            do {
                try body()
                return nil
            } catch RepositoryError.conflicts(let conflicts, _, let side) {
                return conflicts.first?.reason.words(from: side)
            }
        }
        #expect(try words { _ = try merge("work") } == "deleted here, changed there")
        let picked = try repository.database.resolve(edit.hex)
        #expect(
            try words { _ = try repository.cherryPick(picked, on: .main, .test()) } == "deleted here, changed there")
    }

    private func merge(_ source: String, _ options: MergeOptions) throws -> CommitID {
        try merge(source, into: .main, options)
    }

    @Test func previewChangesNothing() throws {
        try change(work, ["c": "c"])
        let head = try repository.head()
        let preview = try repository.previewMerge(
            repository.database.resolve("work"), named: "work", into: .main, MergeStrategy())
        #expect(preview.changes.map { "\($0.path)" }.contains("c") && preview.conflicts.isEmpty)
        #expect(try repository.head() == head)
    }

    /// C5: over several merges, of a file that each of them changed.
    @Test func restoreGoesBackOverManyMerges() throws {
        let earlier = try repository.head()
        _ = try repository.changeProtection(who: "Admin <admin@x>", why: "") {
            $0.adding(ProtectionRule(pattern: "main"))
        }
        for number in 1...3 {
            try change(work, ["a": "\(number)", "new \(number)/x": "x"])
            _ = try merge("work")
        }
        let head = try repository.head()
        let found = try repository.database.resolve(earlier.hex)
        // One path, with the directories above it that are gone.
        let part = try repository.restore(found, [TreePath(parsing: "a")], on: .main, .test())
        #expect(try text("a", part.commitID) == "1\n2\n3\n" && part.commit.parents == [head])
        #expect(try repository.paths(in: part.commitID).contains("new 3/x"))
        let gone = try repository.restore(found, [TreePath(parsing: "new 2")], on: .main, .test())
        #expect(try !repository.paths(in: gone.commitID).contains { $0.hasPrefix("new 2") })
        let back = try repository.restore(
            repository.database.resolve(head.hex), [TreePath(parsing: "new 2/x")], on: .main, .test())
        #expect(try text("new 2/x", back.commitID) == "x")
        let whole = try repository.restore(found, on: .main, .test("roll back"))
        #expect(try whole.commit.tree == repository.database.commit(earlier).tree)
        #expect(whole.commit.metadata["restores"] == earlier.hex)
        #expect(throws: RepositoryError.self) { try repository.restore(found, on: .main, .test()) }
        #expect(throws: ObjectDatabaseError.self) {
            try repository.restore(found, [TreePath(parsing: "nowhere")], on: .main, .test())
        }
        let report = try repository.fsck(data: true)
        #expect(report.damage.isEmpty, "\(report.damage)")
    }

    @Test func squashHasOneParent() throws {
        try change(work, ["c": "1"])
        let tip = try change(work, ["c": "2"])
        var options = MergeOptions()
        options.squash = true
        let commit = try repository.database.commit(merge("work", options))
        #expect(commit.parents.count == 1 && commit.metadata["squashed-from"] == tip.hex)
        #expect(try text("c", repository.head()) == "2")
    }

    /// Each branch merged the other's first commit, then they disagree with neither: with one base alone, `a` would be in
    /// conflict or go back.
    @Test func crissCrossHistoriesMergeOverAllTheirBases() throws {
        let left = try change(.main, ["a": "left"])
        let right = try change(work, ["b": "right"])
        _ = try repository.merge(repository.database.resolve(right.hex), named: "r", into: .main, .test("m1"))
        _ = try repository.merge(repository.database.resolve(left.hex), named: "l", into: work, .test("m2"))
        try change(.main, ["b": "right and main"])
        try change(work, ["a": "left and work"])
        let merged = try merge("work")
        #expect(try text("a", merged) == "left and work" && text("b", merged) == "right and main")
    }

    @Test func revertTakesBackAMergeWholeAndKeepsWhatCameLater() throws {
        try change(work, ["c": "c", "a": "changed"])
        try change(work, ["d": "d"])
        let merged = try merge("work")
        try change(.main, ["later": "kept"])
        let reverted = try repository.revert(repository.database.resolve(merged.hex), on: .main, .test("back")).commitID
        #expect(try repository.paths(in: reverted) == ["a", "b", "later"])
        #expect(try text("a", reverted) == "1\n2\n3\n")
        #expect(try repository.database.commit(reverted).metadata["reverts"] == merged.hex)
        #expect(throws: RepositoryError.self) {
            try repository.revert(repository.database.resolve(merged.hex), on: .main, .test("nothing left"))
        }
    }

    @Test func revertOfWhatWasChangedAgainIsAConflict() throws {
        let first = try change(.main, ["a": "wrong"])
        let head = try change(.main, ["a": "wrong, and more"])
        #expect(throws: RepositoryError.self) {
            try repository.revert(repository.database.resolve(first.hex), on: .main, .test("back"))
        }
        #expect(try repository.head() == head)
    }

    @Test func cherryPickBringsOneCommitOnly() throws {
        try change(work, ["c": "c"])
        let wanted = try change(work, ["d": "d"])
        try change(work, ["e": "e"])
        let picked = try repository.cherryPick(repository.database.resolve(wanted.hex), on: .main, .test("pick"))
            .commitID
        #expect(try repository.paths(in: picked) == ["a", "b", "d"])
    }

    @Test func resetIsRecordedAndUndone() throws {
        let old = try repository.head()
        let new = try change(.main, ["c": "c"])
        #expect(try repository.reset(.main, to: old, who: "w", why: "") == new)
        #expect(try repository.head() == old)
        _ = try repository.reset(.main, to: new, who: "w", why: "undo")
        #expect(try repository.head() == new)
        #expect(try repository.auditLog(ref: .main).prefix(2).map(\.refUpdate.operation) == [.reset, .reset])
    }

    @Test func blameNamesTheCommitThatLastChangedEachPath() throws {
        let first = try repository.head()
        let own = try change(.main, ["a": "own"])
        let theirs = try change(work, ["dir/c": "c"])
        let merged = try merge("work")
        let lines = try repository.blame(.root, from: merged, named: "main")
        let blamed = Dictionary(uniqueKeysWithValues: lines.map { ("\($0.path)", $0.commitID) })
        #expect(blamed == ["a": own, "b": first, "dir/c": theirs])
        #expect(try repository.blame(TreePath(parsing: "dir"), from: merged, named: "main").map(\.commitID) == [theirs])
        #expect(try repository.touches(TreePath(parsing: "dir/c"), repository.database.commit(theirs)))
        #expect(try !repository.touches(TreePath(parsing: "dir/c"), repository.database.commit(own)))
        #expect(try !repository.touches(TreePath(parsing: "dir"), repository.database.commit(merged)))
    }
}
