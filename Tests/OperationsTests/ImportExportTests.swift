import BlockingIO
import CLinux
import Foundation
import Glibc
import ObjectDatabase
import ObjectStorage
import Operations
import ProllyTree
import Synchronization
import TestSupport
import Testing
import Versioning

@Suite struct ImportExportTests {
    private let store = FaultyStore(MemoryStore())
    private let repository: Repository
    private let source: TemporaryDirectory

    init() throws {
        repository = try makeRepository(in: store)
        source = try TemporaryDirectory()
        try source.write(["a/b/deep": "deep", "a/empty": "", "hollow/": "", "z": "z\n", ".hidden": "h"])
    }

    private func importing(_ options: ImportOptions = ImportOptions(), progress: ImportProgress = ImportProgress())
        throws -> Published
    {
        try repository.importDirectory(source.path, into: .main, .test("import"), options: options, progress: progress)
    }

    /// Small files that lie together are fetched together, and what is in the cache is not fetched.
    @Test func exportAsksForSmallFilesTogether() throws {
        let names = (0..<300).map { "d\($0 % 3)/file \($0)" }
        for name in names { try source.write([name: "the bytes of \(name)"]) }
        try source.write(["large": String(repeating: "0123456789abcdef", count: 1 << 17)])
        _ = try importing()
        let cache = try TemporaryDirectory()
        for isCached in [false, true] {
            let gets = Mutex(0)
            let counting = FaultyStore(repository.database.store) { call in
                if call.kind == .get, call.key.hasPrefix("packs/") { gets.withLock { $0 += 1 } }
                return .pass
            }
            let fresh = try reopen(counting, cache: isCached ? cache : nil)
            let commit = try fresh.database.commit(fresh.head())
            if isCached {
                try fresh.database.tree(commit.tree).forEachDescendant(of: .root) { _, located in
                    let list = try fresh.database.lists.map(of: located).list
                    for placed in list.blocks { try fresh.database.blocks.prefetch([placed]) }
                    return true
                }
                gets.withLock { $0 = 0 }
            }
            let target = try TemporaryDirectory()
            try fresh.export(commit, path: .root, named: "main", to: target.file("out"))
            #expect(gets.withLock { isCached ? $0 == 0 : $0 < 12 })
            for name in names {
                let text = try String(contentsOfFile: target.file("out/\(name)"), encoding: .utf8)
                #expect(text == "the bytes of \(name)")
            }
        }
    }

    /// B5: of a tree too large to be remembered, too.
    @Test(arguments: [1_000_000, 3]) func whatIsThereAlreadyIsNotUploadedAgain(remembersEntries: Int) throws {
        var options = ImportOptions()
        options.remembersEntries = remembersEntries
        try source.write(["large": String(repeating: "0123456789abcdef", count: 1 << 20)])
        _ = try importing(options)
        try source.write(["new": "n", "z": "other"])
        let progress = ImportProgress()
        _ = try importing(options, progress: progress)
        #expect(progress.current.uploadedBytes == 6)
        #expect(progress.current.reusedBytes == 16 << 20 | 5)
        let again = ImportProgress()
        #expect(throws: RepositoryError.self) { try importing(options, progress: again) }
        #expect(again.current.uploadedBytes == 0)
    }

    /// What find(1) would say of everything below a directory: kind, mode, time, size, bytes or target.
    private func describe(_ root: String) throws -> [String: String] {
        var found: [String: String] = [:]
        try describe(Array(root.utf8), [], &found)
        return found
    }

    private func describe(_ path: [UInt8], _ name: [UInt8], _ found: inout [String: String]) throws {
        var info = stat()
        #expect(withCPath(path) { lstat($0, &info) } == 0)
        let time = "\(info.st_mtim.tv_sec).\(info.st_mtim.tv_nsec)"
        var words = "\(info.st_mode) \(time)"
        switch info.st_mode & S_IFMT {
        case S_IFREG:
            let bytes = contents(path, Int(info.st_size))
            words += " \(bytes.count) \(ContentID(hashing: bytes))"
            words += " \(userAttribute(of: path, "user.test").map { hexEncoded($0) } ?? "")"
        case S_IFLNK:
            var buffer = [CChar](repeating: 0, count: 4096)
            let count = withCPath(path) { readlink($0, &buffer, 4096) }
            words += " -> \(hexEncoded(buffer[..<count].map { UInt8(bitPattern: $0) }))"
        default:
            let stream = try #require(withCPath(path, { opendir($0) }) as OpaquePointer?)
            defer { closedir(stream) }
            while let entry = readdir(stream) {
                let child = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
                if child == [0x2e] || child == [0x2e, 0x2e] { continue }
                try describe(path + [0x2f] + child, name + [0x2f] + child, &found)
            }
        }
        found[printableName(name)] = words
    }

