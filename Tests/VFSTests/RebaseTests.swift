import ObjectDatabase
import ObjectStorage
import Operations
import ProllyTree
import Staging
import TestSupport
import Testing
import Versioning

/// What was staged since a seal, after the commit of the seal was published: alone, and merged with what others
/// committed.
@Suite struct RebaseTests {
    private let repository: Repository
    private let directory: TemporaryDirectory
    private let mount: MountedWorkspace

    init() throws {
        repository = try makeRepository()
        directory = try TemporaryDirectory()
        mount = try MountedWorkspace(repository, directory: directory.file("workspace"))
        try mount.makeDirectory("d")
        for name in ["d/x", "d/y", "z"] { try mount.makeFile(name, Array("base".utf8)) }
        _ = try mount.commit("base")
    }

    /// Somebody else's commit of these files.
    private func others(_ files: [String: String]) throws {
        let source = try TemporaryDirectory()
        try source.write(files)
        _ = try repository.importDirectory(source.path, into: .main, .test("others"))
    }

    /// Changes `own`, commits it, and does `since` between the seal and the publication, while others commit too.
    private func commit(
        others: [String: String] = [:], own: (MountedWorkspace) throws -> Void = { try $0.makeFile("own", [1]) },
        since: @escaping (MountedWorkspace) throws -> Void
    ) throws -> StagedCommit {
        try own(mount)
        if !others.isEmpty { try self.others(others) }
        var holder = MountHolder(mount: mount)
        holder.afterSeal = { [mount] in try since(mount) }
        return try repository.commitStaged(mount.workspace, .test("own"), holder: holder)
    }

    private func text(_ path: String) throws -> String { String(decoding: try mount.read(path), as: UTF8.self) }

    @Test func nothingSinceTheSealLeavesNothingStaged() throws {
        let commit = try commit { _ in }
        #expect(try mount.workspace.isEmpty())
        #expect(try mount.workspace.base() == commit.published.commitID)
    }

    @Test func fileChangedAgainSinceTheSealStaysStaged() throws {
        _ = try commit(own: { try $0.edit("z", at: 0, Array("BASE and more".utf8)) }) {
            try $0.edit("z", at: 5, Array("AND".utf8))
        }
        #expect(try repository.bytes(of: "z", in: repository.head()) == Array("BASE and more".utf8))
        #expect(try text("z") == "BASE AND more")
        let next = try mount.commit().published.commitID
        #expect(try repository.bytes(of: "z", in: next) == Array("BASE AND more".utf8))
    }

    /// Bytes that are written again as they were are no change, so the commit holds what others made of the file: what is
    /// written meanwhile does not replace that unseen.
    @Test func fileWrittenAgainAsItWasIsOthersInTheCommit() throws {
        let result = try commit(others: ["z": "theirs"]) { mount in
            try mount.makeFile("own", [1])
            try mount.edit("z", at: 0, Array("base".utf8))
        } since: {
            try $0.edit("z", at: 0, Array("mine".utf8))
        }
        #expect(try repository.bytes(of: "z", in: repository.head()) == Array("theirs".utf8))
        #expect(try result.laterConflicts == [TreePath(parsing: "z")])
        #expect(throws: RepositoryError.self) { try mount.commit() }
    }

    @Test func directoryRenamedBeforeTheSealAndChangedSince() throws {
        _ = try commit(own: { try $0.rename("d", to: "e") }) {
            try $0.edit("e/x", at: 0, Array("since".utf8))
            try $0.unlink("e/y")
        }
        #expect(try repository.paths(in: repository.head()) == ["e", "z", "e/x", "e/y"])
        #expect(try repository.paths(in: mount.commit().published.commitID) == ["e", "z", "e/x"])
        #expect(try text("e/x") == "since")
    }

    @Test func directoryRenamedSinceTheSeal() throws {
        _ = try commit(own: { try $0.makeFile("d/new", [1]) }) { try $0.rename("d", to: "e") }
        #expect(try repository.paths(in: repository.head()) == ["d", "z", "d/new", "d/x", "d/y"])
        #expect(try repository.paths(in: mount.commit().published.commitID) == ["e", "z", "e/new", "e/x", "e/y"])
    }

