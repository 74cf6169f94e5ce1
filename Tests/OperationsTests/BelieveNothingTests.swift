import ObjectDatabase
import ObjectStorage
import Operations
import ProllyTree
import TestSupport
import Testing
import Versioning

/// What anybody may have put into the bucket is held against what it can be computed from. SEMANTICS: B2, G1, G10.
@Suite struct BelieveNothingTests {
    let store = MemoryStore()
    let repository: Repository

    init() throws { repository = try makeRepository(in: store) }

    private func damage() throws -> [Damage] { try reopen(store).fsck(data: true).damage }

    /// Shows a commit, made of the head by `change`, on a branch of its own.
    private func show(_ change: (inout Commit) throws -> Void) throws -> CommitID {
        var commit = try repository.database.commit(repository.head())
        commit.parents = [try repository.head()]
        commit.generation += 1
        try change(&commit)
        let id = try repository.database.saveCommit(commit)
        try repository.createRef(.branch("evil"), at: id, who: "Test", why: "")
        return id
    }

    private func tree(_ items: [Item]) throws -> NodeID {
        let tree = try SnapshotTree.build(items, in: repository.database.nodes).root
        try repository.database.flush()
        return tree
    }

    private func directory(_ path: String) throws -> Item {
        let entry = Entry(kind: .directory, mode: 0o755, modified: Timestamp(seconds: 1, nanoseconds: 0))
        return try LocatedEntry(entry).item(at: TreePath(parsing: path))
    }

    // MARK: Commits

    @Test func countsAndGenerationsAreComputed() throws {
        try repository.importing("a", "one")
        #expect(try damage().isEmpty)
        for change: (inout Commit) -> Void in [
            { $0.counts.files += 1 }, { $0.counts.directories += 1 }, { $0.counts.bytes += 1 }, { $0.generation += 1 },
        ] {
            let fresh = try BelieveNothingTests()
            try fresh.repository.importing("a", "one")
            let id = try fresh.show(change)
            #expect(try fresh.damage().map(\.object) == [ObjectKeys.commit(id)])
        }
    }

    @Test func aTreeHasARootAndDirectoriesAboveItsEntries() throws {
        let file = Item(
            key: [0, 0x66], value: try #require(try repository.database.tree(treeOfOneFile()).get([0, 0x66])).value)
        let cases: [(String, [Item])] = [
            ("no root", [try directory("d")]), ("nothing", []),
            ("below nothing", [try directory(""), try directory("nowhere/x")]),
            ("below a file", [try directory(""), file, try directory("f/x")]),
        ]
        for (name, items) in cases {
            let tree = try tree(items)
            let commit = try show { commit in
                commit.tree = tree
                commit.counts = Commit.Counts(
                    files: name == "below a file" ? 1 : 0,
                    directories: UInt64(items.count - (name == "below a file" ? 1 : 0)),
                    bytes: 0)
            }
            #expect(try damage().contains { $0.object == ObjectKeys.node(tree) && $0.commit == commit }, "\(name)")
            _ = try repository.deleteRef(.branch("evil"), who: "Test", why: "")
        }
    }

    private func treeOfOneFile() throws -> NodeID {
        let entry = Entry(kind: .file(.empty), mode: 0o644, modified: Timestamp(seconds: 1, nanoseconds: 0))
        return try tree([LocatedEntry(entry).item(at: TreePath(parsing: "f"))])
    }

    // MARK: Nodes

    /// A node that says something else of its child is refused by whoever goes down, and found by fsck.
    @Test(arguments: [0, 1, 3, 1 << 39])
    func whatANodeSaysOfItsChildrenIsHeldAgainstThem(_ claimed: UInt64) throws {
        let children = [[try directory(""), try directory("a")], [try directory("b"), try directory("c")]]
        let nodes = try children.map { try tree($0) }
        let references = zip(nodes, children).enumerated().map { number, child in
            var value = child.0.bytes
            appendVarint(number == 0 ? claimed : 2, to: &value)
            return Item(key: child.1[1].key, value: value)
        }
        var logical: [UInt8] = [1, 1, 2]
        for item in references {
            appendVarint(UInt64(item.key.count), to: &logical)
            logical += item.key
            appendVarint(UInt64(item.value.count), to: &logical)
            logical += item.value
        }
        try repository.database.nodes.put(EncodedNode(logical: logical, location: []))
        let root = NodeID(hashing: logical)
        _ = try show { commit in
            commit.tree = root
            commit.counts = Commit.Counts(files: 0, directories: 4, bytes: 0)
        }
        #expect(try damage().contains { $0.object == ObjectKeys.node(nodes[0]) })
        #expect(throws: TreeError.self) {
            try reopen(store).database.tree(root).forEach { _ in true }
        }
    }

    // MARK: Records of the collector

