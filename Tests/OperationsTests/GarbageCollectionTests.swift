import BlockingIO
import ObjectDatabase
import ObjectStorage
import Operations
import ProllyTree
import Staging
import TestSupport
import Testing
import Versioning

/// What the garbage collector keeps and what it lets go.
@Suite struct GarbageCollectionTests {
    private let store = MemoryStore()
    private let repository: Repository

    init() throws { repository = try makeRepository(in: store) }

    private func isReadable(_ id: CommitID) throws -> Bool {
        let repository = try reopen(store)
        do {
            for path in try repository.paths(in: id) { _ = try repository.bytes(of: path, in: id) }
            return true
        } catch TreeError.unreadable(_, ObjectDatabaseError.collected) {
            return false
        }
    }

    private func expectSound() throws {
        let report = try reopen(store).fsck(data: true)
        #expect(report.damage.isEmpty, "\(report.damage)")
    }

    /// G2, G6: a branch that is reset comes near to commits again whose data has gone. That is no damage.
    @Test func aBranchMayBeResetAfterItsHistoryWasCollected() throws {
        try repository.keep("main", commits: 2)
        let commits = try (0..<5).map { try repository.importing("a", "\($0)") }
        try reopen(store).collect()
        #expect(try !isReadable(commits[2]))
        _ = try repository.reset(.main, to: commits[3], who: "Test", why: "")
        try expectSound()
        try reopen(store).collect()
        #expect(try isReadable(commits[3]))
        try expectSound()
    }

    /// G4: a commit that is about to be published is not noted as expired, also where the run breaks off.
    @Test func aCommitIsNotNotedBeforeItIsPublished() throws {
        let broken = FaultyStore(store) { call in
            call.kind == .list && call.key.hasPrefix("trees/") ? .failBefore(.lostReply(call.key)) : .pass
        }
        let isDone = CallCounter()
        let writer = FaultyStore(store) { call in
            guard call.kind == .put, call.key == "refs/heads/main", isDone.next() == 1 else { return .pass }
            #expect(throws: (any Error).self) { try reopen(broken).collect() }
            return .pass
        }
        try reopen(writer).importing("a", "one")
        try expectSound()
        try reopen(store).importing("a", "two")
    }

    /// G4: a mount that begins at a newer commit than its workspace protects that one.
    @Test func aMountProtectsTheBaseThatItBeginsAt() throws {
        try repository.keep("main", commits: 1)
        let directory = try TemporaryDirectory()
        let workspace = try repository.workspace(in: directory.path)
        let base = try repository.importing("a", "base")
        try workspace.moveBase(to: base)
        let lease = try repository.protectBase(of: workspace)
        for text in ["one", "two"] { try repository.importing("a", text) }
        try reopen(store).collect()
        #expect(try isReadable(base))
        // Whatever else moves the base: the next look names it.
        let next = try repository.importing("a", "next")
        try workspace.moveBase(to: next)
        try lease.look()
        for text in ["one", "two"] { try repository.importing("a", text) }
        try reopen(store).collect()
        #expect(try isReadable(next) && !isReadable(base))
    }

    /// The same where the base has expired before the lease was there.
    @Test func aMountOfABaseThatHasExpiredIsRefused() throws {
        try repository.keep("main", commits: 1)
        let directory = try TemporaryDirectory()
        try repository.importing("a", "base")
        let workspace = try repository.workspace(in: directory.path)
        for text in ["one", "two"] { try repository.importing("a", text) }
        try reopen(store).collect()
        #expect(throws: ObjectDatabaseError.self) { try reopen(store).protectBase(of: workspace) }
    }

