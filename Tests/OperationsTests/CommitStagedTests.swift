import Foundation
import ObjectDatabase
import ObjectStorage
import Operations
import ProllyTree
import Staging
import TestSupport
import Testing
import Versioning

/// All that an overlay changes, by path.
private func stagedChanges<Store: NodeStore>(_ overlay: Overlay, base: Tree<Store>) throws -> [TreePath: StagedChange] {
    var changes: [TreePath: StagedChange] = [:]
    try forEachStagedChange(overlay, base: base) { changes[$0.path] = $0 }
    return changes
}

@Suite struct CommitStagedTests {
    private let repository: Repository
    private let directory: TemporaryDirectory
    private let workspace: Workspace
    private let editor: StagingEditor

    init() throws {
        repository = try makeRepository()
        let source = try TemporaryDirectory()
        try source.write(["d/x": "x", "d/e/y": "y", "z": "z"])
        _ = try repository.importDirectory(source.path, into: .main, .test())
        directory = try TemporaryDirectory()
        workspace = try repository.workspace(in: directory.file("workspace"))
        editor = StagingEditor(workspace, repository)
    }

    private func changes(_ workspace: Workspace? = nil) throws -> [String] {
        let workspace = workspace ?? self.workspace
        let base = repository.database.tree(try repository.database.commit(workspace.base()).tree)
        return try workspace.read { try stagedChanges($0, base: base) }.values.map { change in
            switch change {
            case .put(let path, _): "put \(path)"
            case .carried(let path, let from, _): "carried \(path) from \(from)"
            case .removed(let path, _): "removed \(path)"
            }
        }.sorted()
    }

    private func dataFiles() throws -> Int {
        let files = try FileManager.default.subpathsOfDirectory(atPath: directory.file("workspace/data"))
        return files.count { Int($0.split(separator: "/").last ?? "") != nil && $0.contains("/") }
    }

    private func commit() throws -> StagedCommit {
        try repository.commitStaged(
            workspace, .test(), holder: LocalHolder(workspace: workspace, repository: repository))
    }

    // MARK: Keeping

    @Test func stagedChangesSurviveReopening() throws {
        try editor.put("d/x", [1, 2, 3])
        try editor.remove("z")
        let before = try changes()
        let again = try Workspace(openingExisting: directory.file("workspace"), logger: .silent)
        #expect(try changes(again) == before)
        #expect(before == ["put d/x", "removed z"])
    }

