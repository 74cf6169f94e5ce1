import ObjectDatabase
import ObjectStorage
import Operations
import ProllyTree
import Synchronization
import TestSupport
import Testing
import Versioning

/// SEMANTICS: P1–P7, C1–C4.
@Suite struct GovernanceTests {
    let store = MemoryStore()
    let repository: Repository
    let work: RefName

    init() throws {
        repository = try makeRepository(in: store)
        work = try RefName.branch("work")
        _ = try change(.main, ["a": "1\n2\n3\n", "b": "b"])
        try repository.createRef(work, at: repository.head(), who: "w", why: "")
    }

    @discardableResult
    func change(_ branch: RefName, _ files: [String: String], by author: String? = nil) throws -> CommitID {
        let source = try TemporaryDirectory()
        try source.write(files)
        var info = CommitInfo.test("\(files.keys.sorted())")
        if let author { info.author = author }
        return try repository.importDirectory(source.path, into: branch, info).commitID
    }

    func merge(_ source: String, into branch: RefName = .main, _ options: MergeOptions = MergeOptions()) throws
        -> CommitID
    {
        try repository.merge(
            repository.database.resolve(source), named: source, into: branch, .test("merge"), options: options
        ).commitID
    }

    private func protect(_ pattern: String, approvals: Int = 0) throws {
        _ = try repository.changeProtection(who: "admin", why: "protect") {
            $0.adding(ProtectionRule(pattern: pattern, approvals: approvals))
        }
    }

    func text(_ path: String, _ id: CommitID) throws -> String {
        String(decoding: try repository.bytes(of: path, in: id), as: UTF8.self)
    }

    // MARK: Rules

    @Test func protectedBranchRefusesAllButMergesAndReverts() throws {
        try protect("main")
        try change(work, ["c": "c"])
        let head = try repository.head()
        let parent = try #require(repository.database.commit(head).parents.first)
        let refused: [() throws -> Void] = [
            { _ = try change(.main, ["d": "d"]) },
            { _ = try repository.reset(.main, to: parent, who: "w", why: "") },
            { _ = try repository.deleteRef(.main, who: "w", why: "") },
            { _ = try repository.cherryPick(repository.database.resolve("work"), on: .main, .test("pick")) },
        ]
        for body in refused {
            #expect { try body() } throws: { if case RepositoryError.protected = $0 { true } else { false } }
            #expect(try repository.head() == head)
        }
        _ = try merge("work")
        _ = try repository.revert(repository.database.resolve("main"), on: .main, .test("revert"))
        #expect(try repository.paths(in: repository.head()) == ["a", "b"])
    }

    @Test func changesOfRulesAreRefUpdatesOfTheirOwn() throws {
        try protect("main")
        try protect("release/*", approvals: 2)
        _ = try repository.changeProtection(who: "admin", why: "less") { rules in
            ProtectionRules(rules.rules.filter { $0.pattern != "main" })
        }
        #expect(try repository.protectionRules().rules.rules == [ProtectionRule(pattern: "release/*", approvals: 2)])
        let log = try repository.auditLog(ref: RefName(.rules, "protection"))
        #expect(log.map(\.refUpdate.operation) == [.protect, .protect, .protect])
        #expect(try repository.verifyAudit().findings.isEmpty)
        #expect(try change(.main, ["free": "again"]) == repository.head())
    }

    @Test func mergeNeedsApprovalsByOthersOfExactlyThisCommit() throws {
        try protect("main", approvals: 2)
        let first = try change(work, ["c": "c"], by: "Ann <ann@x>")
        func approve(_ commit: CommitID, _ who: String, _ word: ApprovalWord = .approve) throws {
            _ = try repository.approve(
                commit, for: .merge, of: .main, word, who: who, why: "read it")
        }
        func isRefused() -> Bool {
            do {
                _ = try merge("work")
                return false
            } catch { if case RepositoryError.notApproved = error { return true } else { return false } }
        }
        #expect(isRefused())
        try approve(first, "Ann <ann@x>")
        try approve(first, "Bob <bob@x>")
        try approve(first, "Robert <BOB@x>")
        #expect(isRefused())
        try approve(first, "Cy <cy@x>")
        try approve(first, "Cy <cy@x>", .withdraw)
        #expect(isRefused())
        try approve(first, "Dee <dee@x>")
        try change(work, ["d": "d"], by: "Ann <ann@x>")
        #expect(isRefused(), "the branch moved on")
        _ = try repository.reset(work, to: first, who: "w", why: "")
        _ = try merge("work")
        let refUpdate = try #require(repository.auditLog(ref: .main).first).refUpdate
        #expect(refUpdate.operation == .merge && refUpdate.approvals?.count == 2)
        #expect(try repository.verifyAudit().findings.isEmpty)
    }

