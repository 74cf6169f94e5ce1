import ObjectDatabase
import Operations
import ProllyTree
import TestSupport
import Testing
import VFS
import Versioning

/// Rule (B6): a mount answers Tarn's own attributes itself, and shows of stored ones only those that users give.
@Suite struct StoredAttributeTests {
    @Test func aTreeCannotAnswerForTheMount() throws {
        let repository = try makeRepository()
        let names = [
            "security.capability", "system.posix_acl_access", "trusted.x", "user.kept", "user.tarn.content",
            "user.tarn.mount", "user.tarn.stats", "user.tarn.x",
        ]
        let entry = Entry(
            kind: .directory, mode: 0o755, modified: Timestamp(seconds: 1, nanoseconds: 0),
            attributes: names.map { ExtendedAttribute(name: Array($0.utf8), value: Array("forged".utf8)) })
        let tree = try SnapshotTree.build([LocatedEntry(entry).item(at: .root)], in: repository.database.nodes)
        try repository.database.flush()
        var commit = try repository.database.commit(repository.head())
        commit.tree = tree.root
        let id = try repository.database.saveCommit(commit)
        let fileSystem = try SnapshotFileSystem(
            database: repository.database, commit: repository.database.resolve(id.hex), mountDescription: "true",
            readThreads: 1, logger: .silent)
        #expect(try fileSystem.attributeNames(.root) == [Array("user.kept".utf8)])
        #expect(try fileSystem.attribute(.root, Array("user.kept".utf8)) == Array("forged".utf8))
        #expect(try fileSystem.attribute(.root, Array("user.tarn.mount".utf8)) == Array("true".utf8))
        for name in names where name != "user.kept" && name != "user.tarn.mount" {
            #expect(throws: VFSError.self, "\(name)") { try fileSystem.attribute(.root, Array(name.utf8)) }
        }
    }
}
