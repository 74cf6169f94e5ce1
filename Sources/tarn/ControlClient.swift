import BlockingIO
import ErrorMessages
import FUSEServer
import FoundationEssentials
import Glibc
import ObjectDatabase
import Operations
import ProllyTree
import VFS
import Versioning

/// The command's side, for a read-only mount.
struct SnapshotMount {
    let mount: MountDescription

    /// Hands over an order; answers how far ahead the mount is going to fetch.
    func prefetch(_ files: [OrderedFile], of commit: CommitID, aheadBytes: UInt64) throws -> UInt64 {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(files.count * OrderedFile.encodedBytes)
        for file in files { file.append(to: &bytes) }
        let request = ControlRequest(verb: .order, commit: commit, files: files.count, aheadBytes: aheadBytes)
        guard let ahead = try ask(mount, request, bytes).aheadBytes else {
            throw CommandFailure(message: "the mount did not say how far ahead it fetches")
        }
        return ahead
    }
}

/// The command's side, for a writable mount.
struct MountHolder: StagingHolder {
    let mount: MountDescription

    func seal() throws { try send(ControlRequest(verb: .seal)) }
    func protect(_ commit: CommitID) throws { try send(ControlRequest(verb: .protect, commit: commit)) }
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
        let answer = try ask(mount, request)
        return (answer.commit, try decodePaths(answer.paths))
    }
}

/// Sends a request to a mount, with `body` after it, and waits for the answer.
private func ask(_ mount: MountDescription, _ request: ControlRequest, _ body: [UInt8] = []) throws -> ControlAnswer {
    guard let descriptor = try mount.connection() else {
        throw CommandFailure(
            message: "the mount at \(mount.mountPoint) does not answer on \(mount.socket ?? "any socket")",
            hint: "If its process is gone, unmount it and mount again")
    }
    defer { close(descriptor) }
    writeLine(descriptor, encodeRecord(request))
    writeAll(descriptor, body)
    guard let line = ControlReader(descriptor).line(limit: 64 << 20) else {
        throw CommandFailure(message: "the mount ended before it answered")
    }
    let answer = try JSONDecoder().decode(ControlAnswer.self, from: Data(line))
    if let error = answer.error { throw CommandFailure(message: "the mount says: \(error)") }
    return answer
}

extension MountDescription {
    /// A connection to the mount's control socket; `nil` when nobody answers. The socket may have moved since this was
    /// written: then the mount itself says where it is.
    func connection() throws -> Int32? {
        if let socket, let descriptor = try Self.connection(to: socket) { return descriptor }
        guard let moved = movedSocket(), moved != socket else { return nil }
        return try Self.connection(to: moved)
    }

    private static func connection(to socket: String) throws -> Int32? {
        if access(socket, F_OK) != 0 { return nil }
        try RuntimeDirectory.check(directoryOf: socket)
        guard let descriptor = try connectedSocket(socket) else { return nil }
        guard peerIsTrusted(descriptor) else {
            close(descriptor)
            throw CommandFailure(message: "another user answers on \(socket)", kind: .refused)
        }
        return descriptor
    }

    /// From what the mount tells of itself, at its mount point or where this process is.
    private func movedSocket() -> String? {
        let places = [KernelMount.at(unescapedBytes(mountPoint)), KernelMount.of(path: Array(".".utf8))]
        for case let place? in places where place.isTrusted {
            guard let found = userAttribute(of: place.point, "user.tarn.mount").flatMap({ MountDescription(json: $0) }),
                found.processID == processID, found.workspace == workspace,
                let value = userAttribute(of: place.point, FUSEServer.statisticsAttribute),
                // What is not understood says nothing.
                let statistics = try? JSONDecoder().decode(MountStatistics.self, from: Data(value))
            else { continue }
            return statistics.socket
        }
        return nil
    }
}