    // MARK: Hooks

    /// Says what it was asked, and refuses what it is told to.
    private final class Runner: HookRunner {
        let asked = Mutex<[(event: String, hooks: [String], commit: CommitID?)]>([])
        let refuses: Mutex<Bool>
        let told = Mutex<[String]>([])
        let during = Mutex<(@Sendable () throws -> Void)?>(nil)

        init(refuses: Bool = false) {
            self.refuses = Mutex(refuses)
        }

        func tellFailure(_ error: any Error, of event: String) { told.withLock { $0.append(event) } }

        func run(_ hooks: ApplicableHooks, for move: RefUpdateRequest, in repository: Repository) throws
            -> [HookRecordID]
        {
            asked.withLock { $0.append((hooks.event, hooks.hooks.map(\.name), move.new)) }
            let action = during.withLock { action in
                defer { action = nil }
                return action
            }
            try action?()
            let commit = try #require(move.new ?? move.old)
            let records = hooks.hooks.map { hook in
                HookRecord(
                    hook: hook.name, event: hooks.event, ref: move.ref.qualified, commit: commit, file: hooks.file,
                    action: "", who: move.who, host: "", started: now(), ended: now(), verdict: .passed, code: 0,
                    output: "", isOutputCut: false)
            }
            if refuses.withLock({ $0 }) { throw RepositoryError.hooksRefused(event: hooks.event, records) }
            return try records.map(repository.saveHookRecord)
        }
    }

    private static let hooks = """
        hooks:
          - {name: gate, on: [pre-merge, pre-create-tag], branches: main, tags: main, run: check}
          - {name: tags, on: pre-create-tag, tags: "v*", run: check}
          - {name: after, on: post-merge, run: tell}
        """

    private func withHooks(_ runner: Runner) throws -> Repository {
        try change(.main, [".tarn/hooks.yaml": Self.hooks])
        return try Repository(opening: store, hookRunner: runner, logger: .silent)
    }

    @Test func hooksOfTheDestinationAreAskedAboutTheExactCommit() throws {
        let runner = Runner()
        let repository = try withHooks(runner)
        // The source has a weaker file: it does not count.
        try change(work, ["c": "c", ".tarn/hooks.yaml": "hooks: []"])
        var options = MergeOptions()
        options.strategy.otherwise = .current
        let merged = try repository.merge(
            repository.database.resolve("work"), named: "work", into: .main, .test("m"), options: options
        ).commitID
        let asked = runner.asked.withLock { $0 }
        #expect(asked.map(\.event) == ["pre-merge", "post-merge"])
        #expect(asked.map(\.hooks) == [["gate"], ["after"]])
        #expect(asked.allSatisfy { $0.commit == merged })
        let refUpdate = try #require(repository.auditLog(ref: .main).first).refUpdate
        #expect(refUpdate.gates?.count == 1)
        let report = try repository.verifyAudit()
        #expect(report.findings.isEmpty && report.hookRecords == 1)
        // The record is what the trail says it is, or it is found.
        let gate = try #require(refUpdate.gates?.first)
        let key = "hooks/\(merged.hex)/\(gate.hex).json"
        let bytes = try store.get(key, range: nil, ifMatch: nil).bytes
        _ = try store.put(key, bytes + [32], .none)
        #expect(try repository.verifyAudit().findings.map(\.object).first == key)
    }

