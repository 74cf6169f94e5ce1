import ProllyTree
import TestSupport
import Testing
import Versioning

typealias Files = [String: LocatedEntry]

func file(_ text: String, mode: UInt16 = 0o644, at seconds: Int64 = 0) -> LocatedEntry {
    let block = BlockReference(id: BlockID(hashing: Array(text.utf8)), length: UInt32(text.utf8.count))
    let list = BlockList(
        blocks: [block],
        extents: [
            Extent(pack: PackID(high: 1, low: 1), offset: 0, storedLength: block.length, codec: .raw, plainOffset: 0)
        ])
    return LocatedEntry(
        Entry(kind: .file(FileContent(list)), mode: mode, modified: Timestamp(seconds: seconds, nanoseconds: 0)),
        extents: list.blocks.extents)
}

func directory(at seconds: Int64 = 0, mode: UInt16 = 0o755) -> LocatedEntry {
    LocatedEntry(Entry(kind: .directory, mode: mode, modified: Timestamp(seconds: seconds, nanoseconds: 0)))
}

extension LocatedEntry {
    func with(_ change: (inout Entry) -> Void) -> LocatedEntry {
        var copy = self
        change(&copy.entry)
        return copy
    }
}

func tree(_ files: Files, in store: MemoryNodeStore) throws -> Tree<MemoryNodeStore> {
    let items = try files.map { path, entry in entry.item(at: try TreePath(parsing: path)) }
    return try Tree.build(items.sorted { compareBytes($0.key, $1.key) < 0 }, in: store)
}

func counts(_ files: Files) -> Commit.Counts {
    var counts = Commit.Counts()
    for entry in files.values { counts.add(entry.entry, sign: 1) }
    return counts
}

struct Merged {
    let files: Files
    let conflicts: [Conflict]
}

/// Merges and checks what every merge must keep: the counts, and that current edited gives the result.
func merge(
    base: Files, incoming: Files, current: Files, resolve: (Conflict) -> Resolution? = { _ in nil }
) throws -> Merged {
    let store = MemoryNodeStore()
    let currentTree = try tree(current, in: store)
    let result = try mergeTrees(
        base: tree(base, in: store), incoming: tree(incoming, in: store), current: currentTree,
        currentCounts: counts(current),
        resolve: resolve)
    if !result.conflicts.isEmpty { return Merged(files: [:], conflicts: result.conflicts) }
    var files: Files = [:]
    try currentTree.applying(result.edits).forEach { item in
        files["\(try TreePath(itemKey: item.key))"] = try LocatedEntry(item: item)
        return true
    }
    #expect(result.counts == counts(files), "the counts of the merged tree")
    return Merged(files: files, conflicts: [])
}

@Suite struct MergeTests {
    private let base: Files = ["d": directory(), "d/x": file("x"), "d/y": file("y")]

    private func edited(_ changes: [String: LocatedEntry?]) -> Files {
        var files = base
        for (path, entry) in changes { files[path] = entry }
        return files
    }

    @Test func bothSidesAddFilesToOneDirectory() throws {
        let incoming = edited(["d": directory(at: 5), "d/a": file("a")])
        let current = edited(["d": directory(at: 7), "d/b": file("b")])
        let merged = try merge(base: base, incoming: incoming, current: current)
        #expect(merged.conflicts.isEmpty)
        #expect(merged.files == edited(["d": directory(at: 7), "d/a": file("a"), "d/b": file("b")]))
    }

    @Test func eachFieldComesFromTheSideThatChangedIt() throws {
        let incoming = edited(["d/x": file("new x", at: 9).with { $0.owner = Owner(userID: 1, groupID: 2) }])
        let current = edited(["d/x": file("x", mode: 0o600, at: 4)])
        let wanted = file("new x", mode: 0o600, at: 9).with { $0.owner = Owner(userID: 1, groupID: 2) }
        #expect(try merge(base: base, incoming: incoming, current: current).files["d/x"] == wanted)
        #expect(try merge(base: base, incoming: current, current: incoming).files["d/x"] == wanted)
    }

