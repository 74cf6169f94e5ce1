import ObjectDatabase
import ObjectStorage
import Operations
import ProllyTree
import Staging
import Synchronization
import TestSupport
import Testing
import VFS
import Versioning

/// A host's cache has a node that was collected and made again in other packs since
/// (docs/explanation/garbage-collection.md, "Cached nodes after a sweep"): nobody publishes the old places, and readers
/// find the new ones.
@Suite struct StaleCopiesTests {
    private let store = MemoryStore()
    private let cache: TemporaryDirectory
    private let host: Repository

    init() throws {
        cache = try TemporaryDirectory()
        let repository = try makeRepository(in: store)
        host = try reopen(store, cache: cache)
        func fill(_ first: String, _ second: String) throws -> NodeID {
            try repository.importing("a", first)
            return try repository.database.commit(repository.importing("b", second)).tree
        }
        let tree = try fill("one", "two")
        let before = try reopen(store, cache: cache)
        for name in ["a", "b"] { _ = try before.bytes(of: name, in: before.head()) }
        let packs = try keys("packs/")
        _ = try fill("other", "again")
        try repository.keep("main", commits: 1)
        try reopen(store).collect()
        #expect(try Set(keys("packs/")).isDisjoint(with: packs))
        // As another host would: it knows nothing of the first time.
        let other = try reopen(store)
        try other.importing("a", "one")
        try other.importing("b", "two")
        #expect(try host.database.commit(host.head()).tree == tree)
        // What is cached of it names packs that are gone.
        let entry = try host.database.entry(
            at: TreePath(parsing: "a"), in: host.database.commit(host.head()), named: "main")
        #expect(entry.extents.allSatisfy { extent in packs.contains { $0.hasSuffix(extent.pack.hex) } })
    }

    private func keys(_ prefix: String) throws -> [String] {
        try store.list(prefix: prefix, after: nil, limit: 1000).objects.map(\.key)
    }

    private func expectWhole(_ contents: [String: String]) throws {
        let fresh = try reopen(store)
        for (name, text) in contents {
            #expect(try fresh.bytes(of: name, in: fresh.head()) == Array(text.utf8))
        }
        #expect(try fresh.fsck(data: true).damage.isEmpty)
    }

    @Test func importsDoNotPublishOldPlaces() throws {
        try host.importing("c", "three")
        try expectWhole(["a": "one", "b": "two", "c": "three"])
    }

    @Test func commitsDoNotPublishOldPlaces() throws {
        let directory = try TemporaryDirectory()
        let workspace = try host.workspace(in: directory.path)
        try StagingEditor(workspace, host).put("c", Array("three".utf8))
        _ = try host.commitStaged(workspace, .test(), holder: LocalHolder(workspace: workspace, repository: host))
        try expectWhole(["a": "one", "b": "two", "c": "three"])
    }

    /// What a mount stages of its base carries places of its own.
    @Test func updatedWorkspacesDoNotPublishOldPlaces() throws {
        let directory = try TemporaryDirectory()
        let before = try #require(try host.database.commit(host.head()).parents.first)
        try host.workspace(in: directory.path).moveBase(to: before)
        let mount = try MountedWorkspace(host, directory: directory.path)
        _ = try mount.fileSystem.update()
        try mount.setMode("a", 0o600)
        try mount.edit("b", at: 0, Array("T".utf8))
        _ = try mount.commit()
        try expectWhole(["a": "one", "b": "Two"])
    }

    /// Nor does it upload anything.
    @Test func previewedMergesDoNotPublishOldPlaces() throws {
        let work = try RefName.branch("work")
        let fresh = try reopen(store)
        try fresh.createRef(work, at: fresh.head(), who: "w", why: "")
        try fresh.importing("c", "three", into: work)
        try fresh.importing("d", "four")
        let objects = try keys("")
        let preview = try host.previewMerge(host.database.resolve("work"), named: "work", into: .main, MergeStrategy())
        #expect(preview.changes.map { "\($0.path)" } == ["c"] && preview.conflicts.isEmpty)
        try host.database.nodes.flush()
        #expect(try keys("") == objects)
        try expectWhole(["a": "one", "b": "two", "d": "four"])
    }

    /// A mirror has the same nodes in other places.
    @Test func copiesAreKeptForEachPlaceOfARepository() throws {
        let copy = MemoryStore()
        _ = try host.mirror(to: copy, targetQuirks: host.database.config.store)
        let mirror = try reopen(copy, cache: cache)
        let head = try mirror.head()
        #expect(try mirror.bytes(of: "a", in: head) == Array("one".utf8))
        #expect(try mirror.fsck(data: true).damage.isEmpty)
    }

    /// A sweep that was killed does not keep copies from being believed for ever.
    @Test(arguments: [(60, true), (2 * 86_400, false)])
    func sweepThatBrokeOffIsOver(secondsAgo: Int64, isUnderWay: Bool) throws {
        let began = Timestamp(seconds: now().seconds - secondsAgo, nanoseconds: 0).rfc3339
        let notices = #"{"format":1,"runs":[{"began":"\#(began)","id":"x","deletes":true,"pulse":3}]}"#
        _ = try store.put("gc/sweeps.json", Array(notices.utf8), .none)
        let fresh = try reopen(store, cache: cache)
        try fresh.importing("c", "three")
        let gets = Mutex(0)
        let counting = FaultyStore(store) { call in
            if call.kind == .get, call.key.hasPrefix("trees/") { gets.withLock { $0 += 1 } }
            return .pass
        }
        let again = try reopen(counting, cache: cache)
        try again.database.refreshCacheTrust()
        _ = try again.database.tree(again.database.commit(again.head()).tree).count()
        #expect(gets.withLock { $0 > 0 } == isUnderWay)
    }

    @Test func readersFindTheNewPlaces() throws {
        let shown = try host.database.resolve("main")
        let mount = SnapshotFileSystem(
            database: host.database, commit: shown, mountDescription: "{}", readThreads: 1, logger: .silent)
        for (name, text) in ["a": "one", "b": "two"] {
            let file = try mount.lookup(.root, EntryName(checking: Array(name.utf8)))
            var bytes = [UInt8](repeating: 0, count: 10)
            let count = try bytes.withUnsafeMutableBytes { try mount.read(file.inode, at: .zero, into: $0) }
            #expect(Array(bytes[..<count]) == Array(text.utf8))
        }
    }
}
