import BlockingIO
import ObjectDatabase
import ObjectStorage
import Operations
import ProllyTree
import Synchronization
import TestSupport
import Testing
import Versioning

/// Who sleeps beyond his lease publishes nothing, whatever clocks say and whenever requests arrive. SEMANTICS: G4.
@Suite struct LeaseTests {
    private let store = MemoryStore()
    private let repository: Repository

    init() throws { repository = try makeRepository(in: store) }

    private func lease(lasting duration: Duration = .days(1)) throws -> Lease {
        Lease(
            purpose: .mount, tree: try repository.database.commit(repository.head()).tree, lasting: duration,
            holder: "a holder", subject: "a test")
    }

    private func expectLost(_ body: () throws -> Void) {
        do {
            try body()
            Issue.record("it went on")
        } catch ObjectDatabaseError.leaseLost {
        } catch {
            Issue.record("not a lost lease: \(error)")
        }
    }

    /// A store on which `other` happens once, just before the first call that `isMeant`.
    private func interrupted(
        _ base: any ObjectStore, before isMeant: @escaping @Sendable (StoreCall) -> Bool,
        _ other: @escaping @Sendable () throws -> Void
    ) -> FaultyStore {
        let isDone = Mutex(false)
        return FaultyStore(base) { call in
            guard isMeant(call),
                isDone.withLock({ done in
                    defer { done = true }; return !done
                })
            else { return .pass }
            do { try other() } catch { Issue.record("what others do failed: \(error)") }
            return .pass
        }
    }

    private func expectSound(_ store: any ObjectStore) throws {
        #expect(try reopen(store).fsck(data: true).damage.isEmpty)
    }

    // MARK: The object

    @Test func aLeaseThatWasRemovedOrWrittenByAnotherIsLost() throws {
        for other in ["remove", "write"] {
            let held = HeldLease(repository.database)
            try held.save(lease())
            let key = ObjectKeys.leases + held.id
            if other == "remove" { try store.delete(key) } else { _ = try store.put(key, [0x7b, 0x7d], .none) }
            expectLost { try held.save(lease()) }
            expectLost { try held.check() }
        }
    }

    /// A renewal that arrives late changes nothing: each is on condition of the one before.
    @Test func aLateRenewalIsRefused() throws {
        let conditions = Mutex<[(key: String, etag: ETag?)]>([])
        let watched = FaultyStore(store) { _ in .pass }
        let held = HeldLease(try reopen(watched).database)
        for _ in 0..<2 {
            try held.save(lease())
            let key = ObjectKeys.leases + held.id
            conditions.withLock { $0.append((key, try? store.head(key).etag)) }
        }
        let first = try #require(conditions.withLock { $0.first })
        let newest = try store.get(first.key).bytes
        #expect(try store.swap(first.key, from: nil, to: [1]) == false)
        #expect(try store.swap(first.key, from: first.etag, to: [1]) == false)
        #expect(try store.get(first.key).bytes == newest)
    }

    @Test func aReplyThatIsLostIsNoLoss() throws {
        let faulty = FaultyStore(store) { call in
            call.kind == .put && call.key.hasPrefix("leases/")
                ? .failAfter(.preconditionFailed(key: call.key)) : .pass
        }
        let held = HeldLease(try reopen(faulty).database)
        try held.save(lease())
        try held.save(lease())
        try held.verify()
    }

    @Test func aLeaseThatHasEndedIsNotResumed() throws {
        let held = HeldLease(repository.database)
        try held.save(lease(lasting: .hours(1)))
        #expect(try HeldLease.resuming(held.id, repository.database) != nil)
        store.setClock(daysAhead: 1.0 / 24)
        #expect(try HeldLease.resuming(held.id, repository.database) == nil)
    }

    /// The store's clock decides, not the one of whoever looks.
    @Test func theStoresClockDecides() throws {
        let old = try repository.importing("a", "shown by a mount")
        try repository.importing("a", "newer")
        try repository.keep("main", commits: 1)
        store.setClock(daysAhead: -5)
        let lease = TreeLease(
            repository.database, purpose: .mount, subject: "test", lasting: .days(3),
            trees: [try repository.database.commit(old).tree])
        try lease.renew()
        var options = GarbageOptions()
        options.deletes = true
        options.grace = .zero
        #expect(try reopen(store).collectGarbage(options).leases.count == 1)
        #expect(try repository.bytes(of: "a", in: old) == Array("shown by a mount".utf8))
    }

    // MARK: Writers

