import Foundation
import Glibc
import TestSupport
import Testing

@testable import ObjectStorage

@Suite struct DirectoryStoreTests {
    let directory: TemporaryDirectory
    let store: DirectoryStore

    init() throws {
        directory = try TemporaryDirectory()
        store = try DirectoryStore(directory.path)
    }

    /// Several hosts on a network file system could overwrite each other's changes: it is read, and not written.
    @Test(arguments: [0x6969, 0xff53_4d42, 0xfe53_4d42])
    func aNetworkFileSystemIsNotWritten(_ kind: Int) throws {
        let directory = try TemporaryDirectory()
        let local = try DirectoryStore(directory.path)
        let etag = try local.put("a", [1], .none)
        let network = try DirectoryStore(directory.path, kind: { _ in kind })
        #expect(try network.get("a", .whole(limitBytes: 10), ifMatch: nil).bytes == [1])
        for body in [
            { _ = try network.put("b", [1], .none) }, { try network.delete("a") },
            { _ = try network.delete("a", ifMatch: etag) },
        ] as [() throws -> Void] {
            #expect(throws: StoreError.self) { try body() }
        }
        #expect(try local.get("a", .whole(limitBytes: 10), ifMatch: nil).bytes == [1])
    }

    @Test func noUpdateIsLostAmongEightProcesses() async throws {
        _ = try store.put("log", [], .absent)
        let path = directory.path
        await withTaskGroup(of: Void.self) { group in
            for process in 0..<8 {
                group.addTask {
                    await #expect(processExitsWith: .success) { [path = path as String, process = process as Int] in
                        let store = try DirectoryStore(path)
                        for round in 0..<20 { try appendLine("\(process) \(round)", to: "log", in: store) }
                    }
                }
            }
        }
        #expect(Set(try lines(of: "log", in: store)).count == 160)
        #expect(try lines(of: "log", in: store).count == 160)
    }

    @Test func noUpdateIsLostAmongInstances() throws {
        _ = try store.put("log", [], .absent)
        let path = directory.path
        try onThreads(8) { thread in
            let own = try DirectoryStore(path)
            for round in 0..<20 { try appendLine("\(thread) \(round)", to: "log", in: own) }
        }
        #expect(try lines(of: "log", in: store).count == 160)
    }

    /// A swap succeeds only if nothing was written since its read, also when the others do not use conditions.
    @Test func plainPutsAreSeenBySwaps() throws {
        let etag = try store.put("k", bytes("a"), .none)
        let same = try store.put("k", bytes("a"), .none)
        #expect(etag != same)
        #expect(throws: StoreError.preconditionFailed(key: "k")) { try store.put("k", bytes("b"), .matches(etag)) }
        try store.delete("k")
        #expect(throws: StoreError.preconditionFailed(key: "k")) { try store.put("k", bytes("b"), .matches(same)) }
    }

    @Test func everyWriteHasAnETagOfItsOwn() throws {
        let store = store
        let etags = Collected<ETag>()
        try onThreads(4) { _ in
            for _ in 0..<50 { etags.append(try store.put("k", bytes("same"), .none)) }
        }
        #expect(Set(etags.all).count == 200)
    }

    /// The clock has gone back: the new version is later than the old one all the same.
    @Test func versionsGoForwardWhenTheClockGoesBack() throws {
        _ = try store.put("k", bytes("a"), .none)
        let future = (DirectoryStore.nowNanoseconds() / 1_000_000_000 + 3600) * 1_000_000_000
        try LocalFile.open(store.path(of: "k"), O_RDWR).setModified(future)
        let before = try store.head("k").etag
        let after = try store.put("k", bytes("a"), .matches(before))
        #expect(before != after)
        #expect(try store.head("k").modifiedSeconds == future / 1_000_000_000)
    }

    @Test func objectBelowAnObjectIsRefused() throws {
        _ = try store.put("d", [1], .none)
        _ = try store.put("e/x", [1], .none)
        for key in ["d/x", "d/x/y", "e"] {
            let error = #expect(throws: StoreError.self) { try store.put(key, [2], .none) }
            guard case .invalidKey(key, _) = error else {
                Issue.record("\(key): \(String(describing: error))")
                continue
            }
        }
        #expect(try store.get("d", range: nil, ifMatch: nil).bytes == [1])
        #expect(try store.get("e/x", range: nil, ifMatch: nil).bytes == [1])
        #expect(try LocalFile.entries(of: store.reserved).filter { $0.kind == .file }.isEmpty)
    }

    @Test func deletingTheLastObjectFreesTheDirectory() throws {
        _ = try store.put("d/e/f", [1], .none)
        try store.delete("d/e/f")
        _ = try store.put("d", [2], .none)
        #expect(try store.list(prefix: "", after: nil, limit: 10).objects.map(\.key) == ["d"])
    }

    @Test func putsAndDeletesBesideEachOtherKeepTheirDirectory() throws {
        let store = store
        try onThreads(4) { thread in
            for _ in 0..<100 {
                _ = try store.put("d/e/\(thread)", [1], .none)
                try store.delete("d/e/\(thread)")
            }
        }
        #expect(try store.list(prefix: "", after: nil, limit: 10).objects.isEmpty)
    }

    @Test func theStoresOwnDirectoryIsNoKey() throws {
        _ = try store.put("a", [1], .none)
        #expect(throws: StoreError.self) { try store.put(".tarn-tmp/x", [1], .none) }
        #expect(throws: StoreError.self) { try store.get(".tarn-tmp/locks/1", range: nil, ifMatch: nil) }
        #expect(try store.list(prefix: "", after: nil, limit: 10).objects.count == 1)
        #expect(try store.list(prefix: ".tarn-tmp/", after: nil, limit: 10).objects.isEmpty)
    }

    @Test func prefixesDoNotLeadOutOfTheRoot() throws {
        for prefix in ["../", "/", "/etc/", "a/../../", "./", "//"] {
            #expect(try store.list(prefix: prefix, after: nil, limit: 10).objects.isEmpty)
        }
    }

    @Test func linksAndPipesAreNoObjects() throws {
        symlink("/etc/passwd", store.path(of: "link"))
        mkfifo(store.path(of: "pipe"), 0o600)
        for key in ["link", "pipe"] {
            #expect(throws: StoreError.notFound(key: key)) { try store.get(key, range: nil, ifMatch: nil) }
            #expect(throws: StoreError.notFound(key: key)) { try store.head(key) }
        }
        #expect(try store.list(prefix: "", after: nil, limit: 10).objects.isEmpty)
    }

    @Test func whatACrashLeftIsRemovedAfterADay() throws {
        _ = try store.put("k", [1], .none)
        let old = try LocalFile.open("\(store.reserved)/put-old", O_RDWR | O_CREAT)
        try old.setModified(DirectoryStore.nowNanoseconds() - 25 * 3600 * 1_000_000_000)
        _ = try LocalFile.open("\(store.reserved)/put-new", O_RDWR | O_CREAT)
        _ = try DirectoryStore(directory.path)
        #expect(try LocalFile.entries(of: store.reserved).filter { $0.kind == .file }.map(\.name) == ["put-new"])
    }

    @Test func aMissingDirectoryIsMadeOnlyOnRequest() throws {
        let path = directory.path + "/not/yet"
        #expect(throws: StoreError.containerMissing(location: path)) { try DirectoryStore(path) }
        let made = try DirectoryStore(path + "/", create: true)
        #expect(made.location == path)
        _ = try made.put("k", [1], .none)
        try FileManager.default.removeItem(atPath: path)
        // It may have been unmounted: nothing is written where it was.
        for call in [{ _ = try made.put("k", [1], .none) }, { _ = try made.head("k") }, { try made.delete("k") }] {
            #expect(throws: StoreError.containerMissing(location: path)) { try call() }
        }
        #expect(throws: StoreError.containerMissing(location: path)) { try made.list(prefix: "", after: nil, limit: 1) }
    }

    @Test func partsOfDifferentSizesAreRefused() throws {
        let upload = try store.beginUpload("k")
        let first = try store.uploadPart(upload, number: 1, bytes("1234"))
        #expect(throws: StoreError.self) { try store.uploadPart(upload, number: 2, bytes("12345")) }
        let second = try store.uploadPart(upload, number: 2, bytes("12"))
        let third = try store.uploadPart(upload, number: 3, bytes("1234"))
        #expect(throws: StoreError.self) { try store.completeUpload(upload, parts: [first, second, third]) }
        try store.abortUpload(upload)
        #expect(try LocalFile.entries(of: store.reserved).filter { $0.kind == .file }.isEmpty)
    }

    /// Only ENOENT and ENOTDIR say that nothing is there. Here a parent directory cannot be followed (ELOOP).
    @Test func whatCannotBeLookedAtIsNotAbsent() throws {
        let parent = directory.path + "/refs"
        try FileManager.default.createSymbolicLink(atPath: parent, withDestinationPath: "refs")
        let failure = StoreError.localIO(path: parent + "/main", errno: ELOOP)
        #expect(throws: failure) { try store.head("refs/main") }
        #expect(throws: failure) { try store.get("refs/main", range: nil, ifMatch: nil) }
        #expect(throws: failure) { try store.put("refs/main", [1], .absent) }
        #expect(throws: failure) { try store.delete("refs/main") }
        #expect(throws: StoreError.localIO(path: parent + "/", errno: ELOOP)) {
            try store.list(prefix: "refs/", after: nil, limit: 10)
        }
    }

    @Test func whatIsNoFileIsNoObject() throws {
        try FileManager.default.createSymbolicLink(atPath: directory.path + "/link", withDestinationPath: "link")
        #expect(mkfifo(directory.path + "/pipe", 0o600) == 0)
        for key in ["link", "pipe", "nothing", "nothing/below"] {
            #expect(throws: StoreError.notFound(key: key)) { try store.head(key) }
            #expect(throws: StoreError.notFound(key: key)) { try store.get(key, range: nil, ifMatch: nil) }
        }
    }
}
