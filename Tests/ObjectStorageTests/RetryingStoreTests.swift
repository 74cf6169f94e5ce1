import TestSupport
import Testing

@testable import ObjectStorage

/// R11.
@Suite struct RetryingStoreTests {
    @Test func transientFailuresArePassedOver() throws {
        let faulty = FaultyStore(MemoryStore()) { $0.ordinal <= 3 ? .failBefore(.lostReply($0.key)) : .pass }
        let store = RetryingStore(faulty, policy: .hasty)
        _ = try store.put("k", [1], .none)
        #expect(try store.get("k", range: nil, ifMatch: nil).bytes == [1])
        #expect(faulty.count(.put) == 4 && faulty.count(.get) == 4)
    }

    @Test func badAnswersAreTriedAgain() throws {
        let faulty = FaultyStore(
            MemoryStore(), rule: FaultyStore.nth(1, .head, .failBefore(.badAnswer(key: "k", reason: "x"))))
        _ = try faulty.put("k", [1], .none)
        #expect(try RetryingStore(faulty, policy: .hasty).head("k").sizeBytes == 1)
    }

    @Test func givingUpTellsTheAttemptsAndTheLastReason() {
        let faulty = FaultyStore(MemoryStore()) { .failBefore(.badAnswer(key: $0.key, reason: "try \($0.ordinal)")) }
        let store = RetryingStore(faulty, policy: .hasty)
        #expect(throws: StoreError.unavailable(location: "memory", key: "k", attempts: 8, reason: "try 8")) {
            try store.head("k")
        }
    }

    @Test func otherErrorsGoUpAtOnce() {
        for error in [
            StoreError.notFound(key: "k"), .accessDenied(location: "l", reason: "r"), .preconditionFailed(key: "k"),
            .certificateRefused(location: "l", reason: "r"), .localIO(path: "p", errno: 28),
        ] {
            let faulty = FaultyStore(MemoryStore()) { _ in .failBefore(error) }
            #expect(throws: error) { try RetryingStore(faulty, policy: .hasty).delete("k") }
            #expect(faulty.count(.delete) == 1)
        }
    }

    @Test func noAttemptBeginsAfterTheTimeout() {
        let faulty = FaultyStore(MemoryStore()) { _ in .failBefore(.lostReply("k")) }
        var policy = RetryPolicy(attempts: 1000, timeoutSeconds: 0.2)
        policy.longestPauseMilliseconds = 20
        let start = ContinuousClock.now
        #expect(throws: StoreError.self) { try RetryingStore(faulty, policy: policy).head("k") }
        #expect(ContinuousClock.now - start < .seconds(5))
        #expect((2..<1000).contains(faulty.count(.head)))
    }

    @Test func pausesGrowWithJitterUpToALimit() {
        let policy = RetryPolicy()
        for failures in 1...20 {
            let limit = min(10_000, 100 * Double(1 << (failures - 1)))
            for _ in 0..<50 { #expect((0...limit).contains(policy.pauseMilliseconds(failures: failures))) }
        }
    }

    /// The reply to a conditional put that won is lost: the second try is refused by what the first wrote, and the
    /// caller, who reads back, finds its own write id.
    @Test func conditionalPutWithALostReplyIsRefusedByItself() throws {
        let memory = MemoryStore()
        let store = RetryingStore(
            FaultyStore(memory, rule: FaultyStore.nth(1, .put, .failAfter(.lostReply("ref")))), policy: .hasty)
        #expect(throws: StoreError.preconditionFailed(key: "ref")) { try store.put("ref", bytes("mine"), .absent) }
        #expect(try store.get("ref", range: nil, ifMatch: nil).bytes == bytes("mine"))
    }

    @Test func completedUploadWithALostReplyIsFound() throws {
        let store = RetryingStore(
            FaultyStore(MemoryStore(), rule: FaultyStore.nth(1, .completeUpload, .failAfter(.lostReply("k")))),
            policy: .hasty)
        let upload = try store.beginUpload("k")
        let part = try store.uploadPart(upload, number: 1, bytes("x"))
        let etag = try store.completeUpload(upload, parts: [part])
        #expect(try store.get("k", range: nil, ifMatch: etag).bytes == bytes("x"))
    }

    @Test func anotherObjectIsNotTakenForTheUpload() throws {
        let memory = MemoryStore()
        let store = RetryingStore(
            FaultyStore(memory, rule: FaultyStore.nth(1, .completeUpload, .failBefore(.lostReply("k")))), policy: .hasty
        )
        let upload = try store.beginUpload("k")
        let part = try store.uploadPart(upload, number: 1, bytes("x"))
        try memory.abortUpload(upload)
        _ = try memory.put("k", bytes("other"), .none)
        #expect(throws: StoreError.notFound(key: "k")) { try store.completeUpload(upload, parts: [part]) }
    }
}

@Suite struct FaultyStoreTests {
    @Test func bytesAreSpoiledAsTold() throws {
        let store = FaultyStore(MemoryStore())
        _ = try store.put("k", [0, 0, 0], .none)
        store.setRule { _ in .corrupt(bit: 9) }
        #expect(try store.get("k", range: nil, ifMatch: nil).bytes == [0, 2, 0])
        store.setRule { _ in .truncate(to: 1) }
        #expect(try store.get("k", range: nil, ifMatch: nil).bytes == [0])
        store.setRule { _ in .pass }
        #expect(try store.get("k", range: nil, ifMatch: nil).bytes == [0, 0, 0])
        #expect(store.count(.get) == 3 && store.count(.put) == 1 && store.count(.list) == 0)
    }

    @Test func aLostReplyHasTakenEffect() throws {
        let memory = MemoryStore()
        let store = FaultyStore(memory, rule: FaultyStore.nth(2, .put, prefix: "refs/", .failAfter(.lostReply("k"))))
        _ = try store.put("refs/a", [1], .none)
        _ = try store.put("other", [1], .none)
        #expect(throws: StoreError.lostReply("k")) { try store.put("refs/b", [2], .none) }
        #expect(try memory.get("refs/b", range: nil, ifMatch: nil).bytes == [2])
    }
}
