import ObjectDatabase
import ObjectStorage
import Operations
import ProllyTree
import TestSupport
import Testing
import Versioning

@Suite struct RevisionTests {
    private let store = MemoryStore()
    private let repository: Repository
    /// From the oldest on main, then the branch's own.
    private var main: [CommitID] = []
    private var side: CommitID

    init() throws {
        repository = try makeRepository(in: store)
        main.append(try repository.head())
        side = main[0]
        let branch = try RefName.branch("side")
        try repository.createRef(branch, at: main[0], who: "a", why: "")
        func commit(_ name: String, _ branch: RefName) throws -> CommitID {
            let source = try TemporaryDirectory()
            try source.write([name: name])
            return try repository.importDirectory(source.path, into: branch, .test(name)).commitID
        }
        for name in ["one", "two"] { main.append(try commit(name, .main)) }
        side = try commit("three", branch)
        main.append(
            try repository.merge(repository.database.resolve("side"), named: "side", into: .main, .test("merge"))
                .commitID)
    }

    @Test func revisionsAreFound() throws {
        let expected: [(String, CommitID)] = [
            ("main", main[3]), ("main~1", main[2]), ("main^1", main[2]), ("main^2", side), ("main~3", main[0]),
            ("main^0", main[3]),
            ("main^2~1", main[0]), ("side", side), (side.hex, side), (String(side.hex.prefix(10)), side),
            ("main@{now}", main[3]),
            (side.hex.uppercased(), side),
        ]
        for (text, id) in expected { #expect(try repository.database.resolve(text).commitID == id, "\(text)") }
        #expect(try repository.database.resolve("main").ref == .main)
        #expect(try repository.database.resolve("main~1").ref == nil)
    }

    @Test func branchNamedLikeACommitDoesNotHideIt() throws {
        try repository.createRef(.branch(side.hex), at: main[0], who: "a", why: "")
        #expect(try repository.database.resolve(side.hex).commitID == side)
        let prefix = String(side.hex.prefix(10))
        try repository.createRef(.branch(prefix), at: main[0], who: "a", why: "")
        #expect(try repository.database.resolve(prefix).commitID == main[0])
    }

    @Test(arguments: ["nothing", "ffffffffffff", "main~4", "main^3", "main@{1999-01-01}", "main@{never}", "abc"])
    func revisionsThatAreNotThereAreRefused(text: String) {
        #expect(throws: ObjectDatabaseError.self) { try repository.database.resolve(text) }
    }

    @Test func dateOfARefIsAnsweredFromItsUpdates() throws {
        let log = try repository.auditLog(ref: .main)
        for entry in log {
            #expect(
                try repository.database.resolve("main@{\(entry.refUpdate.when.rfc3339)}").commitID
                    == entry.refUpdate.new)
        }
    }

    @Test func ambiguousPrefixListsTheCandidates() throws {
        let twin = String(side.hex.dropLast()) + (side.hex.last == "0" ? "1" : "0")
        _ = try store.put("commits/\(twin)", [1], .none)
        do {
            _ = try repository.database.resolve(String(side.hex.prefix(20)))
            Issue.record("it was resolved")
        } catch ObjectDatabaseError.ambiguousRevision(_, let candidates) {
            #expect(candidates.sorted() == [twin, side.hex].sorted())
        }
        #expect(try repository.database.resolve(side.hex).commitID == side)
    }

    @Test func branchIsFoundBeforeATagAndACommit() throws {
        let prefix = String(side.hex.prefix(8))
        try repository.createRef(.tag(prefix), at: main[0], who: "a", why: "")
        #expect(try repository.database.resolve(prefix).commitID == main[0])
        try repository.createRef(.branch(prefix), at: main[1], who: "a", why: "")
        #expect(try repository.database.resolve(prefix).commitID == main[1])
    }

    @Test func mergeHoldsBothSidesAndItsCountsAreRight() throws {
        #expect(try repository.paths(in: main[3]) == ["one", "three", "two"])
        #expect(try repository.database.commit(main[3]).counts == Commit.Counts(files: 3, directories: 1, bytes: 11))
        #expect(try repository.database.commit(main[3]).generation == 4)
    }

    @Test func mergeOfWhatIsThereAlreadyIsRefused() throws {
        do {
            _ = try repository.merge(repository.database.resolve("side"), named: "side", into: .main, .test("again"))
            Issue.record("it was merged again")
        } catch RepositoryError.nothingToMerge {}
    }
}
