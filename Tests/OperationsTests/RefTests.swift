import BlockingIO
import ObjectDatabase
import ObjectStorage
import Operations
import ProllyTree
import Synchronization
import TestSupport
import Testing
import Versioning

@Suite struct RefTests {
    private let store = FaultyStore(MemoryStore())
    private let repository: Repository

    init() throws { repository = try makeRepository(in: store) }

    private func importing(_ name: String, into repository: Repository, _ branch: RefName = .main) throws -> Published {
        let source = try TemporaryDirectory()
        try source.write([name: "the bytes of \(name)"])
        return try repository.importDirectory(source.path, into: branch, .test(name))
    }

    private func messages(_ branch: RefName = .main) throws -> [String] {
        var messages: [String] = []
        let repository = try reopen(store)
        try repository.forEachAncestor(of: repository.head(branch)) { _, commit in
            messages.append(commit.message)
            return true
        }
        return messages
    }

    @Test func secondCreateIsRefused() throws {
        do {
            _ = try makeRepository(in: store)
            Issue.record("it was created again")
        } catch RepositoryError.alreadyARepository {}
        #expect(try reopen(store).database.config.id == repository.database.config.id)
    }

    /// What is saved is kept, so that who goes on with it does not fetch it; and a branch costs twelve requests.
    @Test func whatThisHostSavedIsNotFetched() throws {
        let cache = try TemporaryDirectory()
        let saved = try importing("a", into: reopen(store, cache: cache))
        let calls = Mutex<[String]>([])
        let counting = FaultyStore(store) { call in
            calls.withLock { $0.append("\(call.kind) \(call.key)") }
            return .pass
        }
        let repository = try reopen(counting, cache: cache)
        let work = try RefName.branch("work")
        let head = try repository.database.resolve("main").commitID
        try repository.createRef(work, at: head, who: "w", why: "", main: head)
        #expect(calls.withLock { $0.count { !$0.hasPrefix("head ") } } == 12)
        _ = try repository.database.tree(saved.commit.tree).count()
        #expect(calls.withLock { $0.allSatisfy { !$0.hasPrefix("get trees/") } })
    }

