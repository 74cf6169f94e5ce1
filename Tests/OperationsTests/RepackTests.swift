import ObjectDatabase
import ObjectStorage
import Operations
import ProllyTree
import TestSupport
import Testing
import Versioning

/// Packs that are mostly dead are rewritten; who knows only the old place of a block finds the new one.
@Suite struct RepackTests {
    private let store = MemoryStore()
    private let repository: Repository
    private let kept: [UInt8]
    private let head: CommitID

    init() throws {
        repository = try makeRepository(in: store)
        var random = SeededRandom(seed: 4)
        kept = random.bytes(20_000)
        let source = try TemporaryDirectory()
        try source.write("kept", kept)
        for number in 0..<20 { try source.write("goes \(number)", random.bytes(20_000)) }
        _ = try repository.importDirectory(source.path, into: .main, .test())
        var options = ImportOptions()
        options.removesOthers = true
        let second = try TemporaryDirectory()
        try second.write("kept", kept)
        head = try repository.importDirectory(second.path, into: .main, .test("second"), options: options).commitID
        try repository.keep("main", commits: 1)
    }

    private func packBytes(_ store: any ObjectStore) throws -> [UInt64] {
        try store.list(prefix: "packs/", after: nil, limit: 1000).objects.map(\.sizeBytes)
    }

    /// G8
    @Test func repackingFreesDeadBytesAndKeepsIds() throws {
        // An open reader, which has the old places in memory.
        let reader = try reopen(store)
        #expect(try reader.bytes(of: "kept", in: head) == kept)

        let first = try reopen(store).collect(repackShare: 0.5)
        #expect(first.partlyDead.objects == 1 && first.repacked.objects == 1)
        #expect(first.repacked.bytes == 20_000)
        #expect(try objectCount(store, "packs/") == 2, "the old pack stays for the grace period")
        #expect(try reopen(store).bytes(of: "kept", in: head) == kept)

        let second = try reopen(store).collect(afterDays: 1, repackShare: 0.5)
        #expect(second.dead.packs.objects == 1 && second.repacked.objects == 0)
        #expect(try packBytes(store) == [20_000], "the new pack is what is left")
        #expect(try reader.bytes(of: "kept", in: head) == kept, "the open reader finds the new place")
        #expect(try reopen(store).bytes(of: "kept", in: head) == kept)
        #expect(try reopen(store).fsck(data: true).damage.isEmpty)
    }

    /// G8: a writer that knows only old places publishes them; they lead to the new ones for ever.
    @Test func oldPlacesInANewCommitAreGood() throws {
        let renamed = try commitOldPlaces()
        for _ in 0..<2 {
            try reopen(store).collect(afterDays: 2, repackShare: 0.5)
            #expect(try packBytes(store) == [20_000])
            #expect(try reopen(store).bytes(of: "renamed", in: renamed) == kept)
            #expect(try reopen(store).fsck(data: true).damage.isEmpty)
        }
    }

    /// G5: what leads to a pack is lost, so that it seems to be dead, and the old pack is missing.
    @Test func aPackWhoseRecordIsLostStays() throws {
        _ = try commitOldPlaces()
        for moved in try store.list(prefix: "moved/", after: nil, limit: 10).objects { try store.delete(moved.key) }
        do {
            try reopen(store).collect(afterDays: 2)
            Issue.record("the pack is missing, and nothing was said")
        } catch RepositoryError.collectionStopped(let cause, let hasDeleted) {
            guard case ObjectDatabaseError.missingObject(let object, _) = cause else { throw cause }
            #expect(object.hasPrefix("packs/") && !hasDeleted)
        }
        #expect(try packBytes(store) == [20_000])
    }

    /// Repacks, and commits a file that was staged with its old place.
    private func commitOldPlaces() throws -> CommitID {
        let directory = try TemporaryDirectory()
        let workspace = try repository.workspace(in: directory.path)
        // Staged with the block's old place, in the workspace's own database.
        try StagingEditor(workspace, repository).rename("kept", to: "renamed")
        try reopen(store).collect(repackShare: 0.5)
        try reopen(store).collect(afterDays: 1, repackShare: 0.5)
        let fresh = try reopen(store)
        let staged = try fresh.commitStaged(
            workspace, .test(), holder: LocalHolder(workspace: workspace, repository: fresh))
        #expect(try reopen(store).bytes(of: "renamed", in: staged.published.commitID) == kept)
        return staged.published.commitID
    }

    /// G8
    @Test func repackThatBreaksOffAnywhereLosesNothing() throws {
        let calls = CallCounter()
        let counting = FaultyStore(try store.copy()) { call in
            if call.kind == .delete || call.kind == .put { _ = calls.next() }
            return .pass
        }
        try reopen(counting).collect(repackShare: 0.5)
        for number in 1...calls.count {
            let copy = try store.copy()
            let seen = CallCounter()
            let broken = FaultyStore(copy) { call in
                guard call.kind == .delete || call.kind == .put else { return .pass }
                return seen.next() >= number ? .failBefore(.lostReply(call.key)) : .pass
            }
            do { _ = try reopen(broken).collect(repackShare: 0.5) } catch {}
            #expect(try reopen(copy).bytes(of: "kept", in: head) == kept, "call \(number)")
            // The lease of the run that was killed holds for a day.
            for day in 2...4 { try reopen(copy).collect(afterDays: Double(day), repackShare: 0.5) }
            #expect(try reopen(copy).bytes(of: "kept", in: head) == kept, "call \(number)")
            #expect(try packBytes(copy) == [20_000], "call \(number)")
            #expect(try reopen(copy).fsck(data: true).damage.isEmpty, "call \(number)")
        }
    }
}
