import Glibc
import Versioning

/// Where a file's bytes come from when it is cut into blocks.
protocol ByteSource {
    var sizeBytes: UInt64 { get }
    /// Fills `buffer` from `offset`; `offset + buffer.count` ≤ `sizeBytes`.
    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws
    /// The length of the run of zeros known to begin at `offset` (a hole of a sparse file); 0 when there is none.
    func holeLength(at offset: UInt64) -> UInt64
}

/// `SEEK_DATA` of lseek(2), which Glibc's header hides behind _GNU_SOURCE.
private let seekData: Int32 = 3

/// An open local file.
struct LocalFile: ByteSource {
    let descriptor: Int32
    let path: [UInt8]
    let sizeBytes: UInt64

    static func withOpen<Result>(_ path: [UInt8], _ body: (LocalFile) throws -> Result) throws -> Result {
        let descriptor = withCPath(path) { open($0, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) }
        guard descriptor >= 0 else { throw localFailure(printableName(path)) }
        defer { close(descriptor) }
        var info = stat()
        guard fstat(descriptor, &info) == 0 else { throw localFailure(printableName(path)) }
        return try body(LocalFile(descriptor: descriptor, path: path, sizeBytes: UInt64(info.st_size)))
    }

    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws {
        try readFully(descriptor, at: offset, into: buffer, path: path)
    }

    func holeLength(at offset: UInt64) -> UInt64 {
        let data = lseek(descriptor, off_t(offset), seekData)
        if data >= 0 { return UInt64(data) - offset }
        return lastErrno() == ENXIO && offset < sizeBytes ? sizeBytes - offset : 0
    }
}

/// Fills `buffer` from a file, or throws: EIO in words when the file has become shorter.
package func readFully(
    _ descriptor: Int32, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer, path: [UInt8]
) throws {
    var done = 0
    while done < buffer.count {
        let count = pread(
            descriptor, buffer.baseAddress.map { $0 + done }, buffer.count - done, off_t(offset) + off_t(done))
        if count > 0 {
            done += count
        } else if count == 0 {
            throw RepositoryError.sourceUnusable(
                path: printableName(path), reason: "it became shorter while it was read")
        } else if lastErrno() != EINTR {
            throw localFailure(printableName(path))
        }
    }
}

/// Cuts `source` from `start` into blocks and hands each one's bytes to `body` (`nil` for zeros of that length that
/// need not be read), until `body` answers false or the end. Holds one window of 16 MiB.
///
/// - Parameter stepBytes: how much is read at once. Few bytes where reading is dear and `body` will soon have enough: no
///   more than a step past a cut is read then.
func cutBlocks(
    _ source: some ByteSource, from start: UInt64 = 0, stepBytes: Int = 16 << 20,
    _ body: (_ offset: UInt64, _ length: Int, UnsafeRawBufferPointer?) throws -> Bool
) throws {
    let capacity = Int(min(UInt64(16 << 20), max(source.sizeBytes - start, 1)))
    let window = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 4096)
    defer { window.deallocate() }
    var offset = start
    // Bytes `begin ..< end` of the window are file bytes from `offset` on.
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
            ? Chunker.cut(UnsafeRawBufferPointer(rebasing: window[begin..<end])) : 0
        // A cut at the end of what is there is one only when no more could belong to the block.
        while end - begin < needed, length == end - begin || length == 0 {
            if begin > 0, let base = window.baseAddress {
                memmove(base, base + begin, end - begin)
                end -= begin
                begin = 0
            }
            let wanted = Int(min(UInt64(min(capacity - end, stepBytes)), rest - UInt64(end)))
            try source.read(
                at: offset + UInt64(end), into: UnsafeMutableRawBufferPointer(rebasing: window[end..<end + wanted]))
            end += wanted
            length = Chunker.cut(UnsafeRawBufferPointer(rebasing: window[begin..<end]))
        }
        let block = UnsafeRawBufferPointer(rebasing: window[begin..<begin + length])
        if try !body(offset, length, block) { return }
        begin += length
        offset += UInt64(length)
    }
}
