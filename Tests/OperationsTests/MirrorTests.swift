import BlockingIO
import ObjectDatabase
import ObjectStorage
import Operations
import ProllyTree
import TestSupport
import Testing
import Versioning

@Suite struct MirrorTests {
    private let store = MemoryStore(location: "source")
    private let target = MemoryStore(location: "target")
    private let repository: Repository
    private let large: [UInt8]

    init() throws {
        repository = try makeRepository(in: store)
        var random = SeededRandom(seed: 9)
        large = random.bytes(24 << 20)
        let source = try TemporaryDirectory()
        try source.write("large", large)
        _ = try repository.importDirectory(source.path, into: .main, .test("large"))
        try repository.importing("a", "one")
        try repository.createRef(.tag("v1"), at: repository.head(), who: "Test", why: "")
        try repository.createRef(.branch("tmp/gone"), at: repository.head(), who: "Test", why: "")
        try repository.importing("b", "of a deleted branch", into: .branch("tmp/gone"))
        _ = try repository.deleteRef(.branch("tmp/gone"), who: "Test", why: "")
    }

    @discardableResult
    private func mirror(to target: any ObjectStore, _ refs: [String] = []) throws -> MirrorReport {
        try reopen(store).mirror(to: target, targetQuirks: .init(quoteIfMatch: true), refs: refs)
    }

    private func expectSame(_ target: any ObjectStore) throws {
        let copy = try reopen(target)
        #expect(copy.database.config.id == repository.database.config.id)
        #expect(try copy.head() == repository.head())
        #expect(try copy.bytes(of: "large", in: copy.head()) == large)
        #expect(try copy.fsck(data: true).damage.isEmpty)
        #expect(try copy.verifyAudit().findings.isEmpty)
        #expect(try copy.auditLog(ref: nil).map(\.id) == repository.auditLog(ref: nil).map(\.id))
    }

    /// K1
    @Test func mirrorHasTheSameIdsChainsAndBytes() throws {
        try repository.keep("tmp/*", days: 30)
        let report = try mirror(to: target)
        #expect(report.refsMoved.count == 4 && report.diverged.isEmpty)
        try expectSame(target)
        #expect(try reopen(target).retention() == repository.retention())
        #expect(try objectCount(target, "leases/") == 0)
    }

    /// K1: packs have no limit of their kind, whether they are copied whole or in parts.
    @Test func largePacksAreCopied() throws {
        var random = SeededRandom(seed: 5)
        let source = try TemporaryDirectory()
        try source.write(["a": String(decoding: random.bytes(3 << 20).map { $0 & 0x7f }, as: UTF8.self)])
        let id = try repository.importDirectory(source.path, into: .main, .test("large")).commitID
        _ = try mirror(to: target)
        #expect(try reopen(target).bytes(of: "a", in: id) == repository.bytes(of: "a", in: id))
        try expectSame(target)
    }

    /// K2
    @Test func secondRunCopiesOnlyWhatIsNew() throws {
        try mirror(to: target)
        let idle = try mirror(to: target)
        #expect(idle.refsMoved.isEmpty && idle.refsUnchanged == 3 && idle.nodes == 0 && idle.packs == 0)
        try repository.importing("c", "new")
        let second = try mirror(to: target)
        #expect(second.commits == 1 && second.refUpdates == 1 && second.packs == 1 && second.packBytes < 100)
        try expectSame(target)
    }

