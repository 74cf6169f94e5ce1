/// Which byte ranges of a file are staged, and in which data file each lies (at the same offset as in the file).
/// Ascending, not overlapping, not empty; neighbours of one data file are joined.
package struct StagedRanges: Hashable, Sendable {
    package struct Range: Hashable, Sendable {
        package var start: UInt64
        package var end: UInt64
        package var data: DataFileID

        package init(start: UInt64, end: UInt64, data: DataFileID) {
            self.start = start
            self.end = end
            self.data = data
        }
    }

    package private(set) var ranges: [Range] = []

    package init() {}

    /// - Precondition: ascending and not overlapping.
    package init(_ ranges: [Range]) {
        self.ranges = ranges
    }

    package var isEmpty: Bool { ranges.isEmpty }

    /// Says that bytes `start ..< end` now lie in `data`, whatever they were before.
    package mutating func insert(start: UInt64, end: UInt64, data: DataFileID) {
        guard start < end else { return }
        // Appending and rewriting the newest range are the common cases.
        if let last = ranges.last, last.data == data, last.start <= start, start <= last.end {
            ranges[ranges.count - 1].end = max(last.end, end)
            return
        }
        let first = index(endingAfter: start)
        var replacement: [Range] = []
        var next = first
        if next < ranges.count, ranges[next].start < start {
            replacement.append(Range(start: ranges[next].start, end: start, data: ranges[next].data))
        }
        replacement.append(Range(start: start, end: end, data: data))
        while next < ranges.count, ranges[next].start < end {
            if ranges[next].end > end {
                replacement.append(Range(start: end, end: ranges[next].end, data: ranges[next].data))
            }
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
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].end <= offset { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Joins neighbours among the ranges `first - 1 ... first + count`.
    private mutating func join(around first: Int, count: Int) {
        for index in stride(from: min(first + count, ranges.count - 1), to: max(first - 1, 0), by: -1) {
            let (left, right) = (ranges[index - 1], ranges[index])
            if left.data == right.data, left.end == right.start {
                ranges[index - 1].end = right.end
                ranges.remove(at: index)
            }
        }
    }
}
