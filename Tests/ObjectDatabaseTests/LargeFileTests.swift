import ObjectDatabase
import ObjectStorage
import Operations
import ProllyTree
import Staging
import TestSupport
import Testing
import Versioning

/// Files of many blocks: their lists, and edits that reuse what they do not touch.
@Suite struct LargeFileTests {
    private static let size = 14 << 20
    private let store = FaultyStore(MemoryStore())
    private let repository: Repository
    private let directory: TemporaryDirectory
    private var model: [UInt8]

    init() throws {
        repository = try makeRepository(in: store)
        directory = try TemporaryDirectory()
        var random = SeededRandom(seed: 11)
        model = random.bytes(Self.size)
        let source = try TemporaryDirectory()
        try source.write("big", model)
        _ = try repository.importDirectory(source.path, into: .main, .test())
    }

    private func content(_ repository: Repository) throws -> FileContent {
        let commit = try repository.database.commit(repository.head())
        return try #require(
            try repository.database.entry(at: TreePath(parsing: "big"), in: commit, named: "main").entry.file)
    }

    /// What importing these bytes into an empty repository would give.
    private func fresh(_ bytes: [UInt8]) throws -> FileContent {
        let other = try makeRepository()
        let source = try TemporaryDirectory()
        try source.write("big", bytes)
        _ = try other.importDirectory(source.path, into: .main, .test())
        return try content(other)
    }

    @Test func fileOfManyBlocksComesBack() throws {
        guard case .list = try content(repository).blocks else {
            Issue.record("it has no block list")
            return
        }
        #expect(try reopen(store).bytes(of: "big", in: repository.head()) == model)
    }

    /// It is read into windows of 8 MiB, which are filled again while blocks of the last are still worked on.
    @Test(arguments: [(8 << 20) - 1, 8 << 20, (8 << 20) + 1, 16 << 20, 60_000_000])
    func fileOfManyWindowsComesBack(size: Int) throws {
        let other = try makeRepository()
        let source = try TemporaryDirectory()
        let bytes = Array((0..<5).flatMap { number in model.dropFirst(number * 1000) }.prefix(size))
        try source.write("big", bytes)
        _ = try other.importDirectory(source.path, into: .main, .test())
        #expect(try other.bytes(of: "big", in: other.head()) == bytes)
    }

    @Test func packOfALargeRawFileIsTheFile() throws {
        let packs = try store.list(prefix: "packs/", after: nil, limit: 10).objects
        #expect(packs.count == 1)
        #expect(try store.get(packs[0].key, range: nil, ifMatch: nil).bytes == model)
    }

    @Test func editedByteUploadsAboutABlock() throws {
        let workspace = try repository.workspace(in: directory.file("workspace"))
        try StagingEditor(workspace, repository).write("big", at: Self.size / 2, [1])
        let commit = try repository.commitStaged(
            workspace, .test(), holder: LocalHolder(workspace: workspace, repository: repository))
        #expect(commit.uploadedBytes > 0)
        #expect(commit.uploadedBytes <= 8 << 20)
        #expect(commit.uploadedBytes < UInt64(Self.size) / 2)
    }

    @Test func truncationUploadsAtMostTheLastBlock() throws {
        let workspace = try repository.workspace(in: directory.file("workspace"))
        try StagingEditor(workspace, repository).resize("big", to: Self.size - 5_000_000)
        let commit = try repository.commitStaged(
            workspace, .test(), holder: LocalHolder(workspace: workspace, repository: repository))
        #expect(commit.uploadedBytes <= 4 << 20)
    }

    /// Whatever was edited, the content id is that of the bytes.
    @Test(arguments: 1...5 as ClosedRange<UInt64>)
    mutating func editedFileHasTheContentOfAFreshImport(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let workspace = try repository.workspace(in: directory.file("workspace"))
        let editor = StagingEditor(workspace, repository)
        for commitNumber in 0..<3 {
            for _ in 0..<(1 + random.below(3)) { try edit(editor, &random) }
            _ = try repository.commitStaged(
                workspace, .test(), holder: LocalHolder(workspace: workspace, repository: repository))
            #expect(try content(repository) == fresh(model), "seed \(seed), commit \(commitNumber)")
            #expect(
                try repository.bytes(of: "big", in: repository.head()) == model, "seed \(seed), commit \(commitNumber)")
        }
        #expect(try repository.fsck(data: true).damage.isEmpty)
    }

    private mutating func edit(_ editor: StagingEditor, _ random: inout SeededRandom) throws {
        switch random.below(6) {
        case 0:
            let size = random.below(model.count + 1)
            try editor.resize("big", to: size)
            model.removeLast(model.count - size)
        case 1:
            let size = model.count + random.below(6 << 20)
            try editor.resize("big", to: size)
            model += [UInt8](repeating: 0, count: size - model.count)
        case 2: try write(editor, at: model.count, random.bytes(random.below(2 << 20) + 1))
        case 3:
            try write(
                editor, at: random.below(model.count + 1), [UInt8](repeating: 0, count: 1 + random.below(5 << 20)))
        default: try write(editor, at: random.below(model.count + 1), random.bytes(1 + random.below(3000)))
        }
    }

    private mutating func write(_ editor: StagingEditor, at offset: Int, _ bytes: [UInt8]) throws {
        try editor.write("big", at: offset, bytes)
        let end = offset + bytes.count
        if end > model.count { model += [UInt8](repeating: 0, count: end - model.count) }
        model.replaceSubrange(offset..<end, with: bytes)
    }

    /// The cuts are part of the format: these are made by docs/reference/FORMAT.md's words alone.
    @Test func cutsAreWhereTheFormatSays() {
        let gear = (0...255).map { byte in
            UInt64(BlockID(hashing: Array("tarn gear".utf8) + [UInt8(byte)]).hex.prefix(16), radix: 16)!
        }
        var random = SeededRandom(seed: 31)
        let bytes = random.bytes(24 << 20)
        var (start, lengths) = (0, Set<Int>())
        while start < bytes.count {
            var (hash, end) = (UInt64(0), min(start + 262_144, bytes.count))
            while end < min(start + 4_194_304, bytes.count) {
                hash = (hash << 1) &+ gear[Int(bytes[end])]
                end += 1
                if hash.leadingZeroBitCount >= (end - start <= 1_048_576 ? 22 : 18) { break }
            }
            let cut = bytes[start...].withUnsafeBytes { Chunker.cut($0) }
            #expect(cut == end - start)
            lengths.insert(cut)
            start += cut
        }
        #expect(lengths.count > 10)
    }

    /// `cutBlocks` takes holes over unread because of this.
    @Test func zerosAreCutAtTheLargestSize() {
        let zeros = [UInt8](repeating: 0, count: Chunker.maximumBytes + 5)
        #expect(zeros.withUnsafeBytes { Chunker.cut($0) } == Chunker.maximumBytes)
    }
}
