import ObjectDatabase
import ObjectStorage
import Operations
import ProllyTree
import TestSupport
import Testing
import Versioning

/// A4: whoever can write to the bucket, and nobody's keys, forges a release; the audit finds what was required and is not there.
@Suite struct AuditReplayTests {
    private let store = MemoryStore()
    private let repository: Repository
    private let work: RefName

    init() throws {
        repository = try makeRepository(in: store)
        work = try RefName.branch("work")
        _ = try change(.main, ["a": "1"])
        try repository.createRef(work, at: repository.head(), who: "W <w@x>", why: "")
    }

    @discardableResult
    private func change(_ branch: RefName, _ files: [String: String], by author: String = "Ann <ann@x>") throws
        -> CommitID
    {
        let source = try TemporaryDirectory()
        try source.write(files)
        return try repository.importDirectory(
            source.path, into: branch, CommitInfo(author: author, message: "change")
        ).commitID
    }

    private func protect(_ rule: ProtectionRule) throws {
        _ = try repository.changeProtection(who: "Admin <admin@x>", why: "rule") { $0.adding(rule) }
        // The rules count as new ones and old ones for an hour.
        clock.seconds += 2 * 3600
    }

    private final class Clock {
        var seconds = now().seconds
    }
    private let clock = Clock()

    /// Moves a ref as a client that asks nobody would.
    private func forge(
        _ ref: RefName, to new: CommitID?, _ operation: RefUpdate.Operation, gates: [HookRecordID] = [],
        approvals: [RefUpdateID] = []
    ) throws {
        let found = try repository.database.readRef(ref)
        let update = RefUpdate(
            ref: ref.qualified, old: found?.commit, new: new, who: "Ann <ann@x>",
            when: Timestamp(seconds: clock.seconds, nanoseconds: 0), operation: operation, why: "forged",
            previous: found?.state.refUpdate, gates: gates, approvals: approvals)
        let state = RefState(
            commit: new, refUpdate: try repository.database.saveRefUpdate(update), writeID: randomHex())
        _ = try store.put(ObjectKeys.ref(ref), encodeRecord(state), .none)
    }

    /// A commit with this tree, as a merge would make it.
    private func mergeCommit(_ tree: CommitID, parents: [CommitID]) throws -> CommitID {
        let model = try repository.database.commit(tree)
        let generations = try parents.map { try repository.database.commit($0).generation }
        return try repository.database.saveCommit(
            Commit(
                tree: model.tree, parents: parents, author: "Ann <ann@x>", committer: "Ann <ann@x>", time: model.time,
                message: "forged", metadata: [:], generation: 1 + (generations.max() ?? 0), counts: model.counts))
    }

    private func findings() throws -> [String] { try reopen(store).verifyAudit().findings.map(\.reason) }

    private func expectFinding(_ words: String) throws {
        let found = try findings()
        #expect(found.contains { $0.contains(words) }, "\(found)")
    }

    private func passed(_ hook: String, _ commit: CommitID, _ file: ContentID, event: String = "pre-merge") throws
        -> HookRecordID
    {
        try repository.saveHookRecord(
            HookRecord(
                hook: hook, event: event, ref: "heads/main", commit: commit, file: file, action: "", who: "", host: "",
                started: now(), ended: now(), verdict: .passed, code: 0, output: "",
                isOutputCut: false))
    }

    private static let hooks = "hooks:\n- {name: gate, on: pre-merge, branches: main, run: check}\n"

    @Test func whatNobodyForgedFits() throws {
        try protect(ProtectionRule(pattern: "main", approvals: 1))
        try change(work, ["b": "1"])
        _ = try repository.approve(
            repository.head(work), for: .merge, of: .main, who: "Bob <bob@x>", why: "")
        _ = try repository.merge(
            repository.database.resolve("work"), named: "work", into: .main, .test(), options: MergeOptions())
        #expect(try findings() == [])
    }

    @Test func aCommitThatARuleRefuses() throws {
        try protect(ProtectionRule(pattern: "main"))
        let commit = try mergeCommit(change(work, ["b": "1"]), parents: [repository.head()])
        let before = try store.get("refs/heads/main", range: nil, ifMatch: nil).bytes
        for operation in [RefUpdate.Operation.commit, .import, .cherryPick, .reset] {
            _ = try store.put("refs/heads/main", before, .none)
            try forge(.main, to: commit, operation)
            try expectFinding("the rule 'main' was in force, which refuses: \(operation.rawValue)")
        }
    }

    @Test func aMergeThatDropsHistory() throws {
        let commit = try change(work, ["b": "1"])
        try change(.main, ["c": "1"])
        let before = try store.get("refs/heads/main", range: nil, ifMatch: nil).bytes
        for operation in [RefUpdate.Operation.merge, .fastForward, .revert, .restore, .commit] {
            _ = try store.put("refs/heads/main", before, .none)
            try forge(.main, to: commit, operation)
            try expectFinding("it says '\(operation.rawValue)', and drops what the branch showed before it")
        }
    }