    @Test func workspaceOfAnotherBranchIsRefused() throws {
        try repository.createRef(.branch("other"), at: repository.head(), who: "a", why: "")
        #expect(throws: WorkspaceError.self) {
            try repository.workspace(in: directory.file("workspace"), branch: RefName.branch("other"))
        }
        #expect(throws: WorkspaceError.notThere(directory: "/nonexistent")) {
            try Workspace(openingExisting: "/nonexistent", logger: .silent)
        }
    }

    @Test func secondHolderIsRefusedWithTheWordsOfTheFirst() throws {
        let words = String(repeating: "a long description ", count: 200)
        let lock = try WorkspaceLock(directory: directory.path, holder: words)
        #expect(throws: WorkspaceError.inUse(directory: directory.path, holder: words)) {
            try WorkspaceLock(directory: directory.path, holder: "me")
        }
        withExtendedLifetime(lock) {}
    }

    @Test func lockEndsWithItsHolder() throws {
        do {
            let lock = try WorkspaceLock(directory: directory.path, holder: "first and longer")
            withExtendedLifetime(lock) {}
        }
        let second = try WorkspaceLock(directory: directory.path, holder: "second")
        #expect(throws: WorkspaceError.inUse(directory: directory.path, holder: "second")) {
            try WorkspaceLock(directory: directory.path, holder: "me")
        }
        withExtendedLifetime(second) {}
    }

    // MARK: Sealing

    @Test func secondSealIsRefused() throws {
        _ = try workspace.seal()
        #expect(throws: WorkspaceError.alreadySealed) { try workspace.seal() }
        try workspace.abandonSeal()
        _ = try workspace.seal()
    }

    @Test func sealHoldsWhatWasStagedThen() throws {
        try editor.put("d/x", [1])
        _ = try workspace.seal()
        try editor.put("new", [2])
        let base = repository.database.tree(try repository.database.commit(workspace.base()).tree)
        #expect(try workspace.readSealed { try stagedChanges($0, base: base) }.keys.map { "\($0)" } == ["d/x"])
        #expect(try changes() == ["put d/x", "put new"])
    }

    @Test func abandonedSealKeepsEverything() throws {
        try editor.put("d/x", [1])
        _ = try workspace.seal()
        try editor.write("d/x", at: 1, [2])
        try workspace.abandonSeal()
        #expect(try workspace.sealState() == nil)
        let id = try commit().published.commitID
        #expect(try repository.bytes(of: "d/x", in: id) == [1, 2])
    }

    @Test func sealAndItsCommitSurviveReopening() throws {
        try editor.put("d/x", [1])
        let state = try workspace.seal()
        try workspace.recordSealedCommit(repository.head())
        let again = try Workspace(openingExisting: directory.file("workspace"), logger: .silent)
        #expect(try again.sealState()?.change == state.change)
        #expect(try again.sealState()?.commit == repository.head())
    }

    @Test func dataFilesGoWhenNothingNeedsThem() throws {
        try editor.put("d/x", [1])
        try editor.put("new", [1])
        #expect(try dataFiles() == 2)
        _ = try workspace.seal()
        try editor.write("new", at: 5, [1])
        try editor.remove("d/x")
        #expect(try dataFiles() == 3)
        try workspace.abandonSeal()
        #expect(try dataFiles() == 2)
        _ = try commit()
        #expect(try dataFiles() == 0)
    }

    // MARK: What is staged

    @Test func renamedDirectoryCarriesItsChildren() throws {
        try editor.rename("d", to: "n")
        #expect(
            try changes() == [
                "carried n/e from d/e", "carried n/e/y from d/e/y", "carried n/x from d/x", "put n", "removed d",
                "removed d/e",
                "removed d/e/y", "removed d/x",
            ])
    }

    @Test func directoryReplacedByAFileTakesItsContentsAway() throws {
        try editor.remove("d")
        try editor.put("d", [1])
        #expect(try changes() == ["put d", "removed d/e", "removed d/e/y", "removed d/x"])
        let commit = try commit().published.commit
        #expect(commit.counts == Commit.Counts(files: 2, directories: 1, bytes: 2))
    }

    @Test func fileReplacedByADirectory() throws {
        try editor.remove("z")
        try editor.makeDirectory("z")
        try editor.put("z/in", [1])
        #expect(try changes() == ["put z", "put z/in"])
        #expect(try repository.paths(in: commit().published.commitID).contains("z/in"))
    }

    @Test func deletedAndCreatedAgainIsOneChange() throws {
        try editor.remove("z")
        try editor.put("z", [9])
        #expect(try changes() == ["put z"])
        #expect(try repository.bytes(of: "z", in: commit().published.commitID) == [9])
    }

    @Test func newAndDeletedAgainIsNothing() throws {
        try editor.put("new", [1])
        try editor.remove("new")
        #expect(try changes().isEmpty)
        #expect(throws: RepositoryError.self) { try commit() }
    }

    // MARK: Discarding

    @Test func discardLetsTheBaseDecideAgain() throws {
        try editor.put("d/x", [1])
        try editor.remove("d/e")
        try editor.put("new", [1])
        try workspace.discard([TreePath(parsing: "d")])
        #expect(try changes() == ["put new"])
        try workspace.discard([])
        #expect(try changes().isEmpty && workspace.isEmpty())
    }

    @Test func discardOfWhatIsNotStagedIsNothing() throws {
        try editor.put("d/x", [1])
        try workspace.discard([TreePath(parsing: "d/e/y"), TreePath(parsing: "no/such"), TreePath(parsing: "z")])
        #expect(try changes() == ["put d/x"])
    }

    // MARK: Conflicts

    private func othersWrite(_ text: String) throws {
        let source = try TemporaryDirectory()
        try source.write(["z": text])
        _ = try repository.importDirectory(source.path, into: .main, .test("others"))
    }

    private func expectConflict() throws {
        do {
            _ = try commit()
            Issue.record("it was committed")
        } catch RepositoryError.conflicts(let conflicts, _, _) {
            #expect(try conflicts.map(\.path) == [TreePath(parsing: "z")])
        }
    }

    @Test func conflictKeepsEverythingStagedAndIsRecorded() throws {
        try editor.put("z", [1])
        try editor.put("new", [2])
        let before = try changes()
        try othersWrite("theirs")
        try expectConflict()
        #expect(try changes() == before)
        #expect(try workspace.conflicts().map(\.reason) == [.content])
        try expectConflict()
    }

    @Test(arguments: [
        (Resolution.incoming, Array("mine".utf8)), (.current, Array("theirs".utf8)), (.base, Array("z".utf8)),
    ])
    func resolutionDecidesTheNextCommit(resolution: Resolution, bytes: [UInt8]) throws {
        try editor.put("z", Array("mine".utf8))
        try editor.put("new", [2])
        try othersWrite("theirs")
        try expectConflict()
        #expect(try workspace.resolve(TreePath(parsing: "z"), resolution))
        #expect(try !workspace.resolve(TreePath(parsing: "d/x"), resolution))
        let id = try commit().published.commitID
        #expect(try repository.bytes(of: "z", in: id) == bytes)
        #expect(try repository.bytes(of: "new", in: id) == [2])
        #expect(try workspace.conflicts().isEmpty && workspace.isEmpty())
    }

    @Test func resolutionIsForgottenWhenTheOtherSideMovedOn() throws {
        try editor.put("z", Array("mine".utf8))
        try othersWrite("theirs")
        try expectConflict()
        #expect(try workspace.resolve(TreePath(parsing: "z"), .incoming))
        try othersWrite("theirs again")
        try expectConflict()
        #expect(try workspace.conflicts().map(\.resolution) == [nil])
    }

    private func tell() throws { try workspace.noteTold(workspace.conflicts()) }

    /// W6
    @Test func editAfterTheConflictWasToldDecidesForOurs() throws {
        try editor.put("z", Array("mine".utf8))
        try othersWrite("theirs")
        try expectConflict()
        try tell()
        try editor.put("z", Array("both".utf8))
        #expect(try repository.bytes(of: "z", in: commit().published.commitID) == Array("both".utf8))
    }

    /// W6: nobody knew of it yet.
    @Test func editBetweenTheFindingAndTheTellingDecidesNothing() throws {
        try editor.put("z", Array("mine".utf8))
        try othersWrite("theirs")
        try expectConflict()
        try editor.put("z", Array("more of mine".utf8))
        try expectConflict()
        try tell()
        try expectConflict()
        try editor.put("z", Array("both".utf8))
        #expect(try repository.bytes(of: "z", in: commit().published.commitID) == Array("both".utf8))
    }

    /// W6: who was told of one version decides nothing about the next.
    @Test func aTellingCountsForTheVersionThatWasTold() throws {
        try editor.put("z", Array("mine".utf8))
        try othersWrite("theirs")
        try expectConflict()
        let told = try workspace.conflicts()
        try othersWrite("theirs again")
        try expectConflict()
        try workspace.noteTold(told)
        try editor.put("z", Array("both".utf8))
        try expectConflict()
    }

    /// W6: the same for a conflict that an update finds.
    @Test func editBeforeAnUpdateHasToldDecidesNothing() throws {
        try editor.put("z", Array("mine".utf8))
        try othersWrite("theirs")
        #expect(try repository.update(workspace).conflicts == [TreePath(parsing: "z")])
        try editor.put("z", Array("more of mine".utf8))
        try expectConflict()
        try tell()
        try editor.put("z", Array("both".utf8))
        #expect(try repository.bytes(of: "z", in: commit().published.commitID) == Array("both".utf8))
    }

    /// Rows of a workspace hold reasons in the workspace's words, whatever merges call the sides.
    @Test func conflictsOfAWorkspaceComeBackFromItsRows() throws {
        let reasons: [ConflictReason] = [.content, .deletedByCurrent, .deletedByIncoming, .directoryBecameFile]
        let conflicts = try reasons.enumerated().map { number, reason in
            Conflict(path: try TreePath(parsing: "c\(number)"), base: nil, incoming: nil, current: nil, reason: reason)
        }
        try workspace.record(conflicts, settled: [])
        #expect(try workspace.conflicts().map(\.reason) == reasons)
        let words = try workspace.read { overlay in try overlay.storedConflictReasons() }
        #expect(words.contains("deleted here, changed there") && words.contains("changed here, deleted there"))
    }
}
