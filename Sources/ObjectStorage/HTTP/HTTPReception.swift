import Glibc

/// Collects one answer as libcurl hands it over: the body goes into one array, reserved from `Content-Length`.
///
/// Used by one thread: libcurl calls back on the thread that performs the request.
final class HTTPReception {
    static let headerLimitBytes = 128 << 10
    /// The most that is reserved on the server's word alone.
    static let reservationLimitBytes = 256 << 20

    let limitBytes: Int
    private let expectsBody: Bool
    private(set) var headers: [String: String] = [:]
    private(set) var isTooLong = false
    private var body: [UInt8] = []
    private var headerBytes = 0

    init(limitBytes: Int, expectsBody: Bool) {
        self.limitBytes = limitBytes
        self.expectsBody = expectsBody
    }

    func takeBody() -> [UInt8] {
        let taken = body
        body = []
        return taken
    }

    /// One header line with its line end. Returns 0 to abort.
    func receiveHeader(_ line: UnsafeRawBufferPointer) -> Int {
        headerBytes += line.count
        guard headerBytes <= Self.headerLimitBytes else { return 0 }
        if line.starts(with: Array("HTTP/".utf8)) {
            // A new head: what came before was 100 Continue or a proxy's answer.
            headers = [:]
            return line.count
        }
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else {
            return endOfHead() ? line.count : 0
        }
        let name = String(decoding: line[..<colon], as: UTF8.self).lowercased()
        headers[name] = trimmed(line[(colon + 1)...])
        return line.count
    }

    /// The empty line after the head, where the length is known. False aborts.
    private func endOfHead() -> Bool {
        guard expectsBody, let length = headers["content-length"].flatMap({ Int($0) }), length >= 0 else { return true }
        if length > limitBytes {
            isTooLong = true
            return false
        }
        body.reserveCapacity(min(length, Self.reservationLimitBytes))
        preferHugePages()
        return true
    }

    /// A large body takes new memory each time: with pages of 2 MiB that costs two page faults instead of a thousand
    /// (madvise(2)). Where the kernel has none, it is as before.
    private func preferHugePages() {
        let capacity = body.capacity
        guard capacity >= Self.hugePageBytes else { return }
        body.withUnsafeMutableBytes { empty in
            guard let start = empty.baseAddress?.alignedUp(toMultipleOf: Self.pageBytes) else { return }
            // MADV_HUGEPAGE is 14; a page less, which the alignment may have taken.
            madvise(start, (capacity - Self.pageBytes) & ~(Self.pageBytes - 1), 14)
        }
    }

    private static let hugePageBytes = 2 << 20
    private static let pageBytes = 4096

    func receiveBody(_ bytes: UnsafeRawBufferPointer) -> Int {
        guard body.count + bytes.count <= limitBytes else {
            isTooLong = true
            return 0
        }
        body.append(contentsOf: bytes)
        return bytes.count
    }

    private func trimmed(_ bytes: Slice<UnsafeRawBufferPointer>) -> String {
        func isSpace(_ byte: UInt8) -> Bool { byte == 32 || byte == 9 || byte == 10 || byte == 13 }
        var slice = bytes.drop(while: isSpace)
        while let last = slice.last, isSpace(last) { slice = slice.dropLast() }
        return String(decoding: slice, as: UTF8.self)
    }
}