    @Test func aTagThatMoves() throws {
        let tag = try RefName.tag("v1")
        try repository.createRef(tag, at: repository.head(), who: "W <w@x>", why: "")
        try forge(tag, to: change(.main, ["b": "2"]), .commit)
        try expectFinding("it moves a tag")
    }

    @Test func aRecordThatWasCopied() throws {
        let file = try #require(try repository.hookFile(in: change(.main, [".tarn/hooks.yaml": Self.hooks]))).file
        let brought = try change(work, ["b": "1"])
        let first = try mergeCommit(brought, parents: [repository.head(), brought])
        try forge(.main, to: first, .merge)
        try expectFinding("the hook 'gate' had to pass")
        // A record of another commit below this commit's key.
        let old = try passed("gate", first, file)
        let second = try mergeCommit(change(work, ["b": "2"]), parents: [first, repository.head(work)])
        let bytes = try store.get("hooks/\(first.hex)/\(old.hex).json", range: nil, ifMatch: nil).bytes
        _ = try store.put("hooks/\(second.hex)/\(old.hex).json", bytes, .none)
        try forge(.main, to: second, .merge, gates: [old])
        try expectFinding("it names a hook's record about commit \(first)")
    }

    /// Of another hook, another hooks file, another event.
    @Test func aRecordOfSomethingElse() throws {
        let file = try #require(try repository.hookFile(in: change(.main, [".tarn/hooks.yaml": Self.hooks]))).file
        let brought = try change(work, ["b": "1"])
        let commit = try mergeCommit(brought, parents: [repository.head(), brought])
        let before = try store.get("refs/heads/main", range: nil, ifMatch: nil).bytes
        let others = try [
            passed("other", commit, file), passed("gate", commit, ContentID(hashing: [])),
            passed("gate", commit, file, event: "post-merge"),
        ]
        for record in others {
            _ = try store.put("refs/heads/main", before, .none)
            try forge(.main, to: commit, .merge, gates: [record])
            try expectFinding("the hook 'gate' had to pass")
        }
        _ = try store.put("refs/heads/main", before, .none)
        try forge(.main, to: commit, .merge, gates: [passed("gate", commit, file)])
        #expect(try findings() == [])
    }

    /// None, of another commit, by the author, twice by one person, withdrawn.
    @Test func approvalsThatDoNotCount() throws {
        try protect(ProtectionRule(pattern: "main", approvals: 2))
        let other = try change(work, ["other": "1"])
        let brought = try change(work, ["b": "1"])
        let commit = try mergeCommit(brought, parents: [repository.head(), brought])
        func approve(_ commit: CommitID, _ who: String, _ word: ApprovalWord = .approve) throws -> RefUpdateID? {
            try repository.approve(commit, for: .merge, of: .main, word, who: who, why: "").last?.refUpdateID
        }
        let before = try store.get("refs/heads/main", range: nil, ifMatch: nil).bytes
        func expectRefused(_ approvals: [RefUpdateID?]) throws {
            _ = try store.put("refs/heads/main", before, .none)
            try forge(.main, to: commit, .merge, approvals: approvals.compactMap { $0 })
            try expectFinding("a rule wanted 2 approvals")
        }
        let bob = try approve(brought, "Bob <bob@x>")
        try expectRefused([])
        try expectRefused([bob])
        try expectRefused([bob, bob])
        try expectRefused([bob, approve(other, "Cy <cy@x>")])
        try expectRefused([bob, approve(brought, "Robert <BOB@x >")])
        try expectRefused([bob, approve(brought, "Ann <ann@x>")])
        let dee = try approve(brought, "Dee <dee@x>")
        _ = try approve(brought, "Dee <dee@x>", .withdraw)
        try expectRefused([bob, dee])
        let eve = try approve(brought, "Eve <eve@x>")
        _ = try store.put("refs/heads/main", before, .none)
        try forge(.main, to: commit, .merge, approvals: [bob, eve].compactMap { $0 })
        #expect(try findings() == [])
    }

    /// A protected branch that was made past its rule.
    @Test func aBranchThatWasMadeUnreviewed() throws {
        try protect(ProtectionRule(pattern: "release/**", approvals: 1))
        try forge(.branch("release/1"), to: change(work, ["b": "1"]), .create)
        try expectFinding("a rule wanted 1 approvals")
    }

    /// A time before the rule, after a ref update that came later, is not believed.
    @Test func aTimeBeforeTheRule() throws {
        try protect(ProtectionRule(pattern: "main"))
        try change(work, ["b": "1"])
        _ = try repository.merge(
            repository.database.resolve("work"), named: "work", into: .main, .test(), options: MergeOptions())
        try forge(.main, to: mergeCommit(repository.head(), parents: [repository.head()]), .merge)
        clock.seconds -= 20 * 3600
        try forge(.main, to: mergeCommit(change(work, ["c": "1"]), parents: [repository.head()]), .commit)
        try expectFinding("which refuses: commit")
    }

