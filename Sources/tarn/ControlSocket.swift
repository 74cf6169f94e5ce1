import BlockingIO
import ErrorMessages
import FoundationEssentials
import Glibc
import Logging
import ObjectDatabase
import Operations
import ProllyTree
import Synchronization
import VFS
import Versioning

/// What a command asks of a live mount, one JSON object on one line; the answer is one too.
struct ControlRequest: Codable {
    /// `order` is for read-only mounts, the others are for writable ones.
    enum Verb: String, Codable {
        case flush, seal, rebase, update, abandon, discard, order
    }

    var verb: Verb
    var commit: CommitID?
    /// Paths as hexadecimal bytes. For `discard`: which; for `rebase`: see `StagingHolder.rebase`.
    var paths: [String]?
    /// For `order`: so many files follow the line, 16 bytes each: rank and size, little-endian.
    var files: Int?
    /// For `order`: how far ahead of the reader to fetch.
    var aheadBytes: UInt64?
}

struct ControlAnswer: Codable {
    var error: String?
    var commit: CommitID?
    var paths: [String]?
    /// For `order`: how far ahead it is going to be.
    var aheadBytes: UInt64?
}

/// The mount's side: listens on a Unix socket that only this user can reach. One request at a time.
final class ControlServer: Sendable {
    typealias Handler = @Sendable (ControlRequest, ControlReader) throws -> ControlAnswer

    let path: String
    private let descriptor: Int32
    private let handler: Handler
    private let logger: Logger
    private static let maximumRequestBytes = 64 << 20
    /// A client that sends nothing for so long is let go.
    private static let silenceSeconds = 30

    init(path: String, logger: Logger, handler: @escaping Handler) throws {
        self.path = path
        self.handler = handler
        self.logger = logger
        descriptor = try Self.listen(path)
    }

    /// For a writable mount.
    convenience init(path: String, fileSystem: WorkspaceFileSystem, logger: Logger) throws {
        try self.init(path: path, logger: logger) { request, _ in try fileSystem.perform(request) }
    }

    /// For a read-only mount of one commit.
    convenience init(path: String, fileSystem: SnapshotFileSystem, logger: Logger) throws {
        try self.init(path: path, logger: logger) { try fileSystem.perform($0, $1) }
    }

    private static func listen(_ path: String) throws -> Int32 {
        let directory = HostDirectories.runtime()
        mkdir(directory, 0o700)
        unlink(path)
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0, let bound = try? withAddress(path, { bind(descriptor, $0, $1) }), bound == 0,
            chmod(path, 0o600) == 0, Glibc.listen(descriptor, 16) == 0
        else {
            throw CommandFailure(message: "cannot listen on \(path): \(String(cString: strerror(errno)))")
        }
        return descriptor
    }

    func start() throws {
        try startThread { [self] in
            while true {
                let connection = accept(descriptor, nil, nil)
                if connection < 0 {
                    if errno == EINTR { continue }
                    return
                }
                var silence = timeval(tv_sec: Self.silenceSeconds, tv_usec: 0)
                setsockopt(
                    connection, SOL_SOCKET, SO_RCVTIMEO, &silence, socklen_t(MemoryLayout.size(ofValue: silence)))
                answer(connection)
                close(connection)
            }
        }
    }

    func stop() {
        shutdown(descriptor, Int32(SHUT_RDWR))
        close(descriptor)
        unlink(path)
    }

    private func answer(_ connection: Int32) {
        var answer = ControlAnswer()
        do {
            let reader = ControlReader(connection)
            guard let line = reader.line(limit: Self.maximumRequestBytes) else { return }
            answer = try handler(JSONDecoder().decode(ControlRequest.self, from: Data(line)), reader)
        } catch {
            answer.error = describe(error)?.text.shown ?? "\(error)"
            logger.error("control request: \(answer.error ?? "")")
        }
        writeLine(connection, encodeRecord(answer))
    }

}

extension WorkspaceFileSystem {
    fileprivate func perform(_ request: ControlRequest) throws -> ControlAnswer {
        func answer(_ commit: CommitID?, _ paths: [TreePath]) -> ControlAnswer {
            ControlAnswer(commit: commit, paths: paths.map { hexEncoded($0.bytes) })
        }
        switch request.verb {
        case .flush: try flushAll()
        case .seal: _ = try seal()
        case .abandon: try abandonSeal()
        case .rebase:
            guard let commit = request.commit else { throw CommandFailure(message: "'rebase' needs a commit") }
            let foreign = try request.paths.map { Set(try decodePaths($0)) }
            return answer(commit, try rebase(to: commit, foreign: foreign))
        case .update:
            let updated = try update()
            return answer(updated.0, updated.1)
        case .discard: try discard(try decodePaths(request.paths))
        case .order: throw CommandFailure(message: "a writable mount takes no order")
        }
        return answer(nil, [])
    }
}

extension SnapshotFileSystem {
    fileprivate func perform(_ request: ControlRequest, _ reader: ControlReader) throws -> ControlAnswer {
        guard request.verb == .order, let commit = request.commit, let count = request.files,
            let ahead = request.aheadBytes, (0...ReadPlanWindow.maximumFiles).contains(count)
        else { throw CommandFailure(message: "a read-only mount does not understand this request") }
        var files: [OrderedFile] = []
        files.reserveCapacity(count)
        while files.count < count {
            guard let bytes = reader.bytes(OrderedFile.encodedBytes * min(4096, count - files.count)) else {
                throw CommandFailure(message: "the order ended after \(files.count) of \(count) files")
            }
            files += OrderedFile.decode(bytes)
        }
        return ControlAnswer(aheadBytes: try prefetch(files, of: commit, aheadBytes: ahead))
    }
}