    /// G1
    @Test func withoutRulesEverythingThatARefEverShowedStays() throws {
        let first = try repository.importing("a", "one")
        let second = try repository.importing("a", "two")
        try repository.createRef(.branch("side"), at: first, who: "Test", why: "")
        let third = try repository.importing("b", "three", into: .branch("side"))
        _ = try repository.deleteRef(.branch("side"), who: "Test", why: "")
        let report = try reopen(store).collect(afterDays: 4000)
        #expect(report.dead.total.objects == 0 && report.expired.isEmpty)
        for id in [first, second, third] { #expect(try isReadable(id)) }
    }

    /// G1
    @Test func dryRunDeletesNothing() throws {
        for number in 0..<3 { try repository.importing("a", "version \(number)") }
        try repository.keep("main", commits: 1)
        let before = try objectCount(store, "")
        let report = try reopen(store).collect(deletes: false)
        #expect(report.dead.packs.objects == 2 && report.expired.count == 2)
        #expect(report.expired.allSatisfy { $0.reason == "the rule 'main: 1 commit'" })
        #expect(try objectCount(store, "") == before)
    }

    /// G2
    @Test func commitsBeyondTheRuleGoAndSaySo() throws {
        let ids = try (0..<4).map { try repository.importing("a", "version \($0)") }
        try repository.keep("main", commits: 2)
        let report = try reopen(store).collect()
        #expect(report.deleted.objects > 0)
        #expect(try ids.map(isReadable) == [false, false, true, true])
        try expectSound()
        // Records and ref updates stay.
        #expect(try reopen(store).database.commit(ids[0]).message == "a: version 0")
        #expect(try reopen(store).verifyAudit().findings.isEmpty)
        do {
            try reopen(store).createRef(.tag("old"), at: ids[0], who: "Test", why: "")
            Issue.record("a tag was put on a commit whose data is gone")
        } catch ObjectDatabaseError.collected(_, let record) {
            #expect(record.commits.contains(ids[0]) && record.rule == "the rule 'main: 2 commits'")
        }
        let again = try reopen(store).collect()
        #expect(again.dead.total.objects == 0 && again.collectedBefore == 2)
    }

    /// G2: what a branch showed in the last days stays, also when it was moved away from.
    @Test func deletedBranchIsRecoverableWithinItsRetention() throws {
        try repository.createRef(.branch("tmp/x"), at: repository.head(), who: "Test", why: "")
        let lost = try repository.importing("x", "lost and found", into: .branch("tmp/x"))
        _ = try repository.deleteRef(.branch("tmp/x"), who: "Test", why: "")
        try repository.keep("tmp/*", days: 30)
        try reopen(store).collect(afterDays: 29)
        #expect(try isReadable(lost))
        store.setClock(daysAhead: 31)
        try reopen(store).collect(afterDays: 31)
        #expect(try !isReadable(lost))
        try expectSound()
    }

    /// G2: tags stay for ever, and so do branches without a rule; a merge keeps what it merged.
    @Test func tagsAndOtherBranchesKeepTheirCommits() throws {
        let ids = try (0..<4).map { try repository.importing("a", "version \($0)") }
        try repository.createRef(.tag("v1"), at: ids[0], who: "Test", why: "")
        try repository.createRef(.branch("dev"), at: ids[1], who: "Test", why: "")
        try repository.keep("main", commits: 1)
        try reopen(store).collect(afterDays: 100)
        #expect(try ids.map(isReadable) == [true, true, false, true])
        try expectSound()
    }

    /// G3
    @Test func gracePeriodHoldsForEverything() throws {
        for number in 0..<3 { try repository.importing("a", "version \(number)") }
        try repository.keep("main", commits: 1)
        let early = try reopen(store).collect(afterDays: 6, grace: 7 * 86_400)
        #expect(early.expired.isEmpty && early.dead.total.objects == 0)
        let late = try reopen(store).collect(afterDays: 8, grace: 7 * 86_400)
        #expect(late.expired.count == 2 && late.deleted.objects > 0)
        try expectSound()
    }

    /// G4
    @Test func leasedTreeStaysUntilTheLeaseEnds() throws {
        let old = try repository.importing("a", "shown by a mount")
        try repository.importing("a", "newer")
        try repository.keep("main", commits: 1)
        let lease = TreeLease(
            repository.database, purpose: .mount, subject: "test", lasting: .days(1),
            trees: [try repository.database.commit(old).tree])
        try lease.renew()
        #expect(try reopen(store).collect().leases.map(\.purpose) == [.mount])
        #expect(try isReadable(old))
        lease.end()
        try reopen(store).collect()
        #expect(try !isReadable(old))
    }

    /// G4: and a lease that nobody renews ends by itself.
    @Test func leaseOfADeadHolderExpires() throws {
        let old = try repository.importing("a", "shown by a mount")
        try repository.importing("a", "newer")
        try repository.keep("main", commits: 1)
        try TreeLease(
            repository.database, purpose: .mount, subject: "test", lasting: .days(1),
            trees: [try repository.database.commit(old).tree]
        ).renew()
        try reopen(store).collect(afterDays: 2)
        #expect(try !isReadable(old))
    }

    /// G4: what cannot be read might protect anything.
    @Test func damagedLeaseStopsTheRun() throws {
        _ = try store.put("leases/00", Array("{".utf8), .none)
        do {
            _ = try reopen(store).collect()
            Issue.record("it ran")
        } catch RepositoryError.collectionStopped(ObjectDatabaseError.corrupt(let object, _), hasDeleted: false) {
            #expect(object == "leases/00")
        }
    }

    /// G5: a damaged tree that must stay stops the run before anything is deleted.
    @Test func damagedLiveTreeStopsTheRun() throws {
        for number in 0..<3 { try repository.importing("a", "version \(number)") }
        try repository.keep("main", commits: 1)
        let head = try repository.database.commit(repository.head()).tree
        try store.delete("trees/\(head.hex.prefix(2))/\(head.hex)")
        let packs = try objectCount(store, "packs/")
        do {
            _ = try reopen(store).collect()
            Issue.record("it ran")
        } catch RepositoryError.collectionStopped(ObjectDatabaseError.missingObject, hasDeleted: false) {}
        #expect(try objectCount(store, "packs/") == packs)
    }

    /// G5
    @Test func runThatBreaksOffAnywhereIsFinishedByTheNext() throws {
        for number in 0..<4 { try repository.importing("a", "version \(number)") }
        try repository.keep("main", commits: 1)
        let head = try repository.head()
        let calls = CallCounter()
        let counting = FaultyStore(try store.copy()) { call in
            if call.kind == .delete || call.kind == .put { _ = calls.next() }
            return .pass
        }
        let whole = try reopen(counting).collect()
        #expect(whole.deleted.objects > 4)
        for number in 1...calls.count {
            let copy = try store.copy()
            let seen = CallCounter()
            let broken = FaultyStore(copy) { call in
                guard call.kind == .delete || call.kind == .put else { return .pass }
                return seen.next() >= number ? .failBefore(.lostReply(call.key)) : .pass
            }
            do { _ = try reopen(broken).collect() } catch {}
            let repository = try reopen(copy)
            #expect(try repository.fsck(data: true).damage.isEmpty, "call \(number)")
            #expect(try repository.bytes(of: "a", in: head) == Array("version 3".utf8))
            try repository.collect()
            #expect(try objectCount(copy, "packs/") == 1, "call \(number)")
            #expect(try repository.fsck(data: true).damage.isEmpty, "call \(number)")
        }
    }

    /// G6: a longer rule does not bring data back, and does not stop the collector either.
    @Test func longerRuleAfterwardsKeepsWhatIsThere() throws {
        let ids = try (0..<4).map { try repository.importing("a", "version \($0)") }
        try repository.keep("main", commits: 2)
        try reopen(store).collect()
        try repository.keep("main", commits: 100)
        try reopen(store).collect()
        #expect(try ids.map(isReadable) == [false, false, true, true])
        try expectSound()
    }
}

extension MemoryStore {
    /// Another store with the same objects.
    func copy() throws -> MemoryStore {
        let copy = MemoryStore()
        for object in try list(prefix: "", after: nil, limit: 1000).objects {
            _ = try copy.put(object.key, get(object.key, range: nil, ifMatch: nil).bytes, .none)
        }
        return copy
    }
}
