import ObjectDatabase
import ObjectStorage
import Operations
import ProllyTree
import Staging
import TestSupport
import Testing
import Versioning

/// A commit of staged changes whose store fails at any one call, before or after the call took effect (a lost reply).
@Suite struct CommitCrashTests {
    /// What is wanted whenever the dust has settled.
    private static let expected = ["d", "fresh", "d/changed", "d/kept"]

    @Test func commitSurvivesAFailureOfEveryStoreCall() throws {
        let total = try run(failing: .max, after: false).calls
        #expect(total >= 8)
        var published = 0
        for after in [false, true] {
            for number in 1...total {
                if try run(failing: number, after: after).wasPublishedAtOnce { published += 1 }
            }
        }
        // Both outcomes must have been seen, else the faults hit nothing.
        #expect(published > 0)
        #expect(published < 2 * total)
    }

    /// The same, when the process ends as well: what the workspace remembers is all there is.
    @Test func commitSurvivesTheEndOfTheProcessAtEveryStoreCall() throws {
        let total = try run(failing: .max, after: false).calls
        for after in [false, true] {
            for number in 1...total { _ = try run(failing: number, after: after, goesOnFailing: true) }
        }
    }

    private func run(
        failing number: Int, after: Bool, goesOnFailing: Bool = false
    ) throws -> (calls: Int, wasPublishedAtOnce: Bool) {
        let store = FaultyStore(MemoryStore())
        let directory = try TemporaryDirectory()
        try seed(store)
        let repository = try reopen(store)
        let workspace = try stage(repository, directory)
        let head = try repository.head()
        let calls = CallCounter()
        let words: Comment =
            "call \(number), \(after ? "reply lost" : "failed")\(goesOnFailing ? ", then nothing" : "")"
        store.setRule { call in
            let count = calls.next()
            if count == number { return after ? .failAfter(.lostReply(call.key)) : .failBefore(.lostReply(call.key)) }
            return goesOnFailing && count > number ? .failBefore(.lostReply(call.key)) : .pass
        }
        var failed = false
        do {
            _ = try repository.commitStaged(
                workspace, .test("the change"), holder: LocalHolder(workspace: workspace, repository: repository))
        } catch {
            failed = true
        }
        let total = calls.count
        store.setRule { _ in .pass }
        let later = try reopen(store)
        let between = try later.head()
        if !failed { #expect(between != head, words) }
        if between == head {
            #expect(try later.paths(in: between) == ["d", "d/changed", "d/gone", "d/kept"], words)
        } else {
            try isComplete(later, words)
        }
        try retry(later, directory, words)
        #expect(try later.head() == between || between == head, words)
        return (total, between != head)
    }

    /// The next process opens the workspace and commits again.
    private func retry(_ repository: Repository, _ directory: TemporaryDirectory, _ words: Comment) throws {
        let workspace = try Workspace(openingExisting: directory.file("workspace"), logger: .silent)
        let holder = LocalHolder(workspace: workspace, repository: repository)
        do {
            _ = try repository.commitStaged(workspace, .test("the change"), holder: holder)
        } catch RepositoryError.nothingToCommit {}
        try isComplete(repository, words)
        #expect(try workspace.isEmpty(), words)
        #expect(try workspace.sealState() == nil, words)
        #expect(try workspace.base() == repository.head(), words)
        var messages: [String] = []
        try repository.forEachAncestor(of: repository.head()) { _, commit in
            messages.append(commit.message)
            return true
        }
        #expect(messages == ["the change", "seed", "Create the repository"], words)
        #expect(try repository.verifyAudit().findings.isEmpty, words)
        #expect(try repository.fsck(data: true).damage.isEmpty, words)
    }

    private func isComplete(_ repository: Repository, _ words: Comment) throws {
        let head = try repository.head()
        #expect(try repository.paths(in: head).sorted() == Self.expected.sorted(), words)
        #expect(try repository.bytes(of: "d/changed", in: head) == Array("new bytes".utf8), words)
        #expect(try repository.bytes(of: "d/kept", in: head) == Array("kept".utf8), words)
        #expect(try repository.bytes(of: "fresh", in: head) == Array("fresh bytes".utf8), words)
    }

    private func seed(_ store: FaultyStore) throws {
        let repository = try makeRepository(in: store)
        let source = try TemporaryDirectory()
        try source.write(["d/changed": "old bytes", "d/gone": "gone", "d/kept": "kept"])
        _ = try repository.importDirectory(source.path, into: .main, .test("seed"))
    }

    /// Changes a file, adds one, and removes one.
    private func stage(_ repository: Repository, _ directory: TemporaryDirectory) throws -> Workspace {
        let workspace = try repository.workspace(in: directory.file("workspace"))
        let editor = StagingEditor(workspace, repository)
        try editor.put("d/changed", Array("new bytes".utf8))
        try editor.put("fresh", Array("fresh bytes".utf8))
        try editor.remove("d/gone")
        return workspace
    }
}