    /// A creation of what is there drops its history past every rule.
    @Test func aCreationOfWhatIsThere() throws {
        try protect(ProtectionRule(pattern: "main"))
        try change(work, ["b": "1"])
        try forge(.main, to: repository.head(work), .create)
        try expectFinding("does not begin with nothing")
    }

    /// A hooks file that nobody understands excuses only what mends it.
    @Test func aMergeBehindBrokenHooks() throws {
        let broken = try repository.database.commit(change(work, ["text": "hooks: ["]))
        let donor = try repository.database.entry(at: TreePath(parsing: "text"), in: broken, named: "work")
        let directory = LocatedEntry(
            Entry(kind: .directory, mode: 0o755, modified: Timestamp(seconds: 1, nanoseconds: 0)))
        let base = try repository.database.commit(repository.head())
        let edits = try [(TreePath(parsing: ".tarn"), directory), (TreePath(parsing: Repository.hooksPath), donor)]
            .map { path, entry in Edit.put(entry.item(at: path)) }.sorted { compareBytes($0.key, $1.key) < 0 }
        let tree = try repository.database.tree(base.tree).applying(edits)
        try repository.database.nodes.flush()
        let head = try repository.head()
        let first = try repository.database.saveCommit(
            Commit(
                tree: tree.root, parents: [head], author: "Ann <ann@x>", committer: "Ann <ann@x>", time: base.time,
                message: "broken", metadata: [:], generation: base.generation + 1,
                counts: Commit.Counts(
                    files: base.counts.files + 1, directories: base.counts.directories + 1,
                    bytes: base.counts.bytes + (donor.entry.file?.sizeBytes ?? 0))))
        try forge(.main, to: first, .commit)
        #expect(try findings() == [])
        try forge(.main, to: mergeCommit(repository.head(work), parents: [first, repository.head(work)]), .merge)
        try expectFinding("nothing but what mends the hooks could pass")
    }

    /// Without the tree nobody knows what had to pass, and gc did not take it.
    @Test func aTreeThatIsGone() throws {
        try change(.main, [".tarn/hooks.yaml": Self.hooks])
        let head = try repository.head()
        let brought = try change(work, ["b": "1"])
        try forge(.main, to: mergeCommit(brought, parents: [head, brought]), .merge)
        try store.delete(ObjectKeys.node(repository.database.commit(head).tree))
        try expectFinding("it is missing")
    }

    /// Rules that say that they come into force later are in force.
    @Test func rulesOfTheFuture() throws {
        clock.seconds += 1000 * 86_400
        let rules = try RefName(.rules, "protection")
        try protect(ProtectionRule(pattern: "main"))
        let made = try #require(repository.database.readRef(rules)?.commit)
        try store.delete(ObjectKeys.ref(rules))
        try forge(rules, to: made, .protect)
        clock.seconds = now().seconds + 2 * 3600
        try forge(.main, to: mergeCommit(change(work, ["c": "1"]), parents: [repository.head()]), .commit)
        try expectFinding("which refuses: commit")
    }

    /// Whoever takes back or restores does not approve that.
    @Test func nobodyRestoresAlone() throws {
        try protect(ProtectionRule(pattern: "main", approvals: 1))
        let head = try repository.head()
        func restore(by who: String) throws {
            try change(work, ["x \(who)": "1"])
            _ = try repository.approve(
                repository.head(work), for: .merge, of: .main, who: "Bob <bob@x>", why: "")
            _ = try repository.merge(
                repository.database.resolve("work"), named: "work", into: .main, .test(), options: MergeOptions())
            _ = try repository.restore(
                repository.database.resolve(head.hex), on: .main, CommitInfo(author: who, message: "back"))
        }
        _ = try repository.approve(head, for: .restore, of: .main, who: "Mal <mal@x>", why: "")
        #expect(throws: RepositoryError.self) { try restore(by: "Mal <MAL@x>") }
        try restore(by: "Eve <eve@x>")
        #expect(try findings() == [])
    }

    /// What a merge brings is its second parent, and not what its metadata say.
    @Test func aMergeThatNamesSomethingElse() throws {
        try protect(ProtectionRule(pattern: "main", approvals: 1))
        let approved = try change(work, ["b": "1"])
        let approval = try repository.approve(approved, for: .merge, of: .main, who: "Bob <bob@x>", why: "")
        let evil = try change(work, ["b": "2"], by: "Mal <mal@x>")
        let model = try repository.database.commit(evil)
        let head = try repository.head()
        let forged = try repository.database.saveCommit(
            Commit(
                tree: model.tree, parents: [head, evil], author: "Mal <mal@x>", committer: "Mal <mal@x>",
                time: model.time, message: "forged", metadata: ["squashed-from": approved.hex],
                generation: model.generation + 1, counts: model.counts))
        try forge(.main, to: forged, .merge, approvals: approval.map(\.refUpdateID))
        try expectFinding("a rule wanted 1 approvals")
    }
}