    @Test func attributesAreMergedOneByOne() throws {
        func with(_ names: [String: UInt8]) -> LocatedEntry {
            file("x").with { entry in
                entry.attributes = names.sorted { $0.key < $1.key }.map {
                    ExtendedAttribute(name: Array($0.key.utf8), value: [$0.value])
                }
            }
        }
        let base: Files = ["x": with(["a": 1, "b": 1, "c": 1])]
        let merged = try merge(
            base: base, incoming: ["x": with(["a": 2, "b": 1])], current: ["x": with(["a": 1, "b": 1, "c": 1, "n": 3])])
        #expect(merged.files == ["x": with(["a": 2, "b": 1, "n": 3])])
        let conflict = try merge(base: base, incoming: ["x": with(["a": 2])], current: ["x": with(["a": 3])])
        #expect(conflict.conflicts.map(\.reason) == [.attributes])
    }

    @Test(arguments: [
        (file("incoming"), file("current"), ConflictReason.content),
        (file("x", mode: 1), file("x", mode: 2), ConflictReason.mode),
        (
            file("x").with { $0.owner = Owner(userID: 1, groupID: 1) },
            file("x").with { $0.owner = Owner(userID: 2, groupID: 1) }, ConflictReason.owner
        ),
        (
            file("incoming"),
            LocatedEntry(
                Entry(kind: .symlink(target: [1]), mode: 0o777, modified: Timestamp(seconds: 0, nanoseconds: 0))),
            ConflictReason.kind
        ),
    ])
    func bothChangedTheSameFieldIsAConflict(incoming: LocatedEntry, current: LocatedEntry, reason: ConflictReason)
        throws
    {
        let merged = try merge(base: base, incoming: edited(["d/x": incoming]), current: edited(["d/x": current]))
        #expect(merged.conflicts.map(\.reason) == [reason])
        #expect(try merged.conflicts.map(\.path) == [TreePath(parsing: "d/x")])
    }

    @Test func sameChangeOnBothSidesIsNone() throws {
        let changed = edited(["d/x": file("new"), "d/y": nil, "d/z": file("z")])
        #expect(try merge(base: base, incoming: changed, current: changed).files == changed)
    }

    @Test func sameFileAddedWithOtherTimesTakesTheNewer() throws {
        let merged = try merge(
            base: base, incoming: edited(["n": file("n", at: 3)]), current: edited(["n": file("n", at: 8)]))
        #expect(merged.files["n"] == file("n", at: 8))
    }

    @Test func deletedHereAndChangedThereIsAConflict() throws {
        let one = try merge(base: base, incoming: edited(["d/x": nil]), current: edited(["d/x": file("new")]))
        #expect(one.conflicts.map(\.reason) == [.deletedByIncoming])
        let other = try merge(base: base, incoming: edited(["d/x": file("new")]), current: edited(["d/x": nil]))
        #expect(other.conflicts.map(\.reason) == [.deletedByCurrent])
    }

    /// "Here" is the side of whoever reads it: the destination of a merge, the workspace of a commit.
    @Test func wordsOfADeletionSayWhichSideDeleted() {
        #expect(ConflictReason.deletedByCurrent.words(from: .current) == "deleted here, changed there")
        #expect(ConflictReason.deletedByCurrent.words(from: .incoming) == "changed here, deleted there")
        #expect(ConflictReason.deletedByIncoming.words(from: .current) == "changed here, deleted there")
        #expect(ConflictReason.deletedByIncoming.words(from: .incoming) == "deleted here, changed there")
        #expect(ConflictReason.content.words(from: .current) == "content")
    }

    /// As in git: the directory comes back for what was added, and only for that.
    @Test func directoryDeletedOnOneSideStaysForWhatTheOtherAdded() throws {
        let gone: Files = [:]
        let added = edited(["d": directory(at: 9), "d/new": file("new")])
        let wanted: Files = ["d": directory(at: 9), "d/new": file("new")]
        #expect(try merge(base: base, incoming: gone, current: added).files == wanted)
        #expect(try merge(base: base, incoming: added, current: gone).files == wanted)
    }

