import ProllyTree
import Staging
import TestSupport
import Testing
import Versioning

@Suite struct StagedRangesTests {
    /// For each byte which data file holds it, 0 for none.
    private func bytes(_ ranges: StagedRanges, _ size: Int) -> [Int64] {
        var bytes = [Int64](repeating: 0, count: size)
        for range in ranges.ranges { for index in range.start..<range.end { bytes[Int(index)] = range.data.value } }
        return bytes
    }

    @Test(arguments: 1...10 as ClosedRange<UInt64>)
    func rangesAgreeWithAnArrayOfBytes(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var ranges = StagedRanges()
        var model = [Int64](repeating: 0, count: 300)
        for step in 0..<400 {
            if random.oneIn(9) {
                let size = random.below(300)
                ranges.truncate(to: UInt64(size))
                for index in size..<300 { model[index] = 0 }
            } else {
                let start = random.below(300)
                let end = min(300, start + random.below(random.oneIn(3) ? 200 : 12))
                let data = Int64(1 + random.below(4))
                ranges.insert(start: UInt64(start), end: UInt64(end), data: DataFileID(data))
                for index in start..<end { model[index] = data }
            }
            #expect(bytes(ranges, 300) == model, "seed \(seed), step \(step)")
            check(ranges, model, "seed \(seed), step \(step)")
        }
    }

    /// Ascending, apart or of different data, not empty; and found by offset.
    private func check(_ ranges: StagedRanges, _ model: [Int64], _ words: Comment) {
        #expect(ranges.ranges.allSatisfy { $0.start < $0.end }, words)
        for (left, right) in zip(ranges.ranges, ranges.ranges.dropFirst()) {
            #expect(left.end < right.start || (left.end == right.start && left.data != right.data), words)
        }
        for offset in stride(from: 0, to: 300, by: 37) {
            let next = model[offset...].firstIndex { $0 != 0 }
            let found = ranges.range(atOrAfter: UInt64(offset))
            #expect(found.map { max(Int($0.start), offset) } == next, words)
        }
    }

    @Test(arguments: 1...10 as ClosedRange<UInt64>)
    func contentAgreesWithAnArrayOfBytes(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let block = BlockReference(id: BlockID(hashing: [1]), length: 100)
        let base = LocatedEntry(
            Entry(
                kind: .file(FileContent(sizeBytes: 100, blocks: .inline([block]))), mode: 0,
                modified: Timestamp(seconds: 0, nanoseconds: 0)))
        var content = StagedContent(base: base)
        #expect(content.isUnchanged)
        // -1: the base's byte, 0: zero, else the data file's.
        var model = [Int64](repeating: -1, count: 100)
        for step in 0..<200 {
            if random.oneIn(4) {
                let size = random.below(250)
                content.resize(to: UInt64(size))
                model = Array(model.prefix(size)) + [Int64](repeating: 0, count: max(0, size - model.count))
            } else {
                let (start, count) = (random.below(250), 1 + random.below(40))
                let data = Int64(1 + random.below(3))
                content.wrote(start: UInt64(start), end: UInt64(start + count), data: DataFileID(data))
                model += [Int64](repeating: 0, count: max(0, start + count - model.count))
                for index in start..<start + count { model[index] = data }
            }
            #expect(Int(content.sizeBytes) == model.count, "seed \(seed), step \(step)")
            for offset in model.indices {
                let (source, end) = content.source(at: UInt64(offset))
                let value: Int64 =
                    switch source {
                    case .base: -1
                    case .zeros: 0
                    case .data(let data): data.value
                    }
                #expect(
                    value == model[offset] && end > offset && Int(end) <= model.count,
                    "seed \(seed), step \(step), byte \(offset)")
            }
        }
    }

    @Test func fileCutAndExtendedToItsOldSizeIsChanged() {
        let block = BlockReference(id: BlockID(hashing: [1]), length: 10)
        let base = LocatedEntry(
            Entry(
                kind: .file(FileContent(sizeBytes: 10, blocks: .inline([block]))), mode: 0,
                modified: Timestamp(seconds: 0, nanoseconds: 0)))
        var content = StagedContent(base: base)
        content.resize(to: 4)
        content.resize(to: 10)
        #expect(!content.isUnchanged)
        #expect(content.source(at: 3).source == .base)
        #expect(content.source(at: 4).source == .zeros)
    }
}
