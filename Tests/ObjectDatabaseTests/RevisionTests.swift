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

    /// One host's wrong clock moves nothing: the order is the chain's.
    @Test(arguments: [-20_000, 20_000])
    func aWrongClockIsOutvoted(daysOff: Int64) throws {
        let ref = try RefName.branch("clocks")
        let present = now().seconds
        let offsets: [Int64] = [0, 10, daysOff * 86_400, 20, 30]
        var previous: RefUpdateID?
        for (number, offset) in offsets.enumerated() {
            let update = RefUpdate(
                ref: ref.qualified, old: number == 0 ? nil : main[number % 2], new: main[(number + 1) % 2], who: "a",
                when: Timestamp(seconds: present - 1000 + offset, nanoseconds: 0),
                operation: number == 0 ? .create : .reset, why: "", previous: previous)
            previous = try repository.database.saveRefUpdate(update)
        }
        let state = RefState(commit: main[1], refUpdate: try #require(previous), writeID: "w")
        _ = try store.put(ObjectKeys.ref(ref), encodeRecord(state), .absent)
        func shown(_ offset: Int64) throws -> CommitID {
            let time = Timestamp(seconds: present - 1000 + offset, nanoseconds: 0)
            return try repository.database.resolve("clocks@{\(time.rfc3339)}").commitID
        }
        #expect(throws: ObjectDatabaseError.self) { try shown(-86_400) }
        #expect(try shown(5) == main[1] && shown(25) == main[0] && shown(35) == main[1])
        #expect(try repository.database.resolve("clocks@{now}").commitID == main[1])
        let audit = try repository.verifyAudit()
        #expect(audit.findings.isEmpty && audit.outOfOrder == 1)
        let log = try repository.auditLog(ref: ref).map(\.refUpdate.when.seconds)
        #expect(log == offsets.reversed().map { present - 1000 + $0 })
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