    /// A writer that sleeps just before it moves the branch: its lease ends, what it has uploaded is collected.
    @Test func aCommitThatSleptBeforeItsMoveIsRefused() throws {
        let sleepy = interrupted(store) { call in
            call.kind == .put && call.key == "refs/heads/main"
        } _: { [store] in
            try reopen(store).collect(afterDays: 2)
        }
        let before = try repository.head()
        #expect(throws: ObjectDatabaseError.self) { try reopen(sleepy).importing("a", "uploaded long ago") }
        #expect(try repository.head() == before)
        try expectSound(store)
        let id = try reopen(sleepy).importing("a", "uploaded long ago")
        #expect(try reopen(store).bytes(of: "a", in: id) == Array("uploaded long ago".utf8))
        try expectSound(store)
    }

    /// The same for one that sleeps before it looks at the branch.
    @Test func aCommitThatSleptBeforeItLookedIsRefused() throws {
        let sleepy = interrupted(store) { call in
            call.kind == .put && call.key.hasPrefix("commits/")
        } _: { [store] in
            try reopen(store).collect(afterDays: 2)
        }
        #expect(throws: (any Error).self) { try reopen(sleepy).importing("a", "uploaded long ago") }
        try expectSound(store)
    }

    /// No write of a collector makes a creation fail: the branch is taken back.
    @Test func aBranchThatWasCreatedTooLateIsTakenBack() throws {
        let old = try repository.importing("a", "expires")
        try repository.importing("a", "newer")
        try repository.keep("main", commits: 1)
        let sleepy = interrupted(store) { call in
            call.kind == .put && call.key == "refs/heads/late"
        } _: { [store] in
            try reopen(store).collect(afterDays: 2)
        }
        let late = try RefName.branch("late")
        expectLost { try reopen(sleepy).createRef(late, at: old, who: "Test", why: "") }
        #expect(try repository.database.head(of: late) == nil)
        try expectSound(store)
        #expect(try reopen(store).verifyAudit().findings.isEmpty)
    }

    /// A move that got no answer is made to fail, so that it cannot arrive when its lease is gone.
    @Test func aMoveWithoutAnAnswerCannotArriveLater() throws {
        let lost = Mutex<(bytes: [UInt8], condition: ETag)?>(nil)
        let before = try store.get("refs/heads/main")
        let deaf = FaultyStore(store) { call in
            guard call.kind == .put, call.key == "refs/heads/main", lost.withLock({ $0 == nil }) else { return .pass }
            lost.withLock { $0 = (before.bytes, before.etag) }
            return .failBefore(.lostReply(call.key))
        }
        #expect(throws: (any Error).self) { try reopen(deaf).importing("a", "one") }
        let late = try #require(lost.withLock { $0 })
        #expect(try store.swap("refs/heads/main", from: late.condition, to: late.bytes) == false)
    }

    // MARK: Mirrors

    /// What it missed then is no damage.
    @Test func aMirrorThatSleptAndMissesAPackTellsOfItsLease() throws {
        try repository.importing("a", "one")
        let target = MemoryStore(location: "target")
        _ = try repository.mirror(to: target, targetQuirks: .init(quoteIfMatch: true))
        try repository.importing("b", "two")
        let broken = FaultyStore(target) { call in
            call.kind == .put && call.key.hasPrefix("commits/") ? .failBefore(.lostReply(call.key)) : .pass
        }
        #expect(throws: (any Error).self) {
            try reopen(store).mirror(to: broken, targetQuirks: .init(quoteIfMatch: true))
        }
        let sleepy = interrupted(target) { call in
            call.kind == .put && call.key.hasPrefix("trees/")
        } _: {
            let report = try reopen(target).collect(afterDays: 2)
            #expect(report.deleted.objects > 0)
        }
        expectLost { _ = try reopen(store).mirror(to: sleepy, targetQuirks: .init(quoteIfMatch: true)) }
        _ = try reopen(store).mirror(to: target, targetQuirks: .init(quoteIfMatch: true))
        try expectSound(target)
    }

    @Test(arguments: ["commits/", "refs/heads/main"])
    func aMirrorThatSleptPublishesNoHoles(_ key: String) throws {
        try repository.importing("a", "one")
        let target = MemoryStore(location: "target")
        _ = try repository.mirror(to: target, targetQuirks: .init(quoteIfMatch: true))
        try repository.importing("b", "two")
        let sleepy = interrupted(target) { call in
            call.kind == .put && call.key.hasPrefix(key)
        } _: {
            try reopen(target).collect(afterDays: 2)
        }
        expectLost { _ = try reopen(store).mirror(to: sleepy, targetQuirks: .init(quoteIfMatch: true)) }
        try expectSound(target)
        _ = try reopen(store).mirror(to: target, targetQuirks: .init(quoteIfMatch: true))
        try expectSound(target)
        let copy = try reopen(target)
        #expect(try copy.bytes(of: "b", in: copy.head()) == Array("two".utf8))
    }
}
