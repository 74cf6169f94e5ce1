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

    /// What a mount of Tarn's says that a path lies in; `nil` when it lies in none, or in one of another user, who could
    /// make it say anything. An ordinary directory with an attribute of that name is no mount.
    static func of(path: String) -> MountDescription? {
        let bytes = unescapedBytes(path)
        guard let mount = KernelMount.of(path: bytes), mount.isTrusted else { return nil }
        return userAttribute(of: bytes, "user.tarn.mount").flatMap { MountDescription(json: $0) }
    }

    static func ofCurrentDirectory() -> MountDescription? { of(path: ".") }
}

extension TreePath {
    /// `path`, as a person wrote it, as a path in the tree of the mount that they are in. It may lead there by a link, a
    /// bind mount or from elsewhere: which file system it lies in decides.
    ///
    /// - Parameter directory: a path in that mount.
    init(local path: String, inMountOf directory: String) throws {
        let bytes = unescapedBytes(path)
        guard let mount = KernelMount.of(path: unescapedBytes(directory)), let real = realPath(ofEntry: bytes),
            let rest = Self.below(mount, real)
        else {
            throw CommandFailure(message: "'\(path)' is not inside the mount that you are in", kind: .usage)
        }
        try self.init(parsing: rest)
    }

    /// The path in the file system of `mount` that a real path names; `nil` when it lies in another one.
    private static func below(_ mount: KernelMount, _ real: [UInt8]) -> [UInt8]? {
        let slash = UInt8(ascii: "/")
        // The deepest mount that the path is below is the one that it lies in.
        let places = KernelMount.all().filter { place in
            real == place.point || real.starts(with: place.point == [slash] ? [slash] : place.point + [slash])
        }
        guard let place = places.max(by: { ($0.point.count, $0.id) < ($1.point.count, $1.id) }),
            place.device == mount.device
        else { return nil }
        return place.root + [slash] + real.dropFirst(place.point.count)
    }
}

/// Says which commit a mount shows: the branch may move on.
func tellCommit(shownAt mountPoint: String, _ revision: String) {
    guard let shown = userAttribute(of: unescapedBytes(mountPoint), "user.tarn.commit") else { return }
    writeError("tarn: \(mountPoint) shows \(revision), commit \(String(decoding: shown, as: UTF8.self).prefix(12))")
}

func currentDirectory() -> String? {
    guard let path = getcwd(nil, 0) else { return nil }
    defer { free(path) }
    return escapedText(UnsafeRawBufferPointer(start: path, count: strlen(path)))
}

/// What the holder of a workspace is, for an error message.
func describeHolder(_ text: String) -> String {
    guard let mount = MountDescription(json: Array(text.utf8)) else { return text.isEmpty ? "another process" : text }
    return "the mount at \(mount.mountPoint) (process \(mount.processID))"
}
