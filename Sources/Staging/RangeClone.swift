package import Versioning

/// A byte range of one file that is to show in another, without being moved.
package struct RangeClone {
    /// What the source file is; its bytes `start ..< end` are to lie at `target`.
    package let content: StagedContent
    package let start: UInt64
    package let end: UInt64
    package let target: UInt64

    /// - Precondition: `start` < `end` ≤ the size of `content`.
    package init(of content: StagedContent, from start: UInt64, to end: UInt64, at target: UInt64) {
        precondition(start < end && end <= content.sizeBytes, "a range within the file")
        self.content = content
        self.start = start
        self.end = end
        self.target = target
    }

    /// Whether written bytes of the source are to show in both files.
    package var sharesData: Bool {
        content.pieces(from: start, to: end).contains { piece in
            if case .data = piece.source { return true }
            return false
        }
    }

    /// - Parameter cloneEntry: notes a committed entry that ranges are to show.
    package func apply(to other: inout StagedContent, cloneEntry: (LocatedEntry) throws -> ClonedEntryID) throws {
        let shared = shareBase(with: &other)
        var known: [LocatedEntry: ClonedEntryID] = [:]
        var position = start
        for piece in content.pieces(from: start, to: end) {
            let at = target + (position - start)
            let to = target + (piece.end - start)
            defer { position = piece.end }
            let source: StagedRanges.Source
            switch piece.source {
            case .zeros: source = .zeros
            case .data(let data): source = .data(data)
            case .cloned(let id):
                source = .cloned(id)
                other.cloned[id] = content.cloned[id]
            case .base:
                if shared.contains(at), shared.upperBound >= to { continue }
                guard let base = content.base else { preconditionFailure("a base piece has a base") }
                let id = try known[base] ?? cloneEntry(base)
                known[base] = id
                other.cloned[id] = base
                source = .cloned(id)
            }
            other.ranges.insert(StagedRanges.Range(start: at, end: to, source: source, from: piece.from))
            other.sizeBytes = max(other.sizeBytes, to)
        }
    }

    /// A copy of a whole committed file, piece by piece from its beginning, has that file as its own base: committing it
    /// takes the blocks over unread. Answers the range that the base now shows by itself.
    private func shareBase(with other: inout StagedContent) -> Range<UInt64> {
        guard let base = content.base, start == target, start < content.baseLimit else { return 0..<0 }
        let begins = other.base == nil && other.sizeBytes == 0 && start == 0
        let goesOn = other.base == base && other.baseLimit == start && other.sizeBytes == start
        guard begins || goesOn else { return 0..<0 }
        other.base = base
        other.baseLimit = min(end, content.baseLimit)
        other.sizeBytes = other.baseLimit
        return start..<other.baseLimit
    }
}
