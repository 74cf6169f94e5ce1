import ProllyTree
import TestSupport
import Testing
import Versioning

/// Histories written as `name: parents`.
private struct History {
    private(set) var commits: [CommitID: Commit] = [:]

    static func id(_ name: String) -> CommitID { CommitID(hashing: Array(name.utf8)) }

    mutating func add(_ name: String, _ parents: String...) {
        let ids = parents.map(Self.id)
        commits[Self.id(name)] = Commit(
            tree: NodeID(hashing: []), parents: ids, author: "", committer: "",
            time: Timestamp(seconds: 0, nanoseconds: 0),
            message: name, metadata: [:], generation: 1 + (ids.compactMap { commits[$0]?.generation }.max() ?? 0),
            counts: Commit.Counts())
    }

    struct Missing: Error {}

    func load(_ id: CommitID) throws(Missing) -> Commit {
        guard let commit = commits[id] else { throw Missing() }
        return commit
    }

    func base(_ left: String, _ right: String) throws -> String? {
        let there = try mergeBase(Self.id(left), Self.id(right), load: load)
        let back = try mergeBase(Self.id(right), Self.id(left), load: load)
        #expect(there == back)
        return there.flatMap { commits[$0]?.message }
    }

    func isAncestor(_ left: String, _ right: String) throws -> Bool {
        try Versioning.isAncestor(Self.id(left), of: Self.id(right), load: load)
    }
}

@Suite struct MergeBaseTests {
    private var history = History()

    init() {
        history.add("root")
        history.add("a", "root")
        history.add("b", "a")
        history.add("c", "a")
        history.add("other")
    }

    @Test func baseOfALineIsTheOlder() throws {
        #expect(try history.base("a", "b") == "a")
        #expect(try history.base("b", "b") == "b")
    }

    @Test func baseOfAForkIsWhereItBegan() throws {
        #expect(try history.base("b", "c") == "a")
    }

    @Test func unrelatedHistoriesHaveNone() throws {
        #expect(try history.base("b", "other") == nil)
        #expect(try !history.isAncestor("other", "b"))
    }

    @Test mutating func mergedSideBecomesTheBase() throws {
        history.add("m", "b", "c")
        history.add("c2", "c")
        #expect(try history.base("m", "c2") == "c")
        #expect(try history.isAncestor("c", "m") && history.isAncestor("root", "m") && !history.isAncestor("m", "c"))
        #expect(try history.isAncestor("m", "m"))
    }

    @Test mutating func crissCrossHasOneOfTheTwoBest() throws {
        history.add("m1", "b", "c")
        history.add("m2", "c", "b")
        let base = try history.base("m1", "m2")
        #expect(base == "b" || base == "c")
    }

    /// A long side branch must not make an older common commit look nearer.
    @Test mutating func longerSideDoesNotHideTheNearestBase() throws {
        history.add("x1", "root")
        history.add("x2", "x1")
        history.add("x3", "x2")
        history.add("left", "b", "x3")
        history.add("right", "c", "x1")
        #expect(["x1", "a"].contains(try history.base("left", "right")))
        history.add("right2", "right", "x2")
        #expect(try history.base("left", "right2") == "x2")
    }
}