    @Test func refusalChangesNothing() throws {
        let runner = Runner(refuses: true)
        let repository = try withHooks(runner)
        try change(work, ["c": "c"])
        let head = try repository.head()
        #expect(throws: RepositoryError.self) {
            try repository.merge(repository.database.resolve("work"), named: "work", into: .main, .test("m"))
        }
        #expect(throws: RepositoryError.self) {
            try repository.createRef(.tag("v1"), at: head, who: "w", why: "")
        }
        try repository.createRef(.tag("other"), at: head, who: "w", why: "")
        #expect(try repository.head() == head)
        #expect(try repository.database.readRef(.tag("v1")) == nil)
    }

    @Test func gatesRunAgainWhenTheBranchMovedMeanwhile() throws {
        let runner = Runner()
        let repository = try withHooks(runner)
        try change(work, ["c": "c"])
        let other = self.repository
        runner.during.withLock { action in
            action = {
                let source = try TemporaryDirectory()
                try source.write(["meanwhile": "x"])
                _ = try other.importDirectory(source.path, into: .main, .test("meanwhile"))
            }
        }
        let merged = try repository.merge(repository.database.resolve("work"), named: "work", into: .main, .test("m"))
            .commitID
        let asked = runner.asked.withLock { $0 }.filter { $0.event == "pre-merge" }
        #expect(asked.count == 2 && asked.last?.commit == merged && asked.first?.commit != merged)
        #expect(try repository.paths(in: merged).contains("meanwhile"))
    }

    @Test func withoutSomebodyToRunThemHooksRefuse() throws {
        try change(.main, [".tarn/hooks.yaml": Self.hooks])
        try change(work, ["c": "c"])
        #expect { try merge("work") } throws: { if case RepositoryError.hooksUnusable = $0 { true } else { false } }
    }

    @Test(arguments: [
        "hooks: [{name: a, on: pre-merge, run: x, tiemout: 3s}]", "hooks: [{name: a, on: pre-merge}]",
        "hooks: [{name: a, on: pre-murge, run: x}]", "hooks: [{name: a, on: pre-merge, run: x, timeout: soon}]",
        "hooks: [{name: a, on: pre-merge, run: x}, {name: a, on: pre-merge, run: y}]", "hooks: {", "- a",
        "hooks: [{name: a, on: pre-merge, run: x, url: 'https://x'}]",
        "hooks: [{name: a, on: pre-merge, url: 'ftp://x'}]",
        "hooks: [{name: a, on: pre-merge, run: x, after: b}, {name: b, on: pre-merge, run: x}]",
        "hooks: [{name: a, on: pre-merge, run: x}, {name: b, on: pre-commit, run: x, after: a}]",
        "hooks: [{name: a, on: pre-merge, tags: v1, run: x}]",
        "hooks: [{name: a, on: pre-create-tag, branches: b, run: x}]",
        "hooks: [{name: a, on: [pre-merge, pre-create-tag], branches: b, run: x}]",
        "hooks: [{name: a, on: pre-merge, branches: [], run: x}]",
        "hooks: [{name: a, on: pre-merge, branches: '', run: x}]",
        "hooks: [{name: a, on: [], run: x}]", "hooks: []\ngates: []",
        "hooks: [{name: a, on: pre-create-tag, tags: tags/v1, run: x}]",
        "hooks: [{name: a, on: pre-merge, run: x, attempts: 2}]",
        "hooks: [{name: a, on: pre-merge, run: x, secret: s}]",
        "hooks: [{name: a, on: pre-merge, url: 'https://x', at: /lake}]",
        "hooks: [{name: a, on: pre-merge, url: 'https://x', env: HOME}]",
        "hooks: [{name: a, on: pre-merge, url: 'https://x', attempts: 99}]",
        "hooks: [{name: a, on: pre-merge, run: x, at: lake}]",
        "hooks: [{name: a, on: pre-merge, run: x, at: /a/../etc}]",
        "hooks: [{name: a, on: pre-merge, run: x, at: /}]", "hooks: [{name: a, on: pre-merge, run: x, at: /usr}]",
        "hooks: [{name: a, on: pre-merge, run: x, env: TARN_COMMIT}]",
        "hooks: [{name: a, on: pre-merge, run: x, env: 'A=b'}]",
        "programs: ../up\nhooks: []", "programs: /\nhooks: []",
    ])
    func fileThatIsNotUnderstoodRefuses(_ text: String) throws {
        #expect(throws: HookFault.self) { try parseHooks(text) }
    }

    @Test func fileThatIsNotUnderstoodIsNotPublished() throws {
        let head = try repository.head()
        for (branch, name) in [(RefName.main, "main"), (work, "work")] {
            #expect {
                try change(branch, [".tarn/hooks.yaml": "hooks: [", "c": name])
            } throws: {
                if case RepositoryError.hooksBroken = $0 { true } else { false }
            }
        }
        #expect(try repository.head() == head)
        try change(.main, [".tarn/hooks.yaml": "hooks: []", "c": "c"])
    }

    /// As a client that did not look would leave it.
    private func breakHooks() throws {
        let other = try repository.database.commit(change(work, ["text": "hooks: ["]))
        let donor = try repository.database.entry(at: TreePath(parsing: "text"), in: other, named: "work")
        let (head, before) = (try repository.head(), try repository.database.commit(repository.head()))
        let file = try TreePath(parsing: Repository.hooksPath)
        let directory = LocatedEntry(Entry(kind: .directory, mode: 0o755, modified: now()))
        let edits = try [(TreePath.root.appending(checking: Array(".tarn".utf8)), directory), (file, donor)].map {
            path, entry in
            Edit.put(entry.item(at: path))
        }
        let tree = try repository.database.tree(before.tree).applying(edits.sorted { compareBytes($0.key, $1.key) < 0 })
        try repository.database.nodes.flush()
        let record = encodeRecord(
            Commit(
                tree: tree.root, parents: [head], author: "a", committer: "a", time: now(), message: "broken",
                metadata: [:], generation: before.generation + 1, counts: before.counts))
        let id = CommitID(hashing: record)
        _ = try store.put("commits/\(id.hex)", record, .none)
        _ = try repository.reset(.main, to: id, who: "a", why: "broken")
    }

    /// P5: nothing passes but what mends the file, and that only as the rules allow it.
    @Test func fileThatIsNotUnderstoodCanBeMended() throws {
        try breakHooks()
        let useless: (any Error) -> Bool = { if case RepositoryError.hooksUnusable = $0 { true } else { false } }
        #expect(throws: RepositoryError.self) { try change(.main, ["c": "c"]) }
        #expect {
            try change(.main, [".tarn/hooks.yaml": "hooks: []", "c": "c"])
        } throws: {
            useless($0)
        }
        #expect {
            try repository.createRef(.branch("new"), at: repository.head(), who: "w", why: "")
        } throws: {
            useless($0)
        }
        try change(.main, [".tarn/hooks.yaml": Self.hooks])
        try change(.main, ["c": "c"])
        #expect(throws: RepositoryError.self) { try merge("work") }
    }

    @Test func whatMendsHooksObeysTheRules() throws {
        try breakHooks()
        try protect("main")
        #expect {
            try change(.main, [".tarn/hooks.yaml": Self.hooks])
        } throws: {
            if case RepositoryError.protected = $0 { true } else { false }
        }
    }

    // MARK: Audit

    @Test func checkpointShowsThatTheEndOfAChainWasCutOff() throws {
        try change(.main, ["c": "c"])
        let key = "refs/heads/main"
        let before = try store.get(key, range: nil, ifMatch: nil).bytes
        try change(.main, ["d": "d"])
        let checkpoint = try repository.auditCheckpoint(of: repository.verifyAudit())
        _ = try store.put(key, before, .none)
        let repository = try reopen(store)
        #expect(try repository.verifyAudit().findings.isEmpty)
        #expect(try repository.verifyAudit(since: checkpoint).findings.map(\.ref) == ["heads/main"])
    }

    private struct Stamp: RecordSigner, SignatureVerifier {
        func sign(_ record: [UInt8]) throws -> [UInt8] { Array("signed \(record.count)".utf8) }
        func isGood(_ signature: [UInt8], over record: [UInt8], by who: String) throws -> Bool {
            signature == Array("signed \(record.count)".utf8)
        }
    }

    @Test func signaturesAreMadeAndMissed() throws {
        var options = ObjectDatabase.Options()
        options.signer = Stamp()
        let signing = try Repository(opening: store, options: options, logger: .silent)
        try signing.createRef(.branch("signed"), at: repository.head(), who: "w", why: "")
        let report = try repository.verifyAudit(verifier: Stamp())
        #expect(report.findings.isEmpty && report.signed == 1 && report.unsigned > 1)
        #expect(
            try repository.verifyAudit(verifier: Stamp(), requiresSignatures: true).findings.count == report.unsigned)
        let key = try #require(store.list(prefix: "signatures/", after: nil, limit: 9).objects.first).key
        _ = try store.put(key, [1], .none)
        #expect(try repository.verifyAudit(verifier: Stamp()).findings.count == 1)
    }
}