    /// K1: a list that the source has in other packs since then gets its new places when these packs are there.
    @Test func newPlacesOfWhatIsThereAreMirrored() throws {
        try mirror(to: target)
        let source = try TemporaryDirectory()
        try source.write("large", large)
        let first = try #require(
            repository.database.commit(repository.head()).parents.first.flatMap { id in
                try repository.database.commit(id).parents.first
            })
        let other = try reopen(store)
        let work = try RefName.branch("work")
        try other.createRef(work, at: first, who: "Test", why: "")
        let lists = try objectCount(store, "lists/")
        let again = try other.importDirectory(source.path, into: work, .test("again")).commitID
        #expect(try objectCount(store, "lists/") == lists && objectCount(store, "moved/") > 0)
        let report = try mirror(to: target)
        #expect(report.packs > 0)
        try expectSame(target)
        #expect(try reopen(target).bytes(of: "large", in: again) == large)
    }

    /// K1: it gets the places that the source gave it during the copy, with their packs.
    @Test func placesThatChangeDuringTheCopyAreMirrored() throws {
        let path = try repository.importing("place", "first")
        try mirror(to: target)
        // The same bytes, in another pack: of a branch that lacks them.
        @Sendable func move(_ name: String) throws {
            let other = try reopen(store)
            let parent = try #require(try other.database.commit(path).parents.first)
            try other.createRef(.branch(name), at: parent, who: "Test", why: "")
            try other.importing("place", "first", into: .branch(name))
        }
        try move("one")
        let packs = CallCounter()
        let moving = FaultyStore(target) { call in
            guard call.kind == .put, call.key.hasPrefix("packs/"), packs.next() < 4 else { return .pass }
            do { try move("more\(call.key.suffix(4))") } catch { Issue.record("it did not move: \(error)") }
            return .pass
        }
        try mirror(to: moving)
        #expect(packs.count > 1)
        try mirror(to: target)
        try expectSame(target)
    }

    /// K2
    @Test func someRefsBringTheirHistoryOnly() throws {
        let report = try mirror(to: target, ["v*"])
        #expect(report.refsMoved.map(\.qualified) == ["tags/v1"] && report.commits == 3)
        #expect(try reopen(target).verifyAudit().findings.isEmpty)
        #expect(try reopen(target).fsck(data: true).damage.isEmpty)
    }

    /// K3
    @Test func copyThatBreaksOffAnywhereGoesOn() throws {
        let calls = CallCounter()
        try mirror(
            to: FaultyStore(MemoryStore()) { call in
                if call.kind != .list, call.kind != .get, call.kind != .head { _ = calls.next() }
                return .pass
            })
        for number in stride(from: 1, through: calls.count, by: 3) {
            let target = MemoryStore(location: "target")
            let seen = CallCounter()
            let broken = FaultyStore(target) { call in
                guard call.kind != .list, call.kind != .get, call.kind != .head else { return .pass }
                return seen.next() >= number ? .failBefore(.lostReply(call.key)) : .pass
            }
            do { try mirror(to: broken) } catch {}
            let packs = try objectCount(target, "packs/")
            let report = try mirror(to: target)
            #expect(report.packsPresent >= packs || report.packs == 0, "call \(number): \(report), \(packs)")
            try expectSame(target)
        }
    }

    /// K4
    @Test func divergedRefIsLeftAlone() throws {
        try mirror(to: target)
        try Repository.promote(target)
        let own = try reopen(target).importing("own", "of the promoted mirror")
        #expect(throws: MirrorFault.self) { try mirror(to: target) }
        // Somebody marks it as a mirror again, by hand.
        let config = try store.get("tarn.json", range: nil, ifMatch: nil).bytes
        let text = String(decoding: config, as: UTF8.self)
        let marked = text.dropLast() + #","mirror":{"source":"source","since":"2026-01-01T00:00:00Z"}}"#
        _ = try target.put("tarn.json", Array(marked.utf8), .none)
        try repository.importing("c", "of the source")
        let report = try mirror(to: target)
        #expect(report.diverged == [.main])
        #expect(try reopen(target).head() == own)
    }

    /// K4
    @Test func mirrorTakesNoCommits() throws {
        try mirror(to: target)
        do {
            try reopen(target).importing("x", "by accident")
            Issue.record("it was committed")
        } catch ObjectDatabaseError.isMirror(_, let source) {
            #expect(source == "source")
        }
        try Repository.promote(target)
        try reopen(target).importing("x", "on purpose")
    }

    /// K1: wrong bytes of the source do not get into the copy.
    @Test func damageOfTheSourceIsNotCopied() throws {
        for prefix in ["packs/", "trees/", "commits/", "lists/", "movements/"] {
            let key = try #require(try store.list(prefix: prefix, after: nil, limit: 1000).objects.last?.key)
            let bytes = try store.get(key, range: nil, ifMatch: nil).bytes
            var flipped = bytes
            flipped[bytes.count / 2] ^= 4
            _ = try store.put(key, flipped, .none)
            let target = MemoryStore()
            do {
                try mirror(to: target)
                Issue.record("\(key) was copied")
            } catch {}
            #expect(throws: (any Error).self) { try target.head(key) }
            _ = try store.put(key, bytes, .none)
        }
    }

    /// K1: a pack that is there was verified for the blocks that were known then, and for no others.
    @Test func placesInPacksThatAreThereAreVerified() throws {
        try mirror(to: target)
        let head = try repository.head()
        var items: [Item] = []
        try repository.database.tree(repository.database.commit(head).tree).forEach { item in
            items.append(item)
            return true
        }
        let small = try #require(items.firstIndex { String(decoding: $0.key, as: UTF8.self).hasSuffix("a") })
        var entry = try LocatedEntry(item: items[small])
        let extent = try #require(entry.extents.first)
        entry.extents[0] = Extent(
            pack: extent.pack, offset: extent.offset, storedLength: extent.storedLength - 1,
            codec: .zstd, plainOffset: extent.plainOffset)
        entry.entry.mode = 0o600
        items[small] = try entry.item(at: TreePath(parsing: "a"))
        let tree = try SnapshotTree.build(items, in: repository.database.nodes).root
        try repository.database.flush()
        var commit = try repository.database.commit(head)
        (commit.tree, commit.parents, commit.generation) = (tree, [head], commit.generation + 1)
        let id = try repository.database.saveCommit(commit)
        try repository.createRef(.branch("evil"), at: id, who: "Test", why: "")
        #expect(throws: ObjectDatabaseError.self) { try mirror(to: target) }
        #expect(try reopen(target).database.readRef(.branch("evil")) == nil)
    }

    /// K2: the neighbours of what is new are not read again.
    @Test func whatTheMirrorHasProvenIsNotReadAgain() throws {
        try repository.importing("b", "beside")
        try mirror(to: target)
        try repository.importing("c", "new")
        let reads = CallCounter()
        try mirror(
            to: FaultyStore(target) { call in
                if call.key.hasPrefix("packs/"), call.kind == .get { _ = reads.next() }
                return .pass
            })
        #expect(reads.count == 0)
        try expectSame(target)
    }

    /// K3: a commit that no ref of the mirror reaches does not show that its data is there.
    @Test func whatABrokenCopyLeftIsNotBelieved() throws {
        let broken = FaultyStore(target) { call in
            call.key.hasPrefix("refs/") && call.kind != .get && call.kind != .list
                ? .failBefore(.lostReply(call.key)) : .pass
        }
        #expect(throws: (any Error).self) { try mirror(to: broken) }
        #expect(try objectCount(target, "commits/") > 0)
        for prefix in ["packs/", "trees/", "lists/"] {
            for object in try target.list(prefix: prefix, after: nil, limit: 1000).objects {
                try target.delete(object.key)
            }
        }
        try mirror(to: target)
        try expectSame(target)
    }

    /// K5: what gc took from the source is copied as taken; the mirror has its own gc.
    @Test func collectedCommitsAreCopiedAsRecords() throws {
        try repository.keep("tmp/*", commits: 1)
        try repository.keep("main", commits: 1)
        try reopen(store).collect(afterDays: 1)
        let report = try mirror(to: target)
        #expect(report.collectedCommits > 0)
        try expectSame(target)
        try repository.importing("a", "two")
        try mirror(to: target)
        try reopen(target).collect(afterDays: 1)
        try expectSame(target)
    }

    /// K5
    @Test func collectorOfTheMirrorWaitsForTheCopy() throws {
        try mirror(to: target)
        try TreeLease(
            reopen(target).database, purpose: .mirror, subject: "test", lasting: .hours(1),
            trees: [repository.database.commit(repository.head()).tree]
        ).renew()
        do {
            _ = try reopen(target).collect()
            Issue.record("it ran")
        } catch RepositoryError.collectionRefused {}
    }
}
