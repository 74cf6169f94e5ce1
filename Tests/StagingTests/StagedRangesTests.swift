import ProllyTree
import Staging
import TestSupport
import Testing
import Versioning

@Suite struct StagedRangesTests {
    /// Where one byte comes from.
    private struct Byte: Hashable {
        var source: StagedContent.Source
        var from: Int

        static let zero = Byte(source: .zeros, from: 0)
    }

    private static func entry(_ seed: UInt8, sizeBytes: UInt32) -> LocatedEntry {
        let block = BlockReference(id: BlockID(hashing: [seed]), length: sizeBytes)
        return LocatedEntry(
            Entry(
                kind: .file(FileContent(sizeBytes: UInt64(sizeBytes), blocks: .inline([block]))), mode: 0,
                modified: Timestamp(seconds: 0, nanoseconds: 0)))
    }

    /// What decides whether bytes must be on the disk before the log says that they are there.
    @Test func bytesFromBeforeASealACopyOrACommitAreOlder() {
        let (first, second) = (DataFileID(1), DataFileID(2))
        var content = StagedContent()
        content.writeTarget = first
        content.wrote(start: 0, end: 100, data: first)
        #expect(!content.mayCoverOlderBytes(saved: StagedRanges()))
        let saved = content.ranges
        #expect(!content.mayCoverOlderBytes(saved: saved))
        #expect(content.mayCoverOlderBytes(saved: nil))
        content.writeTarget = second
        content.wrote(start: 50, end: 60, data: second)
        #expect(content.mayCoverOlderBytes(saved: saved))
        // All of them are covered, but the disk still has them.
        content.wrote(start: 0, end: 100, data: second)
        #expect(content.mayCoverOlderBytes(saved: saved) && !content.mayCoverOlderBytes(saved: content.ranges))
        var cloned = StagedContent()
        cloned.writeTarget = first
        cloned.ranges.insert(StagedRanges.Range(start: 0, end: 9, source: .cloned(ClonedEntryID(1)), from: 0))
        #expect(cloned.mayCoverOlderBytes(saved: StagedRanges()))
        #expect(StagedContent(base: Self.entry(1, sizeBytes: 9)).mayCoverOlderBytes(saved: StagedRanges()))
    }

    private static func bytes(_ content: StagedContent) -> [Byte] {
        var bytes: [Byte] = []
        for piece in content.pieces(from: 0, to: content.sizeBytes) {
            let start = bytes.count
            for offset in start..<Int(piece.end) {
                bytes.append(
                    piece.source == .zeros
                        ? .zero : Byte(source: piece.source, from: Int(piece.from) + offset - start))
            }
        }
        return bytes
    }

    /// Ascending, apart or not to be joined, not empty.
    private func check(_ ranges: StagedRanges, _ words: Comment) {
        #expect(ranges.ranges.allSatisfy { $0.start < $0.end }, words)
        for (left, right) in zip(ranges.ranges, ranges.ranges.dropFirst()) {
            let goesOn = left.source == .zeros || left.from + (left.end - left.start) == right.from
            #expect(
                left.end < right.start || (left.end == right.start && !(left.source == right.source && goesOn)), words)
        }
    }

    /// Two files with the same base: written to, cut, punched, and cloned from each other and themselves.
    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func contentAgreesWithAnArrayOfBytes(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let base = Self.entry(1, sizeBytes: 100)
        var contents = [StagedContent(base: base), StagedContent(base: Self.entry(2, sizeBytes: 80)), StagedContent()]
        var models = contents.map(Self.bytes)
        var clones: [LocatedEntry] = []
        for step in 0..<300 {
            let words: Comment = "seed \(seed), step \(step)"
            let file = random.below(3)
            let (start, count) = (random.below(250), 1 + random.below(40))
            switch random.below(10) {
            case 0:
                contents[file].resize(to: UInt64(start))
                models[file] = Self.resized(models[file], start)
            case 1, 2:
                contents[file].punch(start: UInt64(start), end: UInt64(start + count))
                for index in start..<max(start, min(start + count, models[file].count)) { models[file][index] = .zero }
            case 3, 4, 5:
                let source = random.below(3)
                let target = random.oneIn(2) ? start : random.below(250)
                guard start < contents[source].sizeBytes else { continue }
                let end = min(start + count * 3, Int(contents[source].sizeBytes))
                let clone = RangeClone(of: contents[source], from: UInt64(start), to: UInt64(end), at: UInt64(target))
                let copied = models[source][start..<end].map { byte in
                    byte.source == .base ? Byte(source: .base, from: byte.from) : byte
                }
                let owner = contents[source].base
                try clone.apply(to: &contents[file]) { entry in
                    clones.append(entry)
                    return ClonedEntryID(Int64(clones.count))
                }
                models[file] = Self.resized(models[file], max(models[file].count, target + copied.count))
                for (index, byte) in copied.enumerated() { models[file][target + index] = byte }
                try expectSame(contents[file], &models[file], clones, base: owner, words)
            default:
                let data = Int64(1 + random.below(3) + 10 * file)
                contents[file].wrote(start: UInt64(start), end: UInt64(start + count), data: DataFileID(data))
                models[file] = Self.resized(models[file], max(models[file].count, start + count))
                for index in start..<start + count {
                    models[file][index] = Byte(source: .data(DataFileID(data)), from: index)
                }
            }
            #expect(Self.bytes(contents[file]) == models[file], words)
            check(contents[file].ranges, words)
        }
    }

    /// A byte of the source's base may show as the target's own base or as a clone of that entry: both are taken, and
    /// the model follows.
    private func expectSame(
        _ content: StagedContent, _ model: inout [Byte], _ clones: [LocatedEntry], base: LocatedEntry?, _ words: Comment
    ) throws {
        let found = Self.bytes(content)
        try #require(found.count == model.count, words)
        for index in model.indices where found[index] != model[index] {
            func entry(_ byte: Byte) -> LocatedEntry? {
                switch byte.source {
                case .base: content.base
                case .cloned(let id): clones[Int(id.value) - 1]
                case .data, .zeros: nil
                }
            }
            let expected = model[index].source == .base ? base : entry(model[index])
            #expect(entry(found[index]) == expected && expected != nil, words)
            #expect(found[index].from == model[index].from, words)
            model[index] = found[index]
        }
        // What the target's own base shows must be the target's.
        for (index, byte) in found.enumerated() where byte.source == .base {
            #expect(model[index].from == byte.from, words)
        }
    }

    private static func resized(_ model: [Byte], _ size: Int) -> [Byte] {
        Array(model.prefix(size)) + [Byte](repeating: .zero, count: max(0, size - model.count))
    }

    @Test func copyOfAWholeCommittedFileIsThatFileUnchanged() throws {
        let base = Self.entry(1, sizeBytes: 100)
        var copy = StagedContent()
        for (start, end) in [(0, 60), (60, 100)] as [(UInt64, UInt64)] {
            try RangeClone(of: StagedContent(base: base), from: start, to: end, at: start).apply(to: &copy) { _ in
                Issue.record("nothing needs to be noted")
                return ClonedEntryID(1)
            }
        }
        #expect(copy.wholeBase == base)
    }

    @Test func fileCutAndExtendedToItsOldSizeIsChanged() {
        var content = StagedContent(base: Self.entry(1, sizeBytes: 10))
        content.resize(to: 4)
        content.resize(to: 10)
        #expect(content.wholeBase == nil)
        #expect(content.source(at: 3).source == .base)
        #expect(content.source(at: 4).source == .zeros)
    }
}
