import BlockingIO
import Foundation
import Glibc
import ObjectDatabase
import Operations
import ProllyTree
import Synchronization
import TestSupport
import Testing
import Versioning

/// Rule (B7): import and export follow no symbolic link, whoever puts one where, and paths have any length.
@Suite struct ImportRaceTests {
    private let repository: Repository
    private let source: TemporaryDirectory
    private let secret: TemporaryDirectory

    init() throws {
        repository = try makeRepository()
        source = try TemporaryDirectory()
        secret = try TemporaryDirectory()
        try secret.write(["f": "secret"])
        try source.write(["d/f": "ours", "z/f": "ours"])
    }

    private var scanner: DirectoryScanner {
        get throws { try DirectoryScanner(ScannedTree(root: Array(source.path.utf8))) }
    }

    private func replace(_ name: String, byLinkTo target: String) throws {
        #expect(rename(source.file(name), source.file("gone")) == 0)
        #expect(symlink(target, source.file(name)) == 0)
    }

    @Test func aDirectoryThatBecameALinkIsNotFollowed() throws {
        var scanner = try scanner
        #expect(try scanner.nextDirectory()?.map { "\($0.path)" } == ["d", "z"])
        try replace("d", byLinkTo: secret.path)
        try expectNoSecret(of: &scanner)
    }

    /// Another directory in its place is not what was scanned, either.
    @Test func aDirectoryThatBecameAnotherOneIsNotRead() throws {
        var scanner = try scanner
        _ = try scanner.nextDirectory()
        #expect(rename(source.file("d"), source.file("gone")) == 0)
        #expect(rename(secret.path, source.file("d")) == 0)
        try expectNoSecret(of: &scanner)
    }

    /// It may still have the directory that it found open, and go on in that one.
    private func expectNoSecret(of scanner: inout DirectoryScanner) throws {
        while let children = try? scanner.nextDirectory() {
            for case let file in children where file.kind != .directory {
                #expect(file.kind == .file(sizeBytes: 4), "\(file.path)")
                let size = try? scanner.tree.withOpen(file) { $0.sizeBytes }
                #expect(size == nil || size == 4)
            }
        }
    }

    /// A file is replaced by a link, by a pipe, by another file; a directory above it by a link.
    @Test(arguments: ["link", "pipe", "file", "directory"]) func aFileThatWasReplacedIsNotRead(how: String) throws {
        var scanner = try scanner
        _ = try scanner.nextDirectory()
        let file = try #require(try scanner.nextDirectory()?.first)
        #expect("\(file.path)" == "d/f")
        switch how {
        case "link": try replace("d/f", byLinkTo: secret.file("f"))
        case "pipe":
            #expect(unlink(source.file("d/f")) == 0)
            #expect(mkfifo(source.file("d/f"), 0o600) == 0)
        case "file": #expect(rename(secret.file("f"), source.file("d/f")) == 0)
        default: try replace("d", byLinkTo: secret.path)
        }
        do {
            _ = try ScannedTree(root: Array(source.path.utf8)).withOpen(file) { $0.sizeBytes }
            Issue.record("it was opened")
        } catch ObjectDatabaseError.sourceUnusable(let path, let reason) {
            #expect(path.hasSuffix("d/f") && reason.contains("replaced"))
        }
    }

    /// Somebody replaces directories by links all the while: whatever comes of the import, the secret is not in it.
    @Test func noSecretIsImportedWhileLinksComeAndGo() throws {
        let isDone = Atomic(false)
        let threads = WorkerCount()
        try startThread { [source, secret] in
            while !isDone.load(ordering: .relaxed) {
                rename(source.file("d"), source.file("aside"))
                symlink(secret.path, source.file("d"))
                unlink(source.file("d"))
                rename(source.file("aside"), source.file("d"))
            }
            threads.done()
        }
        for _ in 0..<50 {
            guard let commit = try? repository.importDirectory(source.path, into: .main, .test()).commit else {
                continue
            }
            try repository.database.tree(commit.tree).forEachDescendant(of: .root) { path, located in
                if located.entry.file != nil { #expect(located.entry.sizeBytes == 4, "\(path)") }
                return true
            }
        }
        isDone.store(true, ordering: .relaxed)
        threads.wait()
    }

    private final class WorkerCount: Sendable {
        private let isDone = Monitor(false)
        func done() { isDone.update { $0 = true } }
        func wait() { isDone.waitUntil { $0 } }
    }

    /// A directory of the target is replaced by a link while it is filled.
    @Test func exportDoesNotFollowALinkThatCame() throws {
        try source.write(["a/f": "1", "b/f": "2"])
        let commit = try repository.importDirectory(source.path, into: .main, .test()).commit
        let target = try TemporaryDirectory()
        let out = target.file("out")
        let hasSwapped = Atomic(false)
        #expect(throws: ObjectDatabaseError.self) {
            // The first file that is written replaces the directories of the others.
            try repository.export(commit, path: .root, named: "main", to: out) { path, _ in
                guard !hasSwapped.exchange(true, ordering: .relaxed) else { return }
                for name in ["a", "b", "d", "z"] {
                    rename(out + "/" + name, target.file(name))
                    symlink(secret.path, out + "/" + name)
                }
            }
        }
        let names = try FileManager.default.contentsOfDirectory(atPath: secret.path)
        #expect(names == ["f"])
        #expect(try String(contentsOfFile: secret.file("f"), encoding: .utf8) == "secret")
    }

    /// Directories, each in the one before, with a file in each: many of them, and a path above 4,096 bytes.
    @Test(arguments: [(1200, 4), (40, 255)]) func treesOfAnyDepthComeAndGo(levels: Int, nameBytes: Int) throws {
        let deep = try TemporaryDirectory()
        let name = String(repeating: "n", count: nameBytes)
        var descriptor = open(deep.path, O_RDONLY | O_DIRECTORY)
        for level in 0..<levels {
            let file = openat(descriptor, "f", O_WRONLY | O_CREAT, 0o600)
            #expect(write(file, "\(level)", "\(level)".utf8.count) > 0)
            close(file)
            #expect(mkdirat(descriptor, name, 0o755) == 0)
            let next = openat(descriptor, name, O_RDONLY | O_DIRECTORY)
            close(descriptor)
            descriptor = next
            #expect(next >= 0)
        }
        close(descriptor)
        let commit = try repository.importDirectory(deep.path, into: .main, .test()).commit
        #expect(commit.counts.files == levels && commit.counts.directories == levels + 1)
        let target = try TemporaryDirectory()
        try repository.export(commit, path: .root, named: "main", to: target.file("out"))
        descriptor = open(target.file("out"), O_RDONLY | O_DIRECTORY)
        for level in 0..<levels {
            let file = openat(descriptor, "f", O_RDONLY)
            var buffer = [UInt8](repeating: 0, count: 8)
            let count = read(file, &buffer, 8)
            #expect(Array(buffer[..<max(0, count)]) == Array("\(level)".utf8))
            close(file)
            let next = openat(descriptor, name, O_RDONLY | O_DIRECTORY)
            close(descriptor)
            descriptor = next
        }
        close(descriptor)
        removeDeep(deep.path)
        removeDeep(target.file("out"))
    }

    /// The library's removal needs whole paths.
    private func removeDeep(_ path: String) {
        var options = ChildProcess.Options()
        options.error = .null
        _ = try? ChildProcess.start("rm", ["rm", "-rf", "--", path], options).wait()
    }
}