    @Test func directoryStaysForWhatWasAddedDeepBelow() throws {
        let added = edited(["d/e": directory(), "d/e/f": directory(), "d/e/f/new": file("new")])
        let wanted: Files = ["d": directory(), "d/e": directory(), "d/e/f": directory(), "d/e/f/new": file("new")]
        #expect(try merge(base: base, incoming: [:], current: added).files == wanted)
        #expect(try merge(base: base, incoming: added, current: [:]).files == wanted)
    }

    @Test func directoryDeletedHereAndOnlyTouchedThereIsGone() throws {
        #expect(try merge(base: base, incoming: [:], current: edited(["d": directory(at: 9)])).files.isEmpty)
        #expect(try merge(base: base, incoming: edited(["d": directory(at: 9)]), current: [:]).files.isEmpty)
    }

    @Test func directoryThatBecameAFileConflictsWithWhatWasAddedToIt() throws {
        let replaced: Files = ["d": file("a file")]
        let added = edited(["d/new": file("new")])
        #expect(try !merge(base: base, incoming: replaced, current: added).conflicts.isEmpty)
        #expect(try !merge(base: base, incoming: added, current: replaced).conflicts.isEmpty)
    }

    @Test(arguments: Resolution.allCases)
    func decisionSettlesADirectoryThatBecameAFile(resolution: Resolution) throws {
        let replaced: Files = ["d": file("a file")]
        let added = edited(["d/new": file("new")])
        for (incoming, current) in [(replaced, added), (added, replaced)] {
            let merged = try merge(base: base, incoming: incoming, current: current) { _ in resolution }
            #expect(merged.conflicts.isEmpty)
            for (path, _) in merged.files {
                guard let parent = try TreePath(parsing: path).parent, !parent.isRoot else { continue }
                #expect(merged.files["\(parent)"]?.entry.isDirectory == true, "\(path) of \(resolution)")
            }
            if resolution == .incoming { #expect(merged.files["d"]?.entry.kind == incoming["d"]?.entry.kind) }
        }
    }

    @Test func fileAndDirectoryOfOneNameConflict() throws {
        let one = try merge(
            base: base, incoming: edited(["n": file("n")]), current: edited(["n": directory(), "n/x": file("x")]))
        #expect(one.conflicts.contains { $0.reason == .kind })
    }

    @Test func resolutionDecides() throws {
        let incoming = edited(["d/x": file("incoming"), "d/y": nil])
        let current = edited(["d/x": file("current"), "d/y": file("new y")])
        for (resolution, wanted) in [(Resolution.incoming, incoming), (.current, current), (.base, base)] {
            #expect(try merge(base: base, incoming: incoming, current: current) { _ in resolution }.files == wanted)
        }
    }

    @Test func conflictCarriesAllThreeSides() throws {
        let merged = try merge(base: base, incoming: edited(["d/x": file("1")]), current: edited(["d/x": file("2")]))
        let conflict = try #require(merged.conflicts.first)
        #expect(conflict.base == file("x") && conflict.incoming == file("1") && conflict.current == file("2"))
    }

    /// Two sets of edits that share no path give exactly the union, whichever way round.
    @Test(arguments: 1...10 as ClosedRange<UInt64>)
    func disjointEditsGiveTheUnion(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var base: Files = [:]
        for directoryNumber in 0..<20 {
            base["d\(directoryNumber)"] = directory()
            for number in 0..<40 { base["d\(directoryNumber)/\(number)"] = file("\(directoryNumber) \(number)") }
        }
        var (left, right, both) = (base, base, base)
        for step in 0..<(1 + random.below(150)) {
            let number = random.below(20)
            let path = "d\(number)/\(random.oneIn(2) ? "\(random.below(40))" : "new\(random.below(40))")"
            guard left[path] == base[path], right[path] == base[path] else { continue }
            let entry = random.oneIn(3) ? nil : file("edit \(step)", at: Int64(step))
            if random.oneIn(2) { left[path] = entry } else { right[path] = entry }
            both[path] = entry
        }
        let one = try merge(base: base, incoming: left, current: right)
        let other = try merge(base: base, incoming: right, current: left)
        #expect(one.conflicts.isEmpty && other.conflicts.isEmpty, "seed \(seed)")
        #expect(one.files == both, "seed \(seed)")
        #expect(other.files == both, "seed \(seed)")
    }
}
