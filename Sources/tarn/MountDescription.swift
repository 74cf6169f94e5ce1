import ErrorMessages
import FoundationEssentials
import Glibc
import ObjectDatabase
import Operations
import Versioning

/// What a mount says of itself: the value of `user.tarn.mount` on every file in it, and what the holder of a workspace
/// writes into its lock.
struct MountDescription: Codable {
    var repository: String
    var endpoint: String?
    var region: String?
    var mountPoint: String
    /// The revision as it was asked for; `nil` for a mount of the whole repository.
    var revision: String?
    /// The workspace's directory, for a writable mount.
    var workspace: String?
    /// The control socket, for a writable mount and for one of one commit.
    var socket: String?
    var processID: Int32

    var json: String { String(decoding: encodeRecord(self), as: UTF8.self) }

    init(
        repository: String, endpoint: String?, region: String?, mountPoint: String, revision: String?,
        workspace: String?, socket: String?
    ) {
        self.repository = repository
        self.endpoint = endpoint
        self.region = region
        self.mountPoint = mountPoint
        self.revision = revision
        self.workspace = workspace
        self.socket = socket
        processID = getpid()
    }

    init?(json: [UInt8]) {
        guard let value = try? JSONDecoder().decode(MountDescription.self, from: Data(json)) else { return nil }
        self = value
    }

    /// The mount that a path lies in; `nil` when it lies in none of Tarn's.
    static func of(path: String) -> MountDescription? {
        userAttribute(of: Array(path.utf8), "user.tarn.mount").flatMap { MountDescription(json: $0) }
    }

    static func ofCurrentDirectory() -> MountDescription? { of(path: ".") }

    /// `path`, as a person wrote it, as a path in the mounted tree.
    func treePath(_ path: String) throws -> TreePath {
        let current = path.hasPrefix("/") ? "" : (currentDirectory() ?? "")
        let absolute = normalized(path.hasPrefix("/") ? path : current + "/" + path)
        guard let rest = TreePath.components(of: absolute, below: mountPoint) else {
            throw CommandFailure(message: "'\(path)' is not inside the mount at \(mountPoint)", kind: .usage)
        }
        return try TreePath(parsing: rest)
    }
}

extension TreePath {
    /// What follows `directory` in `path`; `nil` when it is not below it.
    fileprivate static func components(of path: String, below directory: String) -> String? {
        if path == directory { return "" }
        return path.hasPrefix(directory + "/") ? String(path.dropFirst(directory.count + 1)) : nil
    }
}

func currentDirectory() -> String? {
    guard let path = getcwd(nil, 0) else { return nil }
    defer { free(path) }
    return escapedText(UnsafeRawBufferPointer(start: path, count: strlen(path)))
}

/// An absolute path without `.`, `..` and doubled slashes, by the text alone.
func normalized(_ path: String) -> String {
    var parts: [Substring] = []
    for part in path.split(separator: "/") where part != "." {
        if part == ".." { _ = parts.popLast() } else { parts.append(part) }
    }
    return "/" + parts.joined(separator: "/")
}

/// What the holder of a workspace is, for an error message.
func describeHolder(_ text: String) -> String {
    guard let mount = MountDescription(json: Array(text.utf8)) else { return text.isEmpty ? "another process" : text }
    return "the mount at \(mount.mountPoint) (process \(mount.processID))"
}
