import Algorithms

/// A file of a known reading order.
package struct OrderedFile: Hashable, Sendable {
    /// The entry's rank in its tree.
    package let rank: UInt64
    package let sizeBytes: UInt64

    package init(rank: UInt64, sizeBytes: UInt64) {
        self.rank = rank
        self.sizeBytes = sizeBytes
    }
}

/// How far a reader has come in an order of files, and what of it to fetch next: the bytes up to `aheadBytes` past the
/// farthest read. A pure value: no clock, thread or file.
///
/// The order is one line of bytes, file after file. Reads a little behind the farthest are of readers side by side and
/// change nothing. Reads elsewhere move the window there when several in a row agree: that is a new epoch (back to the
/// start), or a reader that skips.
package struct ReadPlanWindow: Sendable {
    /// Bytes past the farthest read that are to be local.
    package let aheadBytes: UInt64
    private let files: [OrderedFile]
    /// `starts[i]` is where file i begins in the order; one more element than files, the last being the total.
    private let starts: [UInt64]
    /// Places in the order, by rank and then by index.
    private let indicesByRank: [UInt32]
    /// The end of the farthest read.
    package private(set) var position: UInt64 = 0
    /// What lies before was handed out by `next`.
    package private(set) var fetchedTo: UInt64 = 0
    private var stepBytes: UInt64
    private var elsewhere: (position: UInt64, reads: Int)?

    /// The most files of an order. Each takes 28 bytes.
    package static let maximumFiles = 16 << 20
    /// So many reads in one other index move the window there.
    package static let readsToMove = 4
    private static let firstStepShare: UInt64 = 32
    private static let largestStepShare: UInt64 = 4

    /// - Parameter files: at most `maximumFiles`; those without bytes are left out.
    /// - Parameter aheadBytes: at least 1.
    package init(_ files: [OrderedFile], aheadBytes: UInt64) {
        precondition(files.count <= Self.maximumFiles && aheadBytes > 0, "an order has a size that fits")
        let files = files.filter { $0.sizeBytes > 0 }
        self.files = files
        self.aheadBytes = aheadBytes
        var starts: [UInt64] = [0]
        starts.reserveCapacity(files.count + 1)
        for file in files { starts.append(starts[starts.count - 1].addingCapped(file.sizeBytes)) }
        self.starts = starts
        stepBytes = Self.firstStep(aheadBytes, of: starts[starts.count - 1])
        indicesByRank = (0..<UInt32(files.count)).sorted {
            (files[Int($0)].rank, $0) < (files[Int($1)].rank, $1)
        }
    }

    package var totalBytes: UInt64 { starts[starts.count - 1] }

    private static func firstStep(_ aheadBytes: UInt64, of totalBytes: UInt64) -> UInt64 {
        max(1, min(aheadBytes, totalBytes) / firstStepShare)
    }

    // MARK: What to fetch

    /// Whether `next` has something.
    package var hasNext: Bool {
        let end = min(totalBytes, position.addingCapped(aheadBytes))
        return fetchedTo < end && (end == totalBytes || end - fetchedTo >= stepBytes)
    }

    /// The next bytes of the order to fetch; `nil` while enough is fetched. Steps grow from a 32nd of the look-ahead,
    /// so that a reader soon has something, to a quarter, so that blocks of one pack are found together. An order that
    /// fits the look-ahead is two steps.
    package mutating func next() -> Range<UInt64>? {
        guard hasNext else { return nil }
        let end = min(totalBytes, position.addingCapped(aheadBytes), fetchedTo.addingCapped(stepBytes))
        defer {
            fetchedTo = end
            stepBytes =
                totalBytes <= aheadBytes
                ? max(1, totalBytes)
                : max(stepBytes, min(stepBytes.addingCapped(stepBytes), aheadBytes / Self.largestStepShare))
        }
        return fetchedTo..<end
    }

    /// The parts of files that these bytes of the order are.
    package func parts(of range: Range<UInt64>) -> [(file: OrderedFile, within: Range<UInt64>)] {
        var parts: [(OrderedFile, Range<UInt64>)] = []
        var index = self.index(at: range.lowerBound)
        while index < files.count, starts[index] < range.upperBound {
            let from = max(range.lowerBound, starts[index]) - starts[index]
            let to = min(range.upperBound, starts[index + 1]) - starts[index]
            if from < to { parts.append((files[index], from..<to)) }
            index += 1
        }
        return parts
    }

    /// The file that holds this byte of the order.
    private func index(at byte: UInt64) -> Int {
        max(0, starts.prefix(files.count).partitioningIndex { $0 > byte } - 1)
    }

    // MARK: Where the reader is

    /// A file was read. One that is not in the order says nothing.
    package mutating func noteRead(_ rank: UInt64, from offset: UInt64, count: UInt64) {
        guard let index = indexRead(rank) else { return }
        let at = starts[index].addingCapped(min(offset, files[index].sizeBytes))
        let end = min(at.addingCapped(count), starts[index + 1])
        if end > position, at <= fetchedTo {
            position = end
        } else if at > fetchedTo || position - at > min(aheadBytes, totalBytes) / 2 {
            noteElsewhere(at, end)
        }
    }

    /// The index of the file with a rank: of several the first that the reader has not passed, or else the last.
    private func indexRead(_ rank: UInt64) -> Int? {
        var low = indicesByRank.partitioningIndex { files[Int($0)].rank >= rank }
        var found: Int?
        // A file that stands in the order many times costs so many steps.
        while low < indicesByRank.count, files[Int(indicesByRank[low])].rank == rank {
            found = Int(indicesByRank[low])
            if let found, starts[found + 1] > position { break }
            low += 1
        }
        return found
    }

    private mutating func noteElsewhere(_ at: UInt64, _ end: UInt64) {
        let near = min(aheadBytes, totalBytes) / 2
        if let last = elsewhere, max(at, last.position) - min(at, last.position) <= near {
            elsewhere = (max(last.position, end), last.reads + 1)
        } else {
            elsewhere = (end, 1)
        }
        guard let agreed = elsewhere, agreed.reads >= Self.readsToMove else { return }
        elsewhere = nil
        position = agreed.position
        fetchedTo = agreed.position
        stepBytes = Self.firstStep(aheadBytes, of: totalBytes)
    }
}

extension UInt64 {
    /// The sum, or the largest number there is.
    fileprivate func addingCapped(_ other: UInt64) -> UInt64 {
        let (sum, isOver) = addingReportingOverflow(other)
        return isOver ? .max : sum
    }
}
