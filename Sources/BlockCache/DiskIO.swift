import BlockingIO
import Glibc

/// The few calls on file descriptors that need a loop, or that Glibc's module does not show to Swift.
enum DiskIO {
    /// False on an error and when the file ends before the buffer is full.
    static func readAll(_ file: Int32, into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) -> Bool {
        // What cannot be read is fetched again.
        (try? readFully(file, at: offset, into: buffer)) == buffer.count
    }

    static func writeAll(_ file: Int32, _ bytes: UnsafeRawBufferPointer, at offset: UInt64) -> DiskFailure? {
        do throws(Errno) {
            try writeFully(file, at: offset, bytes)
            return nil
        } catch {
            return DiskFailure(operation: "write", errno: error.code)
        }
    }

    /// What the file really takes, with delayed allocations.
    static func bytesOnDisk(_ file: Int32) -> UInt64 {
        var information = stat()
        return fstat(file, &information) == 0 ? UInt64(information.st_blocks) * 512 : 0
    }

    static func sizeBytes(_ file: Int32) -> UInt64 {
        var information = stat()
        return fstat(file, &information) == 0 ? UInt64(information.st_size) : 0
    }

    /// True if there is surely nothing in the range, cheaply. Pages at the edges are shared with other blocks: they tell
    /// something only where there are no others.
    static func isHole(_ file: Int32, _ range: Range<UInt64>) -> Bool {
        let (first, last) = (pageRoundUp(range.lowerBound), pageRoundDown(range.upperBound))
        let inner = first < last ? first..<last : range
        let data = lseek(file, off_t(inner.lowerBound), seekData)
        if data < 0 { return errno == ENXIO }
        return data >= off_t(inner.upperBound)
    }

    /// True if the file has a name, is just so long, and has no hole.
    static func isWhole(_ file: Int32, sizeBytes: UInt64) -> Bool {
        var information = stat()
        return fstat(file, &information) == 0 && information.st_nlink > 0 && information.st_size == off_t(sizeBytes)
            && lseek(file, 0, seekHole) == off_t(sizeBytes)
    }

    /// Gives the whole pages of the range back and zeroes the rest of it. False where the filesystem cannot.
    static func punchHole(_ file: Int32, _ range: Range<UInt64>) -> Bool {
        // fallocate(2) has no empty range.
        if range.isEmpty { return true }
        guard let fallocate else { return false }
        while fallocate(file, punchHoleKeepSize, off_t(range.lowerBound), off_t(range.count)) != 0 {
            if errno != EINTR { return false }
        }
        return true
    }

    static let pageBytes: UInt64 = 4096

    static func pageRoundUp(_ offset: UInt64) -> UInt64 { (offset + pageBytes - 1) & ~(pageBytes - 1) }
    static func pageRoundDown(_ offset: UInt64) -> UInt64 { offset & ~(pageBytes - 1) }

    /// The pages that the range touches, in bytes.
    static func pageSpan(_ range: Range<UInt64>) -> UInt64 {
        pageRoundUp(range.upperBound) - pageRoundDown(range.lowerBound)
    }

    // Linux ABI (include/uapi/linux/fs.h and falloc.h); Swift's Glibc module is built without _GNU_SOURCE.
    private static let seekData: Int32 = 3
    private static let seekHole: Int32 = 4
    private static let punchHoleKeepSize: Int32 = 0x02 | 0x01

    private typealias Fallocate = @convention(c) (Int32, Int32, off_t, off_t) -> Int32

    // SAFETY: fallocate(2) of the C library; off_t is 64 bits on every platform that Swift runs on.
    private static let fallocate: Fallocate? = dlsym(nil, "fallocate").map { unsafeBitCast($0, to: Fallocate.self) }
}
