import ProllyTree
import Synchronization
package import Versioning

/// One file that was read.
package struct FileRead: Hashable, Sendable {
    package let path: TreePath
    package let contentID: ContentID
    package let sizeBytes: UInt64
    /// The bytes that the kernel fetched (its read-ahead among them); empty when ranges are not kept.
    package let ranges: [Range<UInt64>]
}

/// Notes which files of a mount were read. The kernel asks for every byte of a new mount at least once before a program
/// sees it, so nothing that was read is missing.
package final class ReadRecorder: Sendable {
    private let keepsRanges: Bool
    private let reads = Mutex<[UInt64: [Range<UInt64>]]>([:])

    package init(keepsRanges: Bool) {
        self.keepsRanges = keepsRanges
    }

    /// - Parameter rank: the file's rank in the commit's tree.
    func note(_ rank: UInt64, from offset: UInt64, count: Int) {
        let range = offset..<offset + UInt64(count)
        reads.withLock { reads in
            guard keepsRanges, count > 0 else {
                if reads[rank] == nil { reads[rank] = [] }
                return
            }
            reads[rank, default: []].insertMerging(range)
        }
    }

    /// In ascending order of ranks.
    func ranks() -> [(rank: UInt64, ranges: [Range<UInt64>])] {
        reads.withLock { reads in reads.map { (rank: $0.key, ranges: $0.value) } }.sorted { $0.rank < $1.rank }
    }
}

extension [Range<UInt64>] {
    /// Adds a range to ascending ranges that do not touch, and joins those that then would.
    fileprivate mutating func insertMerging(_ range: Range<UInt64>) {
        if let last, last.upperBound >= range.lowerBound, last.lowerBound <= range.lowerBound {
            self[count - 1] = last.lowerBound..<Swift.max(last.upperBound, range.upperBound)
            return
        }
        let first = firstIndex { $0.upperBound >= range.lowerBound } ?? count
        var end = first
        var joined = range
        while end < count, self[end].lowerBound <= range.upperBound {
            joined =
                Swift.min(joined.lowerBound, self[end].lowerBound)..<Swift.max(joined.upperBound, self[end].upperBound)
            end += 1
        }
        replaceSubrange(first..<end, with: [joined])
    }
}
