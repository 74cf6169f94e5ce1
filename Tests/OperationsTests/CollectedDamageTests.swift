import ObjectDatabase
import ObjectStorage
import Operations
import ProllyTree
import Synchronization
import TestSupport
import Testing
import Versioning

/// In a repository that gc has collected in, an object that cannot be read ends no check: it is named, and the check goes on.
/// The collector refuses, and names it. SEMANTICS: B2, G5.
@Suite struct CollectedDamageTests {
    private let store = MemoryStore()
    private let repository: Repository

    private static let bad: [String: [UInt8]] = [
        "too large": [UInt8](repeating: 0, count: (16 << 20) + 1), "newer": Array(#"{"format":99}"#.utf8),
        "not JSON": Array("hello".utf8), "a number": Array("5".utf8), "empty": [],
    ]

    init() throws {
        repository = try makeRepository(in: store)
        for number in 0..<4 { try repository.importing("a", "version \(number)") }
        try repository.keep("main", commits: 1)
        #expect(try reopen(store).collect().deleted.objects > 0)
        #expect(try damage().isEmpty)
    }

    private func damage() throws -> [Damage] { try reopen(store).fsck(data: true).damage }

    /// The object that a run of the collector names when it refuses; `nil` when it runs.
    private func refusal() throws -> String? {
        do {
            _ = try reopen(store).collect()
            return nil
        } catch RepositoryError.collectionStopped(let cause, let hasDeleted) {
            #expect(!hasDeleted)
            return "\(cause)"
        }
    }

    /// Puts each kind of bad bytes at `key`, and what was there back again.
    private func withBadBytes(_ key: String, _ body: (String) throws -> Void) throws {
        let present = try reopen(store).database.storedBytes(key)
        for (kind, bytes) in Self.bad {
            _ = try store.put(key, bytes, .none)
            try body("\(key): \(kind)")
        }
        if let present { _ = try store.put(key, present, .none) } else { try store.delete(key) }
        #expect(try damage().isEmpty)
    }

    @Test func aMissingRefUpdateInTheMiddleOfAChain() throws {
        let target = MemoryStore(location: "target")
        _ = try repository.mirror(to: target, targetQuirks: .init(quoteIfMatch: true))
        let log = try repository.auditLog(ref: .main)
        for id in log.map(\.id).dropFirst() {
            let key = ObjectKeys.refUpdate(id)
            try store.delete(key)
            #expect(try damage().map(\.object) == [key])
            #expect(try reopen(store).verifyAudit().findings.map(\.object) == [key])
            let refusal = try refusal()
            #expect(refusal?.contains(key) == true)
            let report = try reopen(store).repair(from: reopen(target), data: true)
            #expect(report.repaired == [key] && report.check.damage.isEmpty)
        }
    }

    @Test func aBadRecordOfWhatWasCollected() throws {
        for key in try store.list(prefix: ObjectKeys.collected, after: nil, limit: 100).objects.map(\.key) {
            let tree = try ObjectKeys.node(#require(NodeID(hex: key.dropFirst(ObjectKeys.collected.count))))
            try withBadBytes(key) { (name: String) throws in
                let named = try Set(damage().map(\.object))
                #expect(named.contains(key) && named.isSubset(of: [key, tree]), "\(name): \(named)")
                if let refusal = try refusal() { #expect(refusal.contains(key), "\(name): \(refusal)") }
                // Whether gc could take the tree with the hooks is told by this record.
                let found = try Set(reopen(store).verifyAudit().findings.map(\.object))
                #expect(found.isSubset(of: [key, tree]), "\(name): \(found)")
                let repair = try reopen(store).repair(from: reopen(store), data: false)
                #expect(repair.check.damage.contains { $0.object == key }, "\(name)")
            }
        }
    }

    /// As the hint says: the collector makes the record again.
    @Test func aRecordThatWasDeletedIsMadeAgain() throws {
        for key in try store.list(prefix: ObjectKeys.collected, after: nil, limit: 100).objects.map(\.key) {
            try store.delete(key)
            try reopen(store).collect()
            #expect(try damage().isEmpty, "\(key)")
        }
    }

    @Test func aBadJournalOfSweeps() throws {
        try withBadBytes(ObjectKeys.sweeps) { (name: String) throws in
            #expect(try damage().map(\.object) == [ObjectKeys.sweeps], "\(name)")
            let refusal = try refusal()
            #expect(refusal?.contains(ObjectKeys.sweeps) == true, "\(name)")
        }
    }

    @Test func aBadLease() throws {
        try withBadBytes(ObjectKeys.leases + "00") { (name: String) throws in
            #expect(try damage().map(\.object) == ["leases/00"], "\(name)")
            let refusal = try refusal()
            #expect(refusal?.contains("leases/00") == true, "\(name)")
            // An import looks for leases of its own only.
            try reopen(store).importing("a", "beside \(name)")
        }
    }

    @Test func aBadQueue() throws {
        try withBadBytes("queue/heads/main") { (name: String) throws in
            #expect(try damage().map(\.object) == ["queue/heads/main"], "\(name)")
            #expect(try refusal() == nil)
        }
    }

    /// G5: what another run has taken since this one decided is no damage.
    @Test func aRunBesideAnotherSaysSo() throws {
        for number in 4..<8 { try repository.importing("a", "version \(number)") }
        try repository.keep("main", commits: 3)
        let isDone = Mutex(false)
        let slow = FaultyStore(store) { [store] call in
            let isFirst = isDone.withLock { done in
                defer { done = done || (call.kind == .put && call.key == ObjectKeys.sweeps) }
                return !done && call.kind == .put && call.key == ObjectKeys.sweeps
            }
            if isFirst {
                do {
                    try reopen(store).keep("main", commits: 1)
                    #expect(try reopen(store).collect().deleted.objects > 0)
                } catch {
                    Issue.record("the other run failed: \(error)")
                }
            }
            return .pass
        }
        do {
            try reopen(slow).collect()
            Issue.record("it ran")
        } catch RepositoryError.collectionRefused(let reason) {
            #expect(reason.contains("another run of gc"))
        }
        try reopen(store).collect()
        #expect(try damage().isEmpty)
    }

    /// Without the rules nothing shows that the collector was wrong.
    @Test func badRules() throws {
        try withBadBytes("refs/rules/retention") { (name: String) throws in
            #expect(try damage().map(\.object) == ["refs/rules/retention"], "\(name)")
            let refusal = try refusal()
            #expect(refusal?.contains("refs/rules/retention") == true, "\(name)")
        }
    }
}
