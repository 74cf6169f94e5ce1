import BlockingIO
import ObjectDatabase
import ObjectStorage
import Operations
import ProllyTree
import Synchronization
import TestSupport
import Testing
import Versioning

/// Commits that share one open repository, and so its queues of uploads.
@Suite struct SharedUploadTests {
    /// Parts wait for the first of them to begin the upload; when it cannot, none tries again.
    @Test func uploadThatCannotBeginFailsTheImport() throws {
        let store = FaultyStore(MemoryStore())
        let repository = try makeRepository(in: store)
        let head = try repository.head()
        let source = try TemporaryDirectory()
        var random = SeededRandom(seed: 4)
        try source.write("large", random.bytes(60_000_000))
        store.setRule { $0.kind == .beginUpload ? .failBefore(.lostReply("packs")) : .pass }
        #expect(throws: StoreError.self) { try repository.importDirectory(source.path, into: .main, .test()) }
        #expect(store.count(.beginUpload) == 1)
        #expect(try reopen(store.base).head() == head)
    }

    /// One of two writers is told of a failed upload; the other must not publish a tree without that node.
    @Test(arguments: 1...20)
    func failedUploadNeverLeavesAPublishedTreeIncomplete(number: Int) throws {
        let store = FaultyStore(MemoryStore())
        let repository = try makeRepository(in: store)
        store.setRule(FaultyStore.nth(1 + number % 4, .put, prefix: "trees/", .failBefore(.lostReply("trees"))))
        let succeeded = Mutex<[String]>([])
        try concurrently(Array(0..<4), threads: 4) { writer in
            let source = try TemporaryDirectory()
            try source.write(["file\(writer)": "bytes"])
            do {
                _ = try repository.importDirectory(source.path, into: .main, .test())
                succeeded.withLock { $0.append("file\(writer)") }
            } catch is StoreError {}
        }
        let later = try reopen(store.base)
        let damage = try later.fsck(data: true).damage
        #expect(damage.isEmpty, "\(damage)")
        if damage.isEmpty { #expect(try later.paths(in: later.head()) == succeeded.withLock { $0.sorted() }) }
    }
}