    private func contents(_ path: [UInt8], _ size: Int) -> [UInt8] {
        let descriptor = withCPath(path) { open($0, O_RDONLY) }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: size)
        #expect(pread(descriptor, &bytes, size, 0) == size)
        return bytes
    }

    private func makeUnusual() throws {
        #expect(symlink("../nowhere \u{7f}", source.file("link")) == 0)
        let odd = Array(source.path.utf8) + [0x2f, 0xff, 0x0a, 0x5c]
        let descriptor = withCPath(odd) { open($0, O_WRONLY | O_CREAT, 0o600) }
        #expect(Glibc.write(descriptor, "odd", 3) == 3)
        close(descriptor)
        #expect(chmod(source.file("a"), 0o1710) == 0 && chmod(source.file("z"), 0o4755) == 0)
        #expect(setxattr(source.file("a/b/deep"), "user.test", [1, 2, 3], 3, 0) == 0)
        let long = String(repeating: "n", count: 255)
        try source.write([long: "long"])
        var times = [timespec(tv_sec: -5, tv_nsec: 7), timespec(tv_sec: -5, tv_nsec: 123_456_789)]
        #expect(utimensat(AT_FDCWD, source.file("z"), &times, 0) == 0)
        let sparse = open(source.file("sparse"), O_WRONLY | O_CREAT, 0o644)
        #expect(pwrite(sparse, "x", 1, 9 << 20) == 1)
        #expect(ftruncate(sparse, 20 << 20) == 0)
        close(sparse)
    }

    @Test func exportEqualsTheSource() throws {
        try makeUnusual()
        let published = try importing()
        let target = try TemporaryDirectory()
        var options = ExportOptions()
        options.restoresSpecialModes = true
        try reopen(store).export(
            published.commit, path: .root, named: "main", to: target.file("out"), options: options)
        #expect(try describe(target.file("out")) == describe(source.path))
        var info = stat()
        #expect(stat(target.file("out/sparse"), &info) == 0)
        #expect(info.st_blocks * 512 < 5 << 20, "holes stay holes")
    }

    @Test func countsAreThoseOfTheTree() throws {
        try makeUnusual()
        let commit = try importing().commit
        var counts = Commit.Counts()
        try repository.database.tree(commit.tree).forEach { item in
            counts.add(try LocatedEntry(item: item).entry, sign: 1)
            return true
        }
        #expect(commit.counts == counts)
        #expect(counts.files == 8 && counts.directories == 4)
    }

    @Test func importAgainHasNothingToCommit() throws {
        try makeUnusual()
        _ = try importing()
        do {
            _ = try importing()
            Issue.record("it was committed again")
        } catch RepositoryError.nothingToCommit {}
    }

    @Test func socketsAndPipesAreLeftOutAndNamed() throws {
        #expect(mkfifo(source.file("a/pipe"), 0o600) == 0)
        let progress = ImportProgress()
        let published = try importing(progress: progress)
        #expect(progress.current.skipped.map { "\($0.path): \($0.reason)" } == ["a/pipe: it is a named pipe"])
        #expect(try !repository.paths(in: published.commitID).contains("a/pipe"))
    }

    @Test func sameBytesGiveTheSameTreeWhateverTheHistory() throws {
        let all = try importing().commit.tree
        let other = try makeRepository()
        // The other repository gets the paths in two steps, over something that was there before.
        let part = try TemporaryDirectory()
        try part.write(["a/b/deep": "other", "z/": "", "gone": "gone"])
        _ = try other.importDirectory(part.path, into: .main, .test())
        var options = ImportOptions()
        options.removesOthers = true
        let again = try other.importDirectory(source.path, into: .main, .test(), options: options).commit
        #expect(again.tree == all)
        #expect(again.counts == (try repository.database.commit(repository.head()).counts))
    }

    @Test func fileThatReplacesADirectoryTakesItsContentsAway() throws {
        _ = try importing()
        try FileManager.default.removeItem(atPath: source.file("a"))
        try source.write(["a": "a file now"])
        let published = try importing()
        #expect(try repository.paths(in: published.commitID) == [".hidden", "a", "hollow", "z"])
        #expect(published.commit.counts == Commit.Counts(files: 3, directories: 2, bytes: 13))
    }

    @Test func destinationIsMadeWithTheDirectoriesAbove() throws {
        var options = ImportOptions()
        options.destination = try TreePath(parsing: "x/y")
        let published = try importing(options)
        #expect(try repository.bytes(of: "x/y/a/b/deep", in: published.commitID) == Array("deep".utf8))
        #expect(published.commit.counts.directories == 6)
        #expect(try repository.fsck(data: true).damage.isEmpty)
    }

    @Test func secondCopyOfAFileUploadsNothing() throws {
        var random = SeededRandom(seed: 4)
        let bytes = random.bytes(700_000)
        try source.write("one", bytes)
        _ = try importing()
        try source.write("two", bytes)
        try source.write("three", bytes)
        let progress = ImportProgress()
        let published = try importing(progress: progress)
        #expect(progress.current.uploadedBytes == 0)
        #expect(try repository.bytes(of: "two", in: published.commitID) == bytes)
    }

    @Test func importThatFailsAtAnyPutPublishesNothingAndCanBeDoneAgain() throws {
        let before = try repository.head()
        let puts = store.count(.put)
        for number in 1...40 {
            store.setRule(FaultyStore.nth(number, .put, .failBefore(.lostReply("any"))))
            do {
                _ = try importing()
                break
            } catch { #expect(try reopen(store.base).head() == before, "put \(number)") }
        }
        #expect(store.count(.put) - puts > 6)
        store.setRule { _ in .pass }
        let again = try reopen(store)
        #expect(try again.paths(in: again.head()).count == 7)
        #expect(try again.fsck(data: true).damage.isEmpty)
        #expect(try again.verifyAudit().findings.isEmpty)
    }
}
