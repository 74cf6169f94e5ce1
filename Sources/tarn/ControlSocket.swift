import FoundationEssentials
import Glibc
import Logging
import ProllyTree
import Repository
import Synchronization
import VFS
import Versioning

/// What a command asks of a live mount, one JSON object on one line; the answer is one too.
struct ControlRequest: Codable {
    enum Verb: String, Codable {
        case flush, seal, rebase, update, abandon, discard
    }

    var verb: Verb
    var commit: CommitID?
    /// Paths as hexadecimal bytes. For `discard`: which; for `rebase`: see `StagingHolder.rebase`.
    var paths: [String]?
}

struct ControlAnswer: Codable {
    var error: String?
    var commit: CommitID?
    var paths: [String]?
}

/// The mount's side: listens on a Unix socket that only this user can reach.
final class ControlServer: Sendable {
    let path: String
    private let descriptor: Int32
    private let fileSystem: WorkspaceFileSystem
    private let logger: Logger
    private static let maximumRequestBytes = 64 << 20

    init(path: String, fileSystem: WorkspaceFileSystem, logger: Logger) throws {
        self.path = path
        self.fileSystem = fileSystem
        self.logger = logger
        descriptor = try Self.listen(path)
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

    func start() {
        startThread { [self] in
            while true {
                let connection = accept(descriptor, nil, nil)
                if connection < 0 {
                    if errno == EINTR { continue }
                    return
                }
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
            guard let line = readLine(connection, limit: Self.maximumRequestBytes) else { return }
            let request = try JSONDecoder().decode(ControlRequest.self, from: Data(line))
            let (commit, paths) = try perform(request)
            answer.commit = commit
            answer.paths = paths.map { hexEncoded($0.bytes) }
        } catch {
            answer.error = describe(error)?.message ?? "\(error)"
            logger.error("control request: \(answer.error ?? "")")
        }
        writeLine(connection, encodeRecord(answer))
    }

    private func perform(_ request: ControlRequest) throws -> (CommitID?, [TreePath]) {
        switch request.verb {
        case .flush: try fileSystem.flushAll()
        case .seal: _ = try fileSystem.seal()
        case .abandon: try fileSystem.abandonSeal()
        case .rebase:
            guard let commit = request.commit else { throw CommandFailure(message: "'rebase' needs a commit") }
            let foreign = try request.paths.map { Set(try decodePaths($0)) }
            return (commit, try fileSystem.rebase(to: commit, foreign: foreign))
        case .update: return try fileSystem.update()
        case .discard: try fileSystem.discard(try decodePaths(request.paths))
        }
        return (nil, [])
    }
}

/// The command's side.
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
        let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        defer { close(descriptor) }
        guard descriptor >= 0, try withAddress(socket, { connect(descriptor, $0, $1) }) == 0 else {
            throw CommandFailure(
                message: "the mount does not answer on \(socket): \(String(cString: strerror(errno)))",
                hint: "If its process is gone, unmount it and mount again")
        }
        writeLine(descriptor, encodeRecord(request))
        guard let line = readLine(descriptor, limit: 64 << 20) else {
            throw CommandFailure(message: "the mount ended before it answered")
        }
        let answer = try JSONDecoder().decode(ControlAnswer.self, from: Data(line))
        if let error = answer.error { throw CommandFailure(message: "the mount says: \(error)") }
        return (answer.commit, try decodePaths(answer.paths))
    }
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

/// One line without its end; `nil` when the other side closed first or sent more than `limit` bytes.
private func readLine(_ descriptor: Int32, limit: Int) -> [UInt8]? {
    var line: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while line.count <= limit {
        let count = read(descriptor, &buffer, buffer.count)
        if count < 0, errno == EINTR { continue }
        if count <= 0 { return nil }
        line += buffer[..<count]
        if line.last == UInt8(ascii: "\n") { return line.dropLast() }
    }
    return nil
}

private func writeLine(_ descriptor: Int32, _ line: [UInt8]) {
    let bytes = line + [UInt8(ascii: "\n")]
    var done = 0
    while done < bytes.count {
        let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress.map { $0 + done }, bytes.count - done) }
        if count < 0, errno == EINTR { continue }
        if count <= 0 { return }
        done += count
    }
}