extension OrderedFile {
    fileprivate static let encodedBytes = 16

    fileprivate func append(to bytes: inout [UInt8]) {
        withUnsafeBytes(of: rank.littleEndian) { bytes += $0 }
        withUnsafeBytes(of: sizeBytes.littleEndian) { bytes += $0 }
    }

    fileprivate static func decode(_ bytes: [UInt8]) -> [OrderedFile] {
        bytes.withUnsafeBytes { raw in
            stride(from: 0, to: raw.count, by: encodedBytes).map { at in
                OrderedFile(
                    rank: UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: at, as: UInt64.self)),
                    sizeBytes: UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: at + 8, as: UInt64.self)))
            }
        }
    }
}

/// The command's side, for a read-only mount.
struct SnapshotMount {
    let socket: String

    /// Hands over an order; answers how far ahead the mount is going to fetch.
    func prefetch(_ files: [OrderedFile], of commit: CommitID, aheadBytes: UInt64) throws -> UInt64 {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(files.count * OrderedFile.encodedBytes)
        for file in files { file.append(to: &bytes) }
        let request = ControlRequest(verb: .order, commit: commit, files: files.count, aheadBytes: aheadBytes)
        guard let ahead = try ask(socket, request, bytes).aheadBytes else {
            throw CommandFailure(message: "the mount did not say how far ahead it fetches")
        }
        return ahead
    }
}

/// The command's side, for a writable mount.
struct MountHolder: StagingHolder {
    let socket: String

    func seal() throws { try send(ControlRequest(verb: .seal)) }
    func abandonSeal() throws { try send(ControlRequest(verb: .abandon)) }
    func flush() throws { try send(ControlRequest(verb: .flush)) }

    func rebase(to commit: CommitID, foreign: Set<TreePath>?) throws -> [TreePath] {
        let paths = foreign?.map { hexEncoded($0.bytes) }
        return try send(ControlRequest(verb: .rebase, commit: commit, paths: paths)).paths
    }

    /// Puts what is staged on the branch's head; answers it, and the paths that are conflicts now.
    func update() throws -> (head: CommitID, conflicts: [TreePath]) {
        let answer = try send(ControlRequest(verb: .update))
        guard let head = answer.commit else { throw CommandFailure(message: "the mount did not say where it is now") }
        return (head, answer.paths)
    }

    func discard(_ paths: [TreePath]) throws {
        try send(ControlRequest(verb: .discard, paths: paths.map { hexEncoded($0.bytes) }))
    }

    @discardableResult
    private func send(_ request: ControlRequest) throws -> (commit: CommitID?, paths: [TreePath]) {
        let answer = try ask(socket, request)
        return (answer.commit, try decodePaths(answer.paths))
    }
}

/// Sends a request to a mount, with `body` after it, and waits for the answer.
private func ask(_ socket: String, _ request: ControlRequest, _ body: [UInt8] = []) throws -> ControlAnswer {
    let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    defer { close(descriptor) }
    guard descriptor >= 0, try withAddress(socket, { connect(descriptor, $0, $1) }) == 0 else {
        throw CommandFailure(
            message: "the mount does not answer on \(socket): \(String(cString: strerror(errno)))",
            hint: "If its process is gone, unmount it and mount again")
    }
    writeLine(descriptor, encodeRecord(request))
    writeAll(descriptor, body)
    guard let line = ControlReader(descriptor).line(limit: 64 << 20) else {
        throw CommandFailure(message: "the mount ended before it answered")
    }
    let answer = try JSONDecoder().decode(ControlAnswer.self, from: Data(line))
    if let error = answer.error { throw CommandFailure(message: "the mount says: \(error)") }
    return answer
}

private func decodePaths(_ paths: [String]?) throws -> [TreePath] {
    try (paths ?? []).map { try TreePath(parsing: hexDecoded($0) ?? []) }
}

private func withAddress<Result>(
    _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
) throws -> Result {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8)
    guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
        throw CommandFailure(
            message: "the socket path \(path) is too long", hint: "Set XDG_RUNTIME_DIR to a shorter directory")
    }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    return withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
    }
}

/// Reads a line, and what follows it, from a connection. Used by one thread.
final class ControlReader {
    private let descriptor: Int32
    private var waiting: [UInt8] = []

    init(_ descriptor: Int32) {
        self.descriptor = descriptor
    }

    /// One line without its end; `nil` when the other side closed first, was silent for too long, or sent more than
    /// `limit` bytes.
    func line(limit: Int) -> [UInt8]? {
        var searched = 0
        while true {
            if let end = waiting[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                let line = Array(waiting[..<end])
                waiting.removeSubrange(...end)
                return line
            }
            searched = waiting.count
            guard waiting.count <= limit, more() else { return nil }
        }
    }

    /// Exactly so many bytes; `nil` when fewer come.
    func bytes(_ count: Int) -> [UInt8]? {
        while waiting.count < count { guard more() else { return nil } }
        let bytes = Array(waiting[..<count])
        waiting.removeSubrange(..<count)
        return bytes
    }

    private func more() -> Bool {
        // A connection that fails is one that ended.
        guard let next = try? readNext(descriptor), !next.isEmpty else { return false }
        waiting += next
        return true
    }
}

private func writeLine(_ descriptor: Int32, _ line: [UInt8]) {
    writeAll(descriptor, line + [UInt8(ascii: "\n")])
}

/// What cannot be written the other side misses, and says so.
private func writeAll(_ descriptor: Int32, _ bytes: [UInt8]) {
    try? writeFully(descriptor, bytes)
}
