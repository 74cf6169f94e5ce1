import BlockingIO
import ErrorMessages
import FoundationEssentials
import Glibc
import Logging
import ObjectDatabase
import Operations
import ProllyTree
import Staging
import Synchronization
import VFS
import Versioning

/// What a command asks of a live mount, one JSON object on one line; the answer is one too.
struct ControlRequest: Codable {
    /// `order` is for read-only mounts, the others are for writable ones.
    enum Verb: String, Codable {
        case flush, seal, protect, rebase, update, abandon, discard, order
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

/// The mount's side: answers on a Unix socket that only this user can reach. One request at a time. When the socket is gone,
/// as with a runtime directory that is removed at logout, it makes another.
final class ControlServer: Sendable {
    typealias Handler = @Sendable (ControlRequest, ControlReader) throws -> ControlAnswer

    /// `nil` when it was stopped.
    private let listener: Mutex<ControlListener?>
    private let handler: Handler
    private let logger: Logger
    private static let maximumRequestBytes = 64 << 20
    /// A client that sends nothing for so long is let go.
    private static let silenceSeconds = 30
    /// How often it looks whether its socket is still there.
    private static let lookMilliseconds: Int32 = 1000

    init(_ listener: ControlListener, logger: Logger, handler: @escaping Handler) {
        self.listener = Mutex(listener)
        self.handler = handler
        self.logger = logger
    }

    /// For a writable mount.
    convenience init(_ listener: ControlListener, fileSystem: WorkspaceFileSystem, logger: Logger) {
        self.init(listener, logger: logger) { request, _ in try fileSystem.perform(request) }
    }

    /// For a read-only mount of one commit.
    convenience init(_ listener: ControlListener, fileSystem: SnapshotFileSystem, logger: Logger) {
        self.init(listener, logger: logger) { try fileSystem.perform($0, $1) }
    }

    /// Where it can be reached now.
    var path: String? { listener.withLock { $0?.path } }

    func start() throws {
        try startThread { [self] in
            var hasComplained = false
            while let listener = listener.withLock({ $0 }) {
                var waiting = pollfd(fd: listener.descriptor, events: Int16(POLLIN), revents: 0)
                if poll(&waiting, 1, Self.lookMilliseconds) > 0 {
                    let connection = accept(listener.descriptor, nil, nil)
                    guard connection >= 0 else { continue }
                    serve(connection)
                    close(connection)
                } else if !listener.isThere {
                    hasComplained = !renew(quietly: hasComplained)
                }
            }
        }
    }

    /// Listens at another place. False when there is none; it is tried again.
    private func renew(quietly: Bool) -> Bool {
        do {
            let new = try ControlListener()
            listener.withLock { if $0 != nil { $0 = new } }
            logger.notice("the control socket was gone; now at \(new.path)")
            return true
        } catch {
            if !quietly { logger.warning("the control socket is gone: \(words(of: error))") }
            return false
        }
    }

    func stop() {
        let last = listener.withLock { listener in
            defer { listener = nil }
            return listener
        }
        if let last { shutdown(last.descriptor, Int32(SHUT_RDWR)) }
    }

    private func serve(_ connection: Int32) {
        guard peerIsTrusted(connection) else {
            return logger.warning("a control request of another user was refused")
        }
        var silence = timeval(tv_sec: Self.silenceSeconds, tv_usec: 0)
        setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &silence, socklen_t(MemoryLayout.size(ofValue: silence)))
        answer(connection)
    }

    private func answer(_ connection: Int32) {
        var answer = ControlAnswer()
        do {
            let reader = ControlReader(connection)
            guard let line = reader.line(limit: Self.maximumRequestBytes) else { return }
            answer = try handler(JSONDecoder().decode(ControlRequest.self, from: Data(line)), reader)
        } catch {
            answer.error = words(of: error).shown
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
        case .protect:
            guard let commit = request.commit else { throw CommandFailure(message: "'protect' needs a commit") }
            try basePlanner.protect(commit)
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

extension ControlRequest {
    /// What an order says: the files follow the line.
    func order(_ reader: ControlReader) throws -> (commit: CommitID, files: [OrderedFile], aheadBytes: UInt64) {
        guard verb == .order, let commit, let count = self.files,
            let ahead = aheadBytes, (0...ReadPlanWindow.maximumFiles).contains(count)
        else { throw CommandFailure(message: "a read-only mount does not understand this request") }
        var files: [OrderedFile] = []
        files.reserveCapacity(count)
        while files.count < count {
            guard let bytes = reader.bytes(OrderedFile.encodedBytes * min(4096, count - files.count)) else {
                throw CommandFailure(message: "the order ended after \(files.count) of \(count) files")
            }
            files += OrderedFile.decode(bytes)
        }
        return (commit, files, ahead)
    }
}

extension SnapshotFileSystem {
    fileprivate func perform(_ request: ControlRequest, _ reader: ControlReader) throws -> ControlAnswer {
        let (commit, files, ahead) = try request.order(reader)
        return ControlAnswer(aheadBytes: try prefetch(files, of: commit, aheadBytes: ahead))
    }
}

extension OrderedFile {
    static let encodedBytes = 16

    func append(to bytes: inout [UInt8]) {
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

func decodePaths(_ paths: [String]?) throws -> [TreePath] {
    try (paths ?? []).map { try TreePath(parsing: hexDecoded($0) ?? []) }
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

func writeLine(_ descriptor: Int32, _ line: [UInt8]) {
    writeAll(descriptor, line + [UInt8(ascii: "\n")])
}

/// What cannot be written the other side misses, and says so.
func writeAll(_ descriptor: Int32, _ bytes: [UInt8]) {
    try? writeFully(descriptor, bytes)
}
