import ObjectDatabase
import ObjectStorage
import Operations
import ProllyTree
import TestSupport
import Testing
import Versioning

/// The same node, uploaded again with its blocks in other packs, leaves a way from the old places to the new ones
/// (docs/explanation/garbage-collection.md, "Locations that have changed"): whoever knows only the old places finds the
/// blocks when the old pack is gone.
@Suite struct LocationRewriterTests {
    private let store = MemoryStore()

    @Test func oldPlacesLeadToTheNewOnes() throws {
        let repository = try makeRepository(in: store)
        let empty = try repository.head()
        let source = try TemporaryDirectory()
        var random = SeededRandom(seed: 5)
        let contents = ["small": random.bytes(3000), "large": random.bytes(12 << 20)]
        for (name, bytes) in contents { try source.write(name, bytes) }
        let first = try repository.importDirectory(source.path, into: .main, .test("first")).commit
        let paths = try contents.keys.map { try TreePath(parsing: $0) }
        let before = try paths.map { try repository.database.entry(at: $0, in: first, named: "first") }
        let maps = try before.map { try repository.database.lists.map(of: $0) }
        let packs = try keys("packs/")
        // Another writer, on a base that knows nothing of these bytes.
        let other = try reopen(store)
        let work = try RefName.branch("work")
        try other.createRef(work, at: empty, who: "w", why: "")
        let second = try other.importDirectory(source.path, into: work, .test("second")).commit
        #expect(second.tree == first.tree)
        #expect(try keys("packs/").count > packs.count)
        // The old packs went; what was learned before still leads to the bytes.
        for key in packs { try store.delete(key) }
        for (path, map) in zip(paths, maps) {
            var bytes: [UInt8] = []
            for placed in map.list.blocks {
                bytes += try repository.database.blocks.fetch(placed)
            }
            #expect(bytes == contents["\(path)"])
        }
        #expect(try reopen(store).fsck(data: true).damage.isEmpty)
    }

    /// Equal bytes, uploaded again by a writer that ends before its packs are whole: nobody is led to them.
    @Test func uploadThatBreaksOffLeavesOthersPlaces() throws {
        let repository = try makeRepository(in: store)
        let empty = try repository.head()
        let source = try TemporaryDirectory()
        var random = SeededRandom(seed: 6)
        let bytes = random.bytes(12 << 20)
        try source.write("large", bytes)
        let first = try repository.importDirectory(source.path, into: .main, .test("first")).commitID
        let work = try RefName.branch("work")
        try repository.createRef(work, at: empty, who: "w", why: "")
        let broken = FaultyStore(store) { call in
            let isPack = call.key.hasPrefix("packs/") && [.put, .completeUpload].contains(call.kind)
            return isPack ? .failBefore(.refused(key: call.key, status: 403, code: "", message: "")) : .pass
        }
        do {
            _ = try reopen(broken).importDirectory(source.path, into: work, .test("second"))
            Issue.record("it was imported without packs")
        } catch {}
        #expect(try keys("moved/").isEmpty)
        try repository.keep("**", commits: 1)
        try reopen(store).collect(afterDays: 40)
        #expect(try reopen(store).bytes(of: "large", in: first) == bytes)
        #expect(try reopen(store).fsck(data: true).damage.isEmpty)
    }

    private func keys(_ prefix: String) throws -> [String] {
        try store.list(prefix: prefix, after: nil, limit: 1000).objects.map(\.key)
    }
}
