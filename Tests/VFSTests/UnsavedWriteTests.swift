import Glibc
import ObjectDatabase
import Operations
import Staging
import TestSupport
import Testing
import Versioning

/// Bytes written to an open file are in the next commit whatever happened to the file between the write and the commit:
/// every change of a file saves what was written, and saving it counts as a change.
@Suite struct UnsavedWriteTests {
    enum Between: CaseIterable {
        case nothing, renamed, linked, unlinkedOneName, exchanged, copied, modeSet
    }

    @Test(arguments: Between.allCases, [true, false])
    func isCommitted(_ between: Between, isCommittedBefore: Bool) throws {
        let repository = try makeRepository()
        let directory = try TemporaryDirectory()
        let mount = try MountedWorkspace(repository, directory: directory.file("workspace"))
        for name in ["f", "other"] { try mount.makeFile(name, Array("before".utf8)) }
        if isCommittedBefore { _ = try mount.commit("before") }
        if between == .unlinkedOneName { try mount.link("f", to: "second") }
        let file = try mount.open("f")
        try mount.write(file, at: 0, Array("written".utf8))
        var path = "f"
        switch between {
        case .nothing: break
        case .renamed:
            try mount.rename("f", to: "g")
            path = "g"
        case .linked: try mount.link("f", to: "second")
        case .unlinkedOneName: try mount.unlink("second")
        case .exchanged:
            try mount.exchange("f", "other")
            path = "other"
        case .copied: try mount.copy("f", to: "other", count: 3)
        case .modeSet: try mount.setMode("f", 0o600)
        }
        let first = try mount.commit("written")
        #expect(try repository.bytes(of: path, in: first.published.commitID) == Array("written".utf8))
        #expect(try mount.read(file) == Array("written".utf8))
        try mount.write(file, at: 0, Array("again".utf8))
        try mount.close(file)
        let second = try mount.commit("again")
        #expect(try repository.bytes(of: path, in: second.published.commitID) == Array("againen".utf8))
    }

    /// Power loss: the log has what the data files had not got yet. What fsync had acknowledged is read and committed.
    @Test(arguments: [0, 3, 8], [true, false])
    func whatTheDiskLostOfADataFileIsZeros(_ kept: Int, isWhole: Bool) throws {
        let repository = try makeRepository()
        let directory = try TemporaryDirectory()
        let mount = try MountedWorkspace(repository, directory: directory.file("workspace"))
        let file = try mount.create("f", mode: 0o644)
        try mount.write(file, at: isWhole ? 0 : 2, Array("written!".utf8))
        try mount.close(file)
        try mount.workspace.beginUse()
        for data in try mount.workspace.usedData() {
            let path = mount.workspace.dataPath(data)
            #expect(kept == 0 ? unlink(path) == 0 : truncate(path, off_t(kept)) == 0)
        }
        try mount.workspace.beginUse(boot: "the next")
        try mount.remount()
        var expected = (isWhole ? [] : [0, 0]) + Array("written!".utf8)
        for index in kept..<expected.count { expected[index] = 0 }
        #expect(try mount.read("f") == expected)
        let published = try mount.commit().published
        #expect(try repository.bytes(of: "f", in: published.commitID) == expected)
    }
}