    /// B2: a record that anybody puts below `collected/` excuses nothing.
    @Test func aForgedRecordExcusesNothing() throws {
        let first = try repository.importing("a", "one")
        try repository.importing("a", "two")
        let tree = try repository.database.commit(first).tree
        for rules: RefUpdateID? in [nil, RefUpdateID(hashing: [1])] {
            try repository.database.recordCollected(tree, [first], rule: "no rule", rules: rules, when: now(), run: nil)
            #expect(try damage().map(\.object) == [ObjectKeys.collected(tree)])
            // With the data missing, too: the collector refuses, a mirror fails.
            let fresh = MemoryStore()
            for key in try store.list(prefix: "", after: nil, limit: 1000).objects.map(\.key)
            where key != ObjectKeys.node(tree) {
                _ = try fresh.put(key, store.get(key, range: nil, ifMatch: nil).bytes, .none)
            }
            #expect(try reopen(fresh).fsck(data: false).damage.contains { $0.object == ObjectKeys.node(tree) })
            #expect(throws: (any Error).self) { try reopen(fresh).collect() }
            #expect(throws: (any Error).self) {
                try reopen(fresh).mirror(to: MemoryStore(), targetQuirks: .init(quoteIfMatch: true))
            }
            try store.delete(ObjectKeys.collected(tree))
        }
    }

    /// What a ref shows was never collected.
    @Test func aRecordOfAHeadIsForged() throws {
        let head = try repository.importing("a", "one")
        let tree = try repository.database.commit(head).tree
        try repository.database.recordCollected(tree, [head], rule: "no rule", rules: nil, when: now(), run: nil)
        #expect(try damage().map(\.object) == [ObjectKeys.collected(tree)])
    }

    @Test func rulesThatWereSetLaterProveNothing() throws {
        let first = try repository.importing("a", "one")
        try repository.importing("a", "two")
        let tree = try repository.database.commit(first).tree
        try repository.keep("main", commits: 5)
        let strict = try repository.auditLog(ref: RefName(.rules, "retention"))[0].id
        try repository.database.recordCollected(tree, [first], rule: "", rules: strict, when: now(), run: nil)
        #expect(try damage().map(\.object) == [ObjectKeys.collected(tree)], "this rule keeps it")
        try store.delete(ObjectKeys.collected(tree))
        try repository.keep("main", commits: 1)
        let loose = try repository.auditLog(ref: RefName(.rules, "retention"))[0].id
        try repository.database.recordCollected(tree, [first], rule: "", rules: loose, when: now(), run: nil)
        #expect(try damage().isEmpty, "this one lets it go")
    }

    /// In a copy everything is as young as the copying: what the collector took before is gone all the same.
    @Test func aCopyOfACollectedRepositoryIsSound() throws {
        try repository.createRef(.branch("tmp/x"), at: repository.head(), who: "Test", why: "")
        try repository.importing("x", "gone", into: .branch("tmp/x"))
        _ = try repository.deleteRef(.branch("tmp/x"), who: "Test", why: "")
        try repository.importing("a", "one")
        try repository.keep("tmp/*", days: 30)
        store.setClock(daysAhead: 31)
        #expect(try reopen(store).collect(afterDays: 31).deleted.objects > 0)
        let copy = MemoryStore()
        copy.setClock(daysAhead: 40)
        for key in try store.list(prefix: "", after: nil, limit: 1000).objects.map(\.key) {
            _ = try copy.put(key, store.get(key, range: nil, ifMatch: nil).bytes, .none)
        }
        #expect(try reopen(copy).fsck(data: true).damage.isEmpty)
        _ = try reopen(copy).collect(afterDays: 41)
        _ = try reopen(copy).mirror(to: MemoryStore(), targetQuirks: .init(quoteIfMatch: true))
        #expect(try reopen(copy).fsck(data: true).damage.isEmpty)
    }

    // MARK: Refs

    /// G10: a ref object that is gone, or was put back, is not taken for one that needs nothing.
    @Test func aLostRefStopsTheCollector() throws {
        let key = ObjectKeys.ref(.main)
        try repository.importing("a", "one")
        let old = try store.get(key, range: nil, ifMatch: nil).bytes
        for number in 0..<3 { try repository.importing("a", "version \(number)") }
        let count = try objectCount(store, "")
        for bytes in [nil, old] {
            let present = try store.get(key, range: nil, ifMatch: nil).bytes
            if let bytes { _ = try store.put(key, bytes, .none) } else { try store.delete(key) }
            #expect(throws: RepositoryError.self) { try reopen(store).collect() }
            #expect(try objectCount(store, "") == count - (bytes == nil ? 1 : 0))
            #expect(try damage().contains { $0.object == "refs/heads/main" })
            _ = try store.put(key, present, .none)
        }
        try reopen(store).collect()
        #expect(try damage().isEmpty)
    }

    /// A move that broke off before the ref moved is no lost ref; what it names stays.
    @Test func aMoveThatBrokeOffIsNoLostRef() throws {
        let head = try repository.importing("a", "one")
        let commit = try show { $0.message = "unpublished" }
        let ref = try ObjectKeys.ref(.branch("evil"))
        try store.delete(ref)
        try reopen(store).collect(afterDays: 400)
        #expect(try reopen(store).database.commit(commit).parents == [head])
        #expect(try damage().isEmpty)
    }
}
