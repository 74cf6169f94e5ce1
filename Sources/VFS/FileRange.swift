/// A place in a file, or in a listing of a directory: 0 ... 2^63 - 1, as off_t has them. Whoever makes one checks it, so
/// that no arithmetic behind it can overflow.
package struct FileOffset: Hashable, Comparable, Sendable {
    package let value: UInt64

    package static let zero = FileOffset(value: 0)
    package static let maximum = FileOffset(value: UInt64(Int64.max))

    private init(value: UInt64) {
        self.value = value
    }

    /// Throws `.invalidArgument` for a negative one.
    package init(_ raw: Int64) throws(VFSError) {
        guard raw >= 0 else { throw .invalidArgument }
        self.init(value: UInt64(raw))
    }

    /// Throws `.fileTooLarge` for one that no file reaches.
    package init(within value: UInt64) throws(VFSError) {
        guard value <= Self.maximum.value else { throw .fileTooLarge }
        self.init(value: value)
    }

    package static func < (left: Self, right: Self) -> Bool { left.value < right.value }
}

/// Bytes of a file, from `start` up to `end`, which is no more than 2^63 - 1.
package struct FileRange: Hashable, Sendable {
    package let start: UInt64
    package let end: UInt64

    package var count: UInt64 { end - start }
    package var isEmpty: Bool { start == end }

    /// Throws `.fileTooLarge` for bytes that no file reaches.
    package init(from start: FileOffset, count: UInt64) throws(VFSError) {
        let (end, overflow) = start.value.addingReportingOverflow(count)
        guard !overflow, end <= FileOffset.maximum.value else { throw .fileTooLarge }
        self.start = start.value
        self.end = end
    }

    /// As many of `count` bytes as a file can have from `start` on.
    package init(from start: FileOffset, atMost count: UInt64) {
        self.start = start.value
        end = start.value + min(count, FileOffset.maximum.value - start.value)
    }
}
