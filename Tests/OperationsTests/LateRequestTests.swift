import BlockingIO
import ObjectDatabase
import ObjectStorage
import Operations
import ProllyTree
import Synchronization
import TestSupport
import Testing
import Versioning

/// A request that its sender has given up may arrive at any time. SEMANTICS: G3, G4.
@Suite struct LateRequestTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func store(_ isDirectory: Bool) throws -> any ObjectStore {
        isDirectory ? try DirectoryStore(directory.file("store"), create: true) : MemoryStore()
    }

    /// A deletion of a node that arrives when the node was made again does nothing.
    @Test(arguments: [false, true])
    func aLateDeletionOfANodeDoesNothing(_ isDirectory: Bool) throws {
        let store = try store(isDirectory)
        let repository = try makeRepository(in: store)
        let old = try repository.importing("a", "one")
        try repository.importing("a", "two")
        try repository.keep("main", commits: 1)
        let late = Mutex<[ObjectInfo]>([])
        let deaf = FaultyStore(store) { call in
            guard call.kind == .put || call.kind == .delete, call.key.hasPrefix("trees/"),
                let info = try? store.head(call.key)
            else { return .pass }
            late.withLock { $0.append(info) }
            return .failBefore(.lostReply(call.key))
        }
        #expect(throws: (any Error).self) { try reopen(deaf).collect() }
        let requests = late.withLock { $0 }
        #expect(!requests.isEmpty)
        let again = try reopen(store).importing("a", "one")
        #expect(try repository.database.commit(again).tree == repository.database.commit(old).tree)
        let reader = try reopen(store)
        for info in requests { _ = try reader.database.deleteVersion(info) }
        #expect(try reopen(store).bytes(of: "a", in: again) == Array("one".utf8))
        #expect(try reopen(store).fsck(data: true).damage.isEmpty)
    }

    /// What was deleted is not there, for readers, fsck and mirrors; and it can be made again.
    @Test(arguments: [false, true])
    func aDeletedNodeCanBeMadeAgain(_ isDirectory: Bool) throws {
        let store = try store(isDirectory)
        let repository = try makeRepository(in: store)
        let old = try repository.importing("a", "one")
        try repository.importing("a", "two")
        try repository.keep("main", commits: 1)
        let first = try reopen(store).collect()
        #expect(first.deleted.objects > 0)
        #expect(try reopen(store).collect().deleted.objects == 0, "nothing is deleted twice")
        let tree = try repository.database.commit(old).tree
        #expect(try reopen(store).database.storedNode(tree) == nil)
        #expect(throws: TreeError.self) { try reopen(store).database.tree(tree).count() }
        let copy = MemoryStore()
        _ = try reopen(store).mirror(to: copy, targetQuirks: .init(quoteIfMatch: true))
        #expect(try reopen(copy).fsck(data: true).damage.isEmpty)
        let again = try reopen(store).importing("a", "one")
        #expect(try reopen(store).bytes(of: "a", in: again) == Array("one".utf8))
        #expect(try reopen(store).fsck(data: true).damage.isEmpty)
    }

    /// Each writing of an object has a version of its own, also with equal bytes.
    @Test(arguments: [false, true])
    func equalNodesHaveDifferentVersions(_ isDirectory: Bool) throws {
        let store = try store(isDirectory)
        let repository = try makeRepository(in: store)
        let tree = try repository.database.commit(repository.head()).tree
        let node = try #require(try repository.database.storedNode(tree))
        var versions: Set<ETag> = [try store.head(ObjectKeys.node(tree)).etag]
        for _ in 0..<3 {
            try repository.database.nodes.put(node.relocated((0..<node.count).map { node.item($0) }))
            versions.insert(try store.head(ObjectKeys.node(tree)).etag)
        }
        #expect(versions.count == 4)
    }

    // MARK: Two collectors

    /// What one run takes back stays noted for as long as another may delete it.
    @Test func aNoteOfTwoRunsIsTakenBackByBoth() throws {
        let database = try makeRepository().database
        let commit = CommitID(hashing: [1])
        let tree = NodeID(hashing: [2])
        for run in ["a", "b"] {
            try database.recordCollected(tree, [commit], rule: "r", rules: nil, when: now(), run: run)
        }
        try database.takeBackCollected(tree) { $0 == "b" }
        #expect(throws: ObjectDatabaseError.self) { try database.refuseIfCollected(commit, tree: tree) }
        #expect(try database.collectedTrees() == [tree])
        try database.takeBackCollected(tree) { _ in false }
        try database.refuseIfCollected(commit, tree: tree)
        #expect(try database.collectedTrees().isEmpty)
        try database.recordCollected(tree, [commit], rule: "r", rules: nil, when: now(), run: "c")
        #expect(throws: ObjectDatabaseError.self) { try database.refuseIfCollected(commit, tree: tree) }
    }

    /// A run that another has ended, because it stood still, deletes nothing.
    @Test func aRunThatStoodStillTooLongStops() throws {
        let store = MemoryStore()
        let repository = try makeRepository(in: store)
        let old = try repository.importing("a", "one")
        try repository.importing("a", "two")
        try repository.keep("main", commits: 1)
        let isDone = Mutex(false)
        let slow = FaultyStore(store) { call in
            guard call.kind == .list, call.key.hasPrefix("packs/"),
                isDone.withLock({ done in
                    defer { done = true }; return !done
                })
            else { return .pass }
            do {
                try SweepJournal.update(in: store) { journal in
                    for index in journal.runs.indices { journal.runs[index].ended = now() }
                }
            } catch { Issue.record("the journal was not written: \(error)") }
            return .pass
        }
        do {
            try reopen(slow).collect()
            Issue.record("it went on")
        } catch RepositoryError.collectionRefused {}
        #expect(try reopen(store).database.storedNode(repository.database.commit(old).tree) != nil)
        try reopen(store).collect()
        #expect(try reopen(store).database.storedNode(repository.database.commit(old).tree) == nil)
    }
}
