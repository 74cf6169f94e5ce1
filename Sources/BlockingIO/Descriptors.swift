import Glibc

/// `errno` of a call on a descriptor. Whoever knows the path makes an error of it that names it.
package struct Errno: Error, Hashable, Sendable {
    package let code: Int32

    package init(code: Int32 = lastErrno()) { self.code = code }

    /// As strerror(3) says it.
    package var text: String { String(cString: strerror(code)) }
}

/// Fills `buffer` with the bytes from `offset` on. Goes on after signals and short reads. Blocks.
///
/// - Returns: how many bytes there were: fewer than the buffer holds only at the end of the file.
package func readFully(
    _ descriptor: Int32, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
) throws(Errno) -> Int {
    var done = 0
    while done < buffer.count {
        let count = pread(
            descriptor, buffer.baseAddress.map { $0 + done }, buffer.count - done, off_t(offset) + off_t(done))
        if count == 0 { break }
        if count > 0 {
            done += count
        } else if errno != EINTR {
            throw Errno()
        }
    }
    return done
}

/// Writes all bytes from `offset` on, or throws. Goes on after signals and short writes. Blocks.
package func writeFully(_ descriptor: Int32, at offset: UInt64, _ bytes: UnsafeRawBufferPointer) throws(Errno) {
    var done = 0
    while done < bytes.count {
        let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
        done += try writeSome(descriptor, at: offset + UInt64(done), rest)
    }
}

/// Writes bytes from `offset` on as far as the disk has room.
///
/// - Returns: how many were written. Nothing at all is an error.
package func writeWhatFits(
    _ descriptor: Int32, at offset: UInt64, _ bytes: UnsafeRawBufferPointer
) throws(Errno) -> Int {
    var done = 0
    while done < bytes.count {
        let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
        do throws(Errno) {
            done += try writeSome(descriptor, at: offset + UInt64(done), rest)
        } catch {
            if done > 0 { break }
            throw error
        }
    }
    return done
}

/// At least one byte, or an error.
private func writeSome(_ descriptor: Int32, at offset: UInt64, _ bytes: UnsafeRawBufferPointer) throws(Errno) -> Int {
    while true {
        let count = pwrite(descriptor, bytes.baseAddress, bytes.count, off_t(offset))
        if count > 0 { return count }
        if count == 0 { throw Errno(code: ENOSPC) }
        if errno != EINTR { throw Errno() }
    }
}

/// Writes all bytes to a stream (a pipe, a terminal, a socket), or throws. Blocks.
package func writeFully(_ descriptor: Int32, _ bytes: [UInt8]) throws(Errno) {
    var rest = bytes[...]
    while !rest.isEmpty {
        let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        if count > 0 {
            rest = rest.dropFirst(count)
        } else if count == 0 {
            throw Errno(code: ENOSPC)
        } else if errno != EINTR {
            throw Errno()
        }
    }
}

/// The next bytes of a stream, at most 64 KiB; empty at its end. Blocks until there are some.
package func readNext(_ descriptor: Int32) throws(Errno) -> ArraySlice<UInt8> {
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while true {
        let count = read(descriptor, &buffer, buffer.count)
        if count >= 0 { return buffer[..<count] }
        if errno != EINTR { throw Errno() }
    }
}

/// Everything until the end of a stream. Blocks.
///
/// - Returns: `nil` when there are more than `limitBytes`.
package func readToEnd(_ descriptor: Int32, limitBytes: Int) throws(Errno) -> [UInt8]? {
    var bytes: [UInt8] = []
    while true {
        let next = try readNext(descriptor)
        if next.isEmpty { return bytes }
        guard bytes.count + next.count <= limitBytes else { return nil }
        bytes += next
    }
}

/// The two ends of a pipe, which no child inherits.
package func makePipe() throws(Errno) -> (reading: Int32, writing: Int32) {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { throw Errno() }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    return (ends[0], ends[1])
}
