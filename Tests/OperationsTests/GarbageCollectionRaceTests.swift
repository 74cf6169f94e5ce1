import BlockingIO
import Foundation
import ObjectDatabase
import ObjectStorage
import Operations
import ProllyTree
import Synchronization
import TestSupport
import Testing
import Versioning

/// The garbage collector beside writers, without any grace period.
@Suite(.serialized) struct GarbageCollectionRaceTests {
    enum Kind: String, CaseIterable {
        case memory, directory
    }

    /// G7: two writers never stop, and come back to contents that have just expired; the collector runs in a loop.
    @Test(.timeLimit(.minutes(2)), arguments: Kind.allCases)
    func nothingIsLostBesideWritersThatNeverStop(kind: Kind) throws {
        let directory = try TemporaryDirectory()
        let store: any ObjectStore = kind == .memory ? MemoryStore() : try DirectoryStore(directory.path)
        let repository = try makeRepository(in: store)
        try repository.keep("**", commits: 1)
        let end = ContinuousClock.now + .seconds(8)
        let failures = Mutex<[String]>([])
        let totals = Mutex<(commits: Int, deleted: Int)>((0, 0))
        let running = Monitor(3)
        for writer in 0..<2 {
            try startThread {
                defer { running.update { $0 -= 1 } }
                var number = 0
                do {
                    while ContinuousClock.now < end {
                        // Seven contents, again and again: the same ids are collected and uploaded anew.
                        let text = "writer \(writer), content \(number % 7)"
                        let id = try reopen(store).importing("file \(writer)", text)
                        if try reopen(store).bytes(of: "file \(writer)", in: id) != Array(text.utf8) {
                            failures.withLock { $0.append("other bytes") }
                        }
                        number += 1
                        totals.withLock { $0.commits += 1 }
                    }
                } catch TreeError.unreadable(_, ObjectDatabaseError.collected) {
                    // The commit was the last but one when we read it.
                } catch ObjectDatabaseError.collected {
                    // Likewise, when the record of it was seen before the tree.
                } catch {
                    failures.withLock { $0.append("writer \(writer): \(error)") }
                }
            }
        }
        try startThread {
            defer { running.update { $0 -= 1 } }
            do {
                var options = GarbageOptions()
                options.deletes = true
                options.grace = .zero
                while ContinuousClock.now < end {
                    let report = try reopen(store).collectGarbage(options)
                    totals.withLock { $0.deleted += report.deleted.objects }
                    let head = try reopen(store).fsck(data: true)
                    failures.withLock { $0 += head.damage.map { "\($0)" } }
                }
            } catch { failures.withLock { $0.append("collector: \(error)") } }
        }
        running.wait { $0 == 0 ? () : nil }
        #expect(failures.withLock { $0 } == [])
        let (commits, deleted) = totals.withLock { $0 }
        #expect(commits > 10 && deleted > 10, "\(commits) commits, \(deleted) objects deleted")
        print("\(kind): \(commits) commits, \(deleted) objects deleted")
        #expect(try reopen(store).fsck(data: true).damage.isEmpty)
    }

    /// G7: a node that is uploaded again after the sweep was announced is spared, and one that was deleted meanwhile is
    /// uploaded again.
    @Test func nodeUploadedAgainWhileItIsSweptIsThere() throws {
        let memory = MemoryStore()
        let repository = try makeRepository(in: memory)
        let tree = try repository.database.commit(repository.importing("a", "again")).tree
        try repository.importing("a", "other")
        try repository.keep("main", commits: 1)
        let isDone = Mutex(false)
        // When the collector is about to delete the root, a writer uploads the same tree again and goes on to its end.
        let writer = Monitor(false)
        let store = FaultyStore(memory) { call in
            let isFirst =
                call.kind == .delete && call.key.hasSuffix(tree.hex)
                && isDone.withLock { done in
                    defer { done = true }
                    return !done
                }
            guard isFirst else { return .pass }
            // A test that gets no thread has failed anyway.
            try? startThread {
                do { try reopen(memory).importing("a", "again") } catch { Issue.record("\(error)") }
                writer.update { $0 = true }
            }
            sleepMilliseconds(1500)
            return .pass
        }
        try reopen(store).collect()
        writer.wait { $0 ? () : nil }
        #expect(isDone.withLock { $0 })
        #expect(try reopen(memory).database.commit(reopen(memory).head()).tree == tree)
        let head = try reopen(memory).head()
        #expect(try reopen(memory).bytes(of: "a", in: head) == Array("again".utf8))
        #expect(try reopen(memory).fsck(data: true).damage.isEmpty)
    }

    /// G7: a commit may not build on a base that the collector is about to take.
    @Test func commitOnACollectedBaseIsRefused() throws {
        let store = MemoryStore()
        let repository = try makeRepository(in: store)
        try repository.importing("a", "base")
        let directory = try TemporaryDirectory()
        let workspace = try repository.workspace(in: directory.path)
        try StagingEditor(workspace, repository).put("b", Array("staged".utf8))
        try repository.importing("a", "other")
        try repository.keep("main", commits: 1)
        try reopen(store).collect()
        let fresh = try reopen(store)
        do {
            _ = try fresh.commitStaged(
                workspace, .test(), holder: LocalHolder(workspace: workspace, repository: fresh))
            Issue.record("it was committed")
        } catch ObjectDatabaseError.collected {}
        #expect(try fresh.fsck(data: true).damage.isEmpty)
    }
}
