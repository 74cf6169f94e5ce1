import BlockingIO
import CLinux
import Glibc
import Versioning

/// A Unix socket in the runtime directory, which only this user reaches. Removed with the last that holds it.
final class ControlListener: Sendable {
    let path: String
    let descriptor: Int32
    private let identity: FileIdentity?

    /// Listens at a new name. Throws when there is no runtime directory to be trusted.
    init() throws {
        let directory = try RuntimeDirectory.make()
        (path, descriptor) = try Self.listen(in: directory)
        identity = Self.identity(of: path)
    }

    /// Whether others still find it.
    var isThere: Bool { identity != nil && Self.identity(of: path) == identity }

    deinit {
        if isThere { unlink(path) }
        close(descriptor)
    }

    private static func identity(of path: String) -> FileIdentity? {
        var info = stat()
        return lstat(path, &info) == 0 ? FileIdentity(info) : nil
    }

    /// A process of the same number in another process namespace may have a socket here.
    private static let maximumNames = 100

    private static func listen(in directory: String) throws -> (String, Int32) {
        for number in 0..<maximumNames {
            let path = "\(directory)/\(getpid())\(number == 0 ? "" : "-\(number)").sock"
            if let connection = try connectedSocket(path) {
                close(connection)
                continue
            }
            // What a killed process left.
            unlink(path)
            let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            guard descriptor >= 0, try withAddress(path, { bind(descriptor, $0, $1) }) == 0, chmod(path, 0o600) == 0,
                Glibc.listen(descriptor, 16) == 0
            else {
                let failure = Errno()
                close(descriptor)
                throw CommandFailure(message: "cannot listen on \(path): \(failure.text)")
            }
            return (path, descriptor)
        }
        throw CommandFailure(message: "cannot listen in \(directory): every name is taken")
    }
}

/// A connection to the socket at `path`; `nil` with errno when nobody answers there.
func connectedSocket(_ path: String) throws -> Int32? {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw CommandFailure(message: "no socket: \(Errno().text)") }
    guard try withAddress(path, { connect(descriptor, $0, $1) }) == 0 else {
        let failure = lastErrno()
        close(descriptor)
        errno = failure
        return nil
    }
    return descriptor
}

/// Who is at the other end of a socket; the process is `nil` where this one cannot see it.
func peer(of socket: Int32) -> (process: pid_t?, user: uid_t)? {
    var (process, user) = (pid_t(), uid_t())
    guard tarn_peer(socket, &process, &user) == 0 else { return nil }
    return (process > 0 ? process : nil, user)
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
