import BlockingIO
import CLinux
import Foundation
import Glibc
import ObjectDatabase
import Operations
import ProllyTree
import TestSupport
import Testing
import Versioning

/// Rule (B6): nothing in a tree gives anybody privileges on a host, unless whoever exports it asks for that.
@Suite struct ExportPrivilegeTests {
    private let repository: Repository
    private let commit: Commit

    private static let attributes = [
        "security.capability", "security.tarntest", "system.posix_acl_access", "trusted.tarn", "user.kept",
        "user.tarn.content", "user.tarn.mount",
    ]

    /// A hostile tree: special bits and attributes of all namespaces on a directory and a file.
    init() throws {
        repository = try makeRepository()
        let attributes = Self.attributes.map { ExtendedAttribute(name: Array($0.utf8), value: Array("value".utf8)) }
        let time = Timestamp(seconds: 1, nanoseconds: 0)
        let entries: [(String, Entry)] = [
            ("", Entry(kind: .directory, mode: 0o755, modified: time)),
            ("d", Entry(kind: .directory, mode: 0o7755, modified: time, attributes: attributes)),
            ("f", Entry(kind: .file(FileContent(BlockList([]))), mode: 0o6755, modified: time, attributes: attributes)),
        ]
        let items = try entries.map { path, entry in
            LocatedEntry(entry, of: BlockList([])).item(at: try TreePath(parsing: path))
        }
        let tree = try SnapshotTree.build(items, in: repository.database.nodes)
        try repository.database.flush()
        commit = Commit(
            tree: tree.root, parents: [], author: "x", committer: "x", time: time, message: "", metadata: [:],
            generation: 1, counts: Commit.Counts(files: 1, directories: 2))
    }

    private func export(_ options: ExportOptions) throws -> (modes: [mode_t], names: [[String]]) {
        let target = try TemporaryDirectory()
        try repository.export(commit, path: .root, named: "main", to: target.file("out"), options: options)
        let paths = ["out/d", "out/f"].map(target.file)
        let modes = try paths.map { path in
            var info = stat()
            try #require(lstat(path, &info) == 0)
            return info.st_mode & 0o7777
        }
        let names = paths.map { path in
            Self.attributes.filter { getxattr(path, $0, nil, 0) >= 0 }
        }
        return (modes, names)
    }

    @Test func privilegesAreNotRestored() throws {
        let found = try export(ExportOptions())
        #expect(found.modes == [0o755, 0o755])
        #expect(found.names == [["user.kept"], ["user.kept"]])
    }

    @Test func specialModesAreRestoredWhenAsked() throws {
        var options = ExportOptions()
        options.restoresSpecialModes = true
        let found = try export(options)
        #expect(found.modes == [0o7755, 0o6755])
        #expect(found.names == [["user.kept"], ["user.kept"]])
    }

    /// Tarn's own names are no file's, also when all are asked for. What the kernel refuses is an error.
    @Test(.enabled(if: geteuid() == 0, "needs root"))
    func otherAttributesAreRestoredWhenAsked() throws {
        let target = try TemporaryDirectory()
        var options = ExportOptions()
        options.restoresAllAttributes = true
        // The capability and the list of access rights are not what the kernel takes for such.
        #expect(throws: ObjectDatabaseError.self) { try export(options) }
        let time = Timestamp(seconds: 1, nanoseconds: 0)
        let names = ["trusted.tarn", "user.kept", "user.tarn.mount"]
        let entry = Entry(
            kind: .directory, mode: 0o755, modified: time,
            attributes: names.map { ExtendedAttribute(name: Array($0.utf8), value: [1]) })
        let tree = try SnapshotTree.build([LocatedEntry(entry).item(at: .root)], in: repository.database.nodes)
        try repository.database.flush()
        var other = commit
        other.tree = tree.root
        try repository.export(other, path: .root, named: "main", to: target.file("out"), options: options)
        #expect(names.filter { getxattr(target.file("out"), $0, nil, 0) >= 0 } == ["trusted.tarn", "user.kept"])
    }

    /// A directory that claims to be a mount does not hand that on.
    @Test func importLeavesOutTarnsOwnAttributes() throws {
        let source = try TemporaryDirectory()
        try source.write(["d/f": "text"])
        for path in [source.path, source.file("d"), source.file("d/f")] {
            #expect(setxattr(path, "user.tarn.mount", "{}", 2, 0) == 0)
            #expect(setxattr(path, "user.kept", "x", 1, 0) == 0)
        }
        let commit = try repository.importDirectory(source.path, into: .main, .test()).commit
        try repository.database.tree(commit.tree).forEach { item in
            let names = try LocatedEntry(item: item).entry.attributes.map { $0.name }
            #expect(names == [Array("user.kept".utf8)])
            return true
        }
    }
}
