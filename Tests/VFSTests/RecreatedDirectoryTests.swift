import ObjectDatabase
import ObjectStorage
import Operations
import ProllyTree
import TestSupport
import Testing
import Versioning

/// Directories that went and came again under the same name, and what was moved out of them and back.
@Suite struct RecreatedDirectoryTests {
    private let directory: TemporaryDirectory
    private let mount: MountedWorkspace

    init() throws {
        directory = try TemporaryDirectory()
        mount = try MountedWorkspace(try makeRepository(), directory: directory.file("workspace"))
        try mount.makeDirectory("e")
        try mount.makeFile("e/x", Array("x".utf8))
        try mount.makeDirectory("e/d")
        try mount.makeFile("e/d/y", Array("y".utf8))
        _ = try mount.commit()
    }

    private func committed() throws -> [String] {
        let shown = try mount.walk()
        let id = try mount.commit().published.commitID
        let wrong = differences(try summarize(mount.repository, id), shown)
        #expect(wrong.isEmpty, "\(wrong)")
        return try mount.repository.paths(in: id).sorted()
    }

    @Test func fileMovedBackIntoARecreatedDirectoryIsCommitted() throws {
        try mount.rename("e", to: "old")
        try mount.makeDirectory("e")
        try mount.rename("old/x", to: "e/x")
        #expect(try committed() == ["e", "e/x", "old", "old/d", "old/d/y"])
    }

    @Test func directoryMovedBackIntoARecreatedDirectoryIsCommitted() throws {
        try mount.rename("e", to: "old")
        try mount.makeDirectory("e")
        try mount.rename("old/d", to: "e/d")
        #expect(try committed() == ["e", "e/d", "e/d/y", "old", "old/x"])
    }

    @Test func directoryReplacedByAFileAndBackIsCommitted() throws {
        try mount.rename("e", to: "old")
        try mount.makeFile("e", [1])
        #expect(try committed() == ["e", "old", "old/d", "old/d/y", "old/x"])
        try mount.unlink("e")
        try mount.rename("old", to: "e")
        #expect(try committed() == ["e", "e/d", "e/d/y", "e/x"])
    }

    @Test func directoriesThatSwapNamesAreCommitted() throws {
        try mount.makeDirectory("f")
        try mount.makeFile("f/z", [1])
        _ = try mount.commit()
        try mount.rename("e", to: "t")
        try mount.rename("f", to: "e")
        try mount.rename("t", to: "f")
        #expect(try committed() == ["e", "e/z", "f", "f/d", "f/d/y", "f/x"])
    }

    @Test func directoryMovedIntoItsOwnFormerPlaceIsCommitted() throws {
        try mount.rename("e", to: "t")
        try mount.makeDirectory("e")
        try mount.rename("t", to: "e/e")
        #expect(try committed() == ["e", "e/e", "e/e/d", "e/e/d/y", "e/e/x"])
    }
}