    @Test func createThatBrokeOffIsFinishedByTheNext() throws {
        let calls = CallCounter()
        let counting = FaultyStore(MemoryStore()) { _ in
            _ = calls.next()
            return .pass
        }
        _ = try makeRepository(in: counting)
        for number in 1...calls.count {
            let seen = CallCounter()
            let store = FaultyStore(MemoryStore()) { seen.next() == number ? .failBefore(.lostReply($0.key)) : .pass }
            // A failed upload of a node is tried again, so not every failure is one of the whole.
            do { _ = try makeRepository(in: store) } catch { _ = try makeRepository(in: store) }
            #expect(
                try reopen(store).database.commit(reopen(store).head()).message == "Create the repository",
                "call \(number)")
            #expect(try reopen(store).fsck(data: true).damage.isEmpty)
        }
    }

    @Test func noRepositoryIsSaid() {
        do {
            _ = try reopen(MemoryStore())
            Issue.record("it was opened")
        } catch ObjectDatabaseError.notARepository {} catch { Issue.record("\(error)") }
    }

    @Test func lostReplyOfTheRefsWriteIsOurOwnSuccess() throws {
        store.setRule(FaultyStore.nth(1, .put, prefix: "refs/", .failAfter(.lostReply("refs"))))
        let published = try importing("a", into: repository)
        #expect(try repository.head() == published.commitID)
        #expect(try messages() == ["a", "Create the repository"])
    }

    /// And the retry below us met its own write.
    @Test func failedConditionAfterOurOwnWriteIsOurOwnSuccess() throws {
        store.setRule(FaultyStore.nth(1, .put, prefix: "refs/", .failAfter(.preconditionFailed(key: "refs"))))
        let published = try importing("a", into: repository)
        #expect(try repository.head() == published.commitID)
        #expect(try messages() == ["a", "Create the repository"])
    }

    @Test(arguments: [StoreError.lostReply("refs"), .preconditionFailed(key: "refs")])
    func lostReplyIsOurSuccessAlsoWhenAnotherMovedTheBranchOnTop(error: StoreError) throws {
        let other = try reopen(store.base)
        let isFirst = Mutex(true)
        // The write takes effect; before the writer reads back, another client commits on top of it.
        store.setRule { call in
            guard call.key.hasPrefix("refs/heads/main") else { return .pass }
            if call.kind == .put { return .failAfter(error) }
            let isReadBack =
                store.count(.put) > 0
                && isFirst.withLock { first in
                    guard first, (try? other.head()) != nil, (try? other.database.commit(other.head()).message) == "a"
                    else {
                        return false
                    }
                    first = false
                    return true
                }
            if isReadBack { _ = try? importing("b", into: other) }
            return .pass
        }
        let published = try importing("a", into: repository)
        #expect(isFirst.withLock { !$0 }, "nobody came in between")
        store.setRule { _ in .pass }
        #expect(try messages() == ["b", "a", "Create the repository"])
        #expect(try repository.database.commit(repository.head()).parents == [published.commitID])
        #expect(try repository.verifyAudit().findings.isEmpty)
    }

    @Test func commitOnMovedBranchMergesCleanly() throws {
        let other = try reopen(store.base)
        let moved = Mutex(false)
        store.setRule { call in
            guard call.kind == .put, call.key.hasPrefix("refs/") else { return .pass }
            if moved.withLock({ moved in
                defer { moved = true }
                return !moved
            }) {
                _ = try? importing("theirs", into: other)
            }
            return .pass
        }
        let published = try importing("ours", into: repository)
        #expect(try repository.paths(in: published.commitID) == ["ours", "theirs"])
        #expect(published.commit.counts.files == 2)
        #expect(try messages() == ["ours", "theirs", "Create the repository"])
        #expect(try repository.verifyAudit().unreferenced.count == 1)
    }

    @Test func eightWritersLoseNothing() throws {
        let numbers = Array(0..<8)
        try concurrently(numbers, threads: 8) { number in
            let client = try reopen(store)
            _ = try importing("file\(number)", into: client)
        }
        #expect(try repository.paths(in: repository.head()) == numbers.map { "file\($0)" })
        #expect(try Set(messages()) == Set(numbers.map { "file\($0)" } + ["Create the repository"]))
        #expect(try messages().count == 9)
        let audit = try repository.verifyAudit()
        #expect(audit.findings.isEmpty && audit.refUpdates == 9)
        #expect(try repository.fsck(data: true).damage.isEmpty)
    }

    @Test func eightWritersOfOneOpenRepositoryLoseNothing() throws {
        try concurrently(Array(0..<8), threads: 8) { _ = try importing("file\($0)", into: repository) }
        #expect(try reopen(store).paths(in: repository.head()).count == 8)
        #expect(try reopen(store).fsck(data: true).damage.isEmpty)
    }

    // MARK: Branches and tags

    @Test func branchIsCreatedDeletedAndCreatedAgainOnOneChain() throws {
        let name = try RefName.branch("feature/x")
        let head = try repository.head()
        try repository.createRef(name, at: head, who: "a", why: "1")
        do {
            try repository.createRef(name, at: head, who: "a", why: "again")
            Issue.record("it was created twice")
        } catch RepositoryError.refExists {}
        #expect(try repository.database.listRefs(.branch).map(\.snapshot.name.name) == ["feature/x", "main"])
        #expect(try repository.deleteRef(name, who: "b", why: "2") == head)
        #expect(try repository.database.listRefs(.branch).map(\.snapshot.name.name) == ["main"])
        #expect(throws: ObjectDatabaseError.self) { try repository.database.liveRef(name) }
        #expect(throws: ObjectDatabaseError.self) { try repository.deleteRef(name, who: "b", why: "again") }
        try repository.createRef(name, at: head, who: "c", why: "3")
        #expect(try repository.auditLog(ref: name).map(\.refUpdate.operation) == [.create, .delete, .create])
        #expect(try repository.verifyAudit().findings.isEmpty)
        _ = try importing("a", into: repository, name)
        #expect(try messages(name).first == "a")
        #expect(try messages() == ["Create the repository"])
    }

    @Test func branchAndTagOfOneNameAreTwoThings() throws {
        let head = try repository.head()
        try repository.createRef(.tag("v"), at: head, who: "a", why: "")
        try repository.createRef(.branch("v"), at: head, who: "a", why: "")
        _ = try repository.deleteRef(.branch("v"), who: "a", why: "")
        #expect(try repository.database.listRefs(.tag).map(\.snapshot.name.name) == ["v"])
    }
}
