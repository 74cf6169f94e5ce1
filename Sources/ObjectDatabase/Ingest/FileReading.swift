import BlockingIO
import Glibc
import Versioning

/// Where a file's bytes come from when it is cut into blocks.
package protocol ByteSource {
    var sizeBytes: UInt64 { get }
    /// Fills `buffer` from `offset`; `offset + buffer.count` ≤ `sizeBytes`.
    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws
    /// The length of the run of zeros known to begin at `offset` (a hole of a sparse file); 0 when there is none.
    func holeLength(at offset: UInt64) -> UInt64
    /// Bytes, at least one, that will be read soon: a source that has to wait for them may begin to fetch them. Does not block for long.
    func prefetch(_ range: Range<UInt64>)
}

extension ByteSource {
    package func prefetch(_ range: Range<UInt64>) {}
}

/// `SEEK_DATA` of lseek(2), which Glibc's header hides behind _GNU_SOURCE.
private let seekData: Int32 = 3

/// An open local file.
package struct SourceFile: ByteSource {
    package let descriptor: Int32
    package let path: [UInt8]
    package let sizeBytes: UInt64

    package func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws {
        try readWhole(descriptor, at: offset, into: buffer, path: path)
    }

    package func prefetch(_ range: Range<UInt64>) {
        _ = posix_fadvise(descriptor, off_t(range.lowerBound), off_t(range.count), POSIX_FADV_WILLNEED)
    }

    package func holeLength(at offset: UInt64) -> UInt64 {
        let data = lseek(descriptor, off_t(offset), seekData)
        if data >= 0 { return UInt64(data) - offset }
        return lastErrno() == ENXIO && offset < sizeBytes ? sizeBytes - offset : 0
    }
}

/// Fills `buffer` from a file, or throws: in words when the file has become shorter.
package func readWhole(
    _ descriptor: Int32, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer, path: [UInt8]
) throws {
    let count: Int
    do throws(Errno) {
        count = try readFully(descriptor, at: offset, into: buffer)
    } catch {
        throw ObjectDatabaseError.localIO(path: printableName(path), errno: error.code)
    }
    guard count == buffer.count else {
        throw ObjectDatabaseError.sourceUnusable(
            path: printableName(path), reason: "it became shorter while it was read")
    }
}

/// Twice the largest block.
private let windowBytes = 8 << 20

/// Cuts `source` from `start` into blocks and hands each one's bytes to `body` (`nil` for zeros of that length that
/// need not be read), until `body` answers false or the end. Holds windows of up to 8 MiB: those in which there are
/// blocks that the caller still holds, and at most six.
///
/// - Parameter stepBytes: how much is read at once. Few bytes where reading is dear and `body` will soon have enough: no
///   more than a step past a cut is read then.
package func cutBlocks(
    _ source: some ByteSource, from start: UInt64 = 0, stepBytes: Int = windowBytes,
    _ body: (_ offset: UInt64, _ length: Int, BlockBytes?) throws -> Bool
) throws {
    let capacity = Int(min(UInt64(windowBytes), max(source.sizeBytes - start, 1)))
    var windows = Windows(byteCount: capacity)
    var offset = start
    // Bytes `begin ..< end` of the current window are file bytes from `offset` on.
    var begin = 0
    var end = 0
    while offset < source.sizeBytes {
        if begin == end, source.sizeBytes - offset >= UInt64(Chunker.maximumBytes),
            source.holeLength(at: offset) >= UInt64(Chunker.maximumBytes)
        {
            // The gear hash of zeros never cuts, so a block that begins in a long enough hole is of the largest size.
            if try !body(offset, Chunker.maximumBytes, nil) { return }
            offset += UInt64(Chunker.maximumBytes)
            continue
        }
        let rest = source.sizeBytes - offset
        let needed = Int(min(UInt64(Chunker.maximumBytes), rest))
        var length =
            end - begin >= min(stepBytes, needed)
            ? windows.current.cut(begin..<end) : 0
        // A cut at the end of what is there is one only when no more could belong to the block.
        while end - begin < needed, length == end - begin || length == 0 {
            let unread = rest - UInt64(end - begin)
            if begin > 0, UInt64(capacity - end) < min(UInt64(stepBytes), unread) {
                windows.turn(keeping: begin..<end)
                end -= begin
                begin = 0
            }
            let wanted = Int(min(UInt64(min(capacity - end, stepBytes)), unread))
            let free = UnsafeMutableRawBufferPointer(rebasing: windows.current.bytes[end..<end + wanted])
            let position = source.sizeBytes - unread
            try source.read(at: position, into: free)
            end += wanted
            let next = position + UInt64(wanted)
            if next < source.sizeBytes { source.prefetch(next..<min(next + UInt64(stepBytes), source.sizeBytes)) }
            length = windows.current.cut(begin..<end)
        }
        if try !body(offset, length, BlockBytes(windows.current, begin..<begin + length)) { return }
        begin += length
        offset += UInt64(length)
    }
}

extension Window {
    /// The length of the block that begins these bytes.
    fileprivate func cut(_ range: Range<Int>) -> Int {
        Chunker.cut(UnsafeRawBufferPointer(rebasing: bytes[range]))
    }
}