    @Test func fileSealedAndDeletedSinceIsDeletedByTheNextCommit() throws {
        _ = try commit { try $0.unlink("own") }
        #expect(try repository.paths(in: repository.head()).contains("own"))
        #expect(throws: (any Error).self) { try mount.read("own") }
        #expect(try !repository.paths(in: mount.commit().published.commitID).contains("own"))
    }

    @Test func filesOfOthersAppear() throws {
        let commit = try commit(others: ["d/theirs": "theirs"]) { try $0.makeFile("d/since", [1]) }
        #expect(commit.laterConflicts.isEmpty)
        #expect(try text("d/theirs") == "theirs")
        #expect(
            try repository.paths(in: mount.commit().published.commitID)
                == ["d", "own", "z", "d/since", "d/theirs", "d/x", "d/y"])
    }

    // MARK: Nothing of others is overwritten silently

    private func conflicts(
        _ path: String, others: [String: String], since: @escaping (MountedWorkspace) throws -> Void
    ) throws {
        let commit = try commit(others: others, since: since)
        #expect(try commit.laterConflicts == [TreePath(parsing: path)])
        #expect(try mount.workspace.conflicts().map { "\($0.path)" } == [path])
        let before = try repository.head()
        do {
            _ = try mount.commit("again")
            Issue.record("what others did was overwritten")
        } catch RepositoryError.conflicts(let open, _, _) { #expect(open.map { "\($0.path)" } == [path]) }
        #expect(try repository.head() == before)
        #expect(try mount.workspace.resolve(TreePath(parsing: path), .incoming))
        _ = try mount.commit("decided")
        #expect(try mount.workspace.conflicts().isEmpty)
    }

    @Test func fileFirstChangedSinceAndByOthersIsAConflict() throws {
        try conflicts("d/x", others: ["d/x": "theirs"]) { try $0.edit("d/x", at: 0, Array("ours".utf8)) }
        #expect(try repository.bytes(of: "d/x", in: repository.head()) == Array("ours".utf8))
    }

    @Test func fileCreatedSinceAndByOthersIsAConflict() throws {
        try conflicts("n", others: ["n": "theirs"]) { try $0.makeFile("n", Array("ours".utf8)) }
        #expect(try repository.bytes(of: "n", in: repository.head()) == Array("ours".utf8))
    }

    @Test func fileDeletedSinceAndChangedByOthersIsAConflict() throws {
        try conflicts("z", others: ["z": "theirs"]) { try $0.unlink("z") }
        #expect(try !repository.paths(in: repository.head()).contains("z"))
    }

    @Test func fileReplacedSinceAndChangedByOthersIsAConflict() throws {
        try conflicts("z", others: ["z": "theirs"]) {
            try $0.makeFile("tmp", Array("ours".utf8))
            try $0.rename("tmp", to: "z")
        }
    }

    // MARK: The version that was written over

    /// W4: a whole copy of another committed file is a change, also of a file that the commit under way brings.
    @Test(arguments: ["own", "d/x"])
    func wholeCopySinceTheSealStaysStaged(_ path: String) throws {
        _ = try commit(own: {
            try $0.makeFile("own", [1])
            try $0.edit("d/x", at: 0, [2])
        }) { mount in
            try mount.copyWhole("z", over: path)
        }
        #expect(try text(path) == "base")
        #expect(try repository.bytes(of: path, in: mount.commit().published.commitID) == Array("base".utf8))
    }

    /// W4: to take back what is being committed is a change.
    @Test func theBytesOfTheBaseWrittenSinceTheSealStayStaged() throws {
        _ = try commit(own: { try $0.edit("d/x", at: 0, Array("ours".utf8)) }) { try $0.copyWhole("d/y", over: "d/x") }
        #expect(try text("d/x") == "base")
        #expect(try repository.bytes(of: "d/x", in: mount.commit().published.commitID) == Array("base".utf8))
    }

    /// W12: what a workspace alone writes is no conflict with others.
    @Test func fileThatOnlyWeWriteIsNoConflictAtAnUpdate() throws {
        _ = try commit(own: { try $0.makeFile("own", [1]) }) { try $0.edit("own", at: 0, [2]) }
        try others(["theirs": "theirs"])
        #expect(try mount.update().isEmpty)
        #expect(try repository.bytes(of: "own", in: mount.commit().published.commitID) == [2])
    }

    /// W12: what others took back to the state before our commit was changed by others.
    @Test(arguments: ["z", "own"])
    func fileThatOthersTookBackIsAConflictAtAnUpdate(_ path: String) throws {
        _ = try commit(own: { mount in
            try mount.edit("z", at: 0, Array("ours".utf8))
            try mount.makeFile("own", [1])
        }) { try $0.edit(path, at: 0, Array("more".utf8)) }
        try others([path: "base"])
        #expect(try mount.update() == [TreePath(parsing: path)])
        #expect(throws: RepositoryError.self) { try mount.commit("unseen") }
    }

    /// W12: a whole copy over a file that others changed meanwhile is a conflict.
    @Test func wholeCopyOverAFileThatOthersChangedIsAConflict() throws {
        try conflicts("d/x", others: ["d/x": "theirs"]) { try $0.copyWhole("z", over: "d/x") }
    }

    /// W12: the commit took the branch's version, which nobody saw who wrote on since the seal.
    @Test func fileDecidedForOthersAndWrittenSinceIsAConflict() throws {
        try mount.edit("z", at: 0, Array("ours".utf8))
        try others(["z": "theirs"])
        #expect(throws: RepositoryError.self) { try mount.commit("in conflict") }
        #expect(try mount.workspace.resolve(TreePath(parsing: "z"), .current))
        let commit = try commit { try $0.edit("z", at: 0, Array("more".utf8)) }
        #expect(try repository.bytes(of: "z", in: repository.head()) == Array("theirs".utf8))
        #expect(try commit.laterConflicts == [TreePath(parsing: "z")])
    }

    // MARK: The lease on what is staged

    /// G4: two commits between two looks of the mount at its lease.
    @Test func theBaseOfAStagedFileIsNotCollected() throws {
        try repository.keep("main", commits: 1)
        _ = try commit(own: { try $0.makeFile("own", Array("0123456789".utf8)) }) { _ in }
        try mount.edit("own", at: 0, Array("A".utf8))
        _ = try commit(own: { try $0.makeFile("more", [1]) }) { try $0.edit("own", at: 1, Array("B".utf8)) }
        try others(["theirs": "theirs"])
        var options = GarbageOptions()
        options.deletes = true
        options.grace = .zero
        options.present = Timestamp(seconds: now().seconds + 60, nanoseconds: 0)
        _ = try reopen(repository.database.store).collectGarbage(options)
        #expect(try text("own") == "AB23456789")
        _ = try mount.commit("after gc")
        #expect(try reopen(repository.database.store).fsck(data: true).damage.isEmpty)
        #expect(try repository.bytes(of: "own", in: repository.head()) == Array("AB23456789".utf8))
    }

    /// G4: others move the branch on, and the commit expires, before the workspace stands on it.
    @Test func theCommitThatIsToBeTheBaseIsNotCollected() throws {
        try repository.keep("main", commits: 1)
        try mount.makeFile("own", [1])
        var holder = MountHolder(mount: mount)
        holder.beforeRebase = { [self] in
            try others(["theirs": "theirs"])
            var options = GarbageOptions()
            options.deletes = true
            options.grace = .zero
            options.present = Timestamp(seconds: now().seconds + 60, nanoseconds: 0)
            _ = try reopen(repository.database.store).collectGarbage(options)
        }
        _ = try repository.commitStaged(mount.workspace, .test("own"), holder: holder)
        #expect(try mount.read("own") == [1])
        #expect(try mount.update().isEmpty)
        #expect(try text("theirs") == "theirs")
    }

    private func removeDirectoryWithFiles(_ mount: MountedWorkspace) throws {
        for name in ["d/x", "d/y"] { try mount.unlink(name) }
        try mount.removeDirectory("d")
    }

    @Test func directoryRemovedSinceThatOthersAddedToIsAConflict() throws {
        try conflicts("d", others: ["d/new": "theirs"]) { [self] in try removeDirectoryWithFiles($0) }
        #expect(try !repository.paths(in: repository.head()).contains("d/new"))
    }

    @Test func directoryReplacedSinceThatOthersAddedToIsAConflict() throws {
        try conflicts("d", others: ["d/new": "theirs"]) { [self] in
            try removeDirectoryWithFiles($0)
            try $0.makeDirectory("d")
        }
    }

    @Test func directoryRenamedSinceTakesWhatOthersAddedAlong() throws {
        let commit = try commit(others: ["d/new": "theirs"]) { try $0.rename("d", to: "e") }
        #expect(commit.laterConflicts.isEmpty)
        #expect(try text("e/new") == "theirs")
        let next = try mount.commit("renamed").published.commitID
        #expect(try repository.bytes(of: "e/new", in: next) == Array("theirs".utf8))
    }

    @Test func directoryMadeSinceAndByOthersIsOne() throws {
        let commit = try commit(others: ["n/theirs": "theirs"]) {
            try $0.makeDirectory("n")
            try $0.makeFile("n/ours", [1])
        }
        #expect(commit.laterConflicts.isEmpty)
        #expect(try text("n/theirs") == "theirs")
        #expect(try repository.paths(in: mount.commit().published.commitID).suffix(2) == ["n/ours", "n/theirs"])
    }

    @Test func fileMadeByBothInADirectoryMadeByBothIsAConflict() throws {
        try conflicts("n/f", others: ["n/f": "theirs"]) {
            try $0.makeDirectory("n")
            try $0.makeFile("n/f", Array("ours".utf8))
        }
    }

    @Test func fileReplacedSinceThatOthersLeftAloneIsNoConflict() throws {
        let commit = try commit(others: ["theirs": "theirs"]) {
            try $0.makeFile("tmp", Array("ours".utf8))
            try $0.rename("tmp", to: "z")
            try $0.unlink("d/x")
        }
        #expect(commit.laterConflicts.isEmpty)
    }

    /// A decision about a path goes for everything below it on either side, and others stay decided.
    @Test(arguments: [Resolution.incoming, .current])
    func fileAgainstDirectoryIsDecidedOnce(_ resolution: Resolution) throws {
        try mount.makeFile("both", Array("ours".utf8))
        try mount.edit("z", at: 0, Array("ours".utf8))
        try others(["both/b/c/1": "1", "both/2": "2", "z": "theirs"])
        for path in ["both", "z"] {
            #expect(throws: RepositoryError.self) { try mount.commit("in conflict") }
            #expect(try mount.workspace.resolve(TreePath(parsing: path), resolution))
        }
        let commit = try mount.commit("decided").published.commitID
        let theirs = ["both", "d", "z", "both/2", "both/b", "d/x", "d/y", "both/b/c", "both/b/c/1"]
        #expect(
            try repository.paths(in: commit).sorted()
                == (resolution == .incoming ? ["both", "d", "d/x", "d/y", "z"] : theirs.sorted()))
        #expect(try text("z") == (resolution == .incoming ? "ours" : "theirs"))
    }

    /// W13, for a symbolic link too: its names stay one file over a commit.
    @Test func linkedSymbolicLinkStaysLinked() throws {
        try mount.makeLink("link", to: "target")
        try mount.link("link", to: "second")
        _ = try mount.commit()
        #expect(try mount.inode("link") == mount.inode("second"))
        try mount.remount()
        #expect(try mount.inode("link") == mount.inode("second"))
    }
}
