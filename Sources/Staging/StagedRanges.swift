import Algorithms

/// Which byte ranges of a file are staged, and where the bytes of each lie. Ascending, not overlapping, not empty;
/// neighbours that go on in the same source are joined.
package struct StagedRanges: Hashable, Sendable {
    package enum Source: Hashable, Sendable {
        /// A hole over whatever the base has.
        case zeros
        case data(DataFileID)
        /// Bytes of a committed file, cloned without being read.
        case cloned(ClonedEntryID)
    }

    package struct Range: Hashable, Sendable {
        package var start: UInt64
        package var end: UInt64
        package var source: Source
        /// Where in the source the byte at `start` lies. Written bytes lie at the same offset as in the file.
        package var from: UInt64

        package init(start: UInt64, end: UInt64, source: Source, from: UInt64) {
            self.start = start
            self.end = end
            self.source = source
            self.from = from
        }

        /// The part of it within `start ..< end`; `nil` when there is none.
        package func clipped(_ start: UInt64, _ end: UInt64) -> Range? {
            let (low, high) = (max(start, self.start), min(end, self.end))
            return low < high ? Range(start: low, end: high, source: source, from: from + (low - self.start)) : nil
        }

        fileprivate func isContinued(by next: Range) -> Bool {
            end == next.start && source == next.source && (source == .zeros || from + (end - start) == next.from)
        }
    }

    package private(set) var ranges: [Range] = []

    package init() {}

    /// - Precondition: ascending and not overlapping.
    package init(_ ranges: [Range]) {
        self.ranges = ranges
    }

    package var isEmpty: Bool { ranges.isEmpty }

    /// The data files that ranges refer to.
    package var dataFiles: Set<DataFileID> {
        Set(
            ranges.compactMap { range in
                if case .data(let data) = range.source { return data }
                return nil
            })
    }

    /// Whether no bytes lie elsewhere than in `data`.
    func isOnly(in data: DataFileID?) -> Bool {
        ranges.allSatisfy { range in
            switch range.source {
            case .zeros: true
            case .data(let source): source == data
            case .cloned: false
            }
        }
    }

    /// Says that bytes `start ..< end` were written to `data`, whatever they were before.
    package mutating func insert(start: UInt64, end: UInt64, data: DataFileID) {
        insert(Range(start: start, end: end, source: .data(data), from: start))
    }

    /// Says where the bytes of a range lie now, whatever they were before.
    package mutating func insert(_ range: Range) {
        guard range.start < range.end else { return }
        // Appending and rewriting the newest range are the common cases.
        if let last = ranges.last, last.source == range.source, last.start <= range.start, range.start <= last.end,
            range.from &- range.start == last.from &- last.start
        {
            ranges[ranges.count - 1].end = max(last.end, range.end)
            return
        }
        let first = index(endingAfter: range.start)
        var next = first
        var replacement: [Range] = []
        if next < ranges.count, let left = ranges[next].clipped(0, range.start) { replacement.append(left) }
        replacement.append(range)
        while next < ranges.count, ranges[next].start < range.end {
            if let right = ranges[next].clipped(range.end, .max) { replacement.append(right) }
            next += 1
        }
        ranges.replaceSubrange(first..<next, with: replacement)
        join(around: first, count: replacement.count)
    }

    /// Forgets everything from `size` on.
    package mutating func truncate(to size: UInt64) {
        while let last = ranges.last, last.end > size {
            if last.start < size {
                ranges[ranges.count - 1].end = size
            } else {
                ranges.removeLast()
            }
        }
    }

    /// The first range that ends after `offset`: it holds the offset or is the next one.
    package func range(atOrAfter offset: UInt64) -> Range? {
        let index = index(endingAfter: offset)
        return index < ranges.count ? ranges[index] : nil
    }

    private func index(endingAfter offset: UInt64) -> Int {
        ranges.partitioningIndex { $0.end > offset }
    }

    /// Joins neighbours among the ranges `first - 1 ... first + count`.
    private mutating func join(around first: Int, count: Int) {
        for index in stride(from: min(first + count, ranges.count - 1), to: max(first - 1, 0), by: -1)
        where ranges[index - 1].isContinued(by: ranges[index]) {
            ranges[index - 1].end = ranges[index].end
            ranges.remove(at: index)
        }
    }
}
