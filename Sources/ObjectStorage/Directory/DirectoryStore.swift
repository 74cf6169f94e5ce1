import CLinux
import Glibc
import Synchronization

/// An object store in a local directory: one file per object, with compare-and-swap between all processes of a machine.
///
/// **Atomicity.** A write goes to a new file under `.tarn-tmp/`, which is fsynced, renamed over the key, and the key's
/// directory is fsynced; new directories are fsynced in their parents. Files are never changed in place, so an open
/// file is one version for as long as it is read.
///
/// **Compare-and-swap.** Every write and delete of a key holds an exclusive `flock` on one of 64 lock files while it
/// looks at the current version and renames. The lock goes with the process that held it.
///
/// **ETag** = modification time in nanoseconds, inode and size. The lock's holder sets the time, and sets it later than
/// the version it replaces, so a version never returns, whatever the clock does and whatever the bytes are. It costs
/// one `fstat`, however large the object. A filesystem that drops the time's last digits is refused at the first write.
///
/// **Limits.** Keys `d` and `d/x` cannot both exist, a component has at most 255 bytes, and the first component is not
/// `.tarn-tmp`. A symbolic link in a key's last component is no object. A network filesystem is refused at the first
/// write: its clients keep attributes for seconds, so that a host may take an old version for the present one (nfs(5),
/// "Attribute caching").
package final class DirectoryStore: ObjectStore {
    package var location: String { root }

    /// Absolute, without a trailing slash.
    let root: String
    /// The name of the network filesystem that it lies on; `nil` when it lies on a local one.
    private let network: String?
    /// In-flight multipart uploads of this instance.
    let uploads = Mutex<[String: StagedUpload]>([:])

    static let reservedName = ".tarn-tmp"
    static let lockShards = 64
    /// A lock is held for a few system calls; whoever waits this long has met a stopped process.
    static let lockTimeoutSeconds = 30
    /// What a crashed process left under `.tarn-tmp/` is removed when a store is opened this much later.
    static let staleAfterSeconds = 24 * 3600
    /// Removals at one opening.
    static let staleRemovalLimit = 1000

    var reserved: String { "\(root)/\(Self.reservedName)" }

    /// - Throws: `.containerMissing` when there is no such directory and `create` is false.
    package convenience init(_ directory: String, create: Bool = false) throws(StoreError) {
        try self.init(directory, create: create, kind: Self.fileSystemKind)
    }

    /// - Parameter kind: the type that statfs(2) gives for a directory.
    init(_ directory: String, create: Bool = false, kind: (String) -> Int) throws(StoreError) {
        root = Self.absolute(directory)
        var status = stat()
        if stat(root, &status) != 0 {
            guard errno == ENOENT else { throw .localIO(path: root, errno: errno) }
            guard create else { throw .containerMissing(location: root) }
            try Self.createDirectories(root)
        } else if status.st_mode & S_IFMT != S_IFDIR {
            throw .invalidLocation(location: root, reason: "it is not a directory")
        }
        network = Self.networks[kind(root)]
        removeStale()
    }

    /// Of statfs(2), `f_type`.
    private static let networks = [
        0x6969: "NFS", 0xff53_4d42: "CIFS", 0xfe53_4d42: "SMB", 0x517b: "SMB", 0x564c: "NCP", 0x7375_7245: "Coda",
        0x5346_414f: "AFS",
    ]

    // What cannot be asked is told by the first write.
    private static func fileSystemKind(_ directory: String) -> Int { Int(tarn_file_system_type(directory)) }

    func requireLocal() throws(StoreError) {
        guard let network else { return }
        throw .invalidLocation(
            location: root,
            reason:
                "it lies on \(network), whose clients keep old attributes for seconds, so that two hosts could overwrite "
                + "each other's changes; use a local directory, or an S3 server for several hosts")
    }

    package func get(_ key: String, _ part: ObjectPart, ifMatch: ETag?) throws(StoreError) -> StoredObject {
        let (file, status) = try openObject(key)
        let etag = ETag(status)
        if let ifMatch, ifMatch != etag { throw .preconditionFailed(key: key) }
        let size = UInt64(status.st_size)
        let cut: Range<UInt64>
        switch part {
        case .whole(let limit):
            guard size <= UInt64(limit) else { throw .tooLarge(key: key, limitBytes: limit) }
            cut = 0..<size
        case .range(let range):
            guard let found = range.cut(to: size) else { throw .rangeNotSatisfiable(key: key) }
            cut = found
        }
        let bytes = try file.read(at: cut.lowerBound, count: cut.count)
        guard bytes.count == cut.count else {
            throw .badAnswer(key: key, reason: "the file ended after \(bytes.count) of \(cut.count) bytes")
        }
        return StoredObject(bytes: bytes, etag: etag, totalSizeBytes: size)
    }

    package func head(_ key: String) throws(StoreError) -> ObjectInfo {
        try check(key)
        guard let info = try info(key) else { throw try missing(key) }
        return info
    }

    /// Nothing at `key`: because it is not there, or because nothing is.
    func missing(_ key: String) throws(StoreError) -> StoreError {
        try LocalFile.status(of: root) == nil ? .containerMissing(location: root) : .notFound(key: key)
    }

    package func put(_ key: String, _ body: [UInt8], _ condition: WriteCondition) throws(StoreError) -> ETag {
        try check(key)
        let staged = try StagedFile(in: self)
        try staged.file.write(body, at: 0)
        return try publish(staged, as: key, condition)
    }

    package func delete(_ key: String) throws(StoreError) {
        try check(key)
        let path = path(of: key)
        let lock = try lock(key)
        defer { withExtendedLifetime(lock) {} }
        try remove(path, key)
    }

    package func delete(_ key: String, ifMatch version: ETag) throws(StoreError) -> ConditionalDeletion {
        try check(key)
        let path = path(of: key)
        let lock = try lock(key)
        defer { withExtendedLifetime(lock) {} }
        guard let present = try LocalFile.status(of: path), present.isRegularFile, ETag(present) == version else {
            return .changed
        }
        try remove(path, key)
        return .deleted
    }

    /// The caller has the key's lock.
    private func remove(_ path: String, _ key: String) throws(StoreError) {
        guard unlink(path) == 0 else {
            let code = errno
            if code == ENOENT || code == ENOTDIR { return }
            // A directory is no object; EPERM is how POSIX lets unlink say so.
            if code == EISDIR || code == EPERM, try info(key) == nil { return }
            throw .localIO(path: path, errno: code)
        }
        do throws(StoreError) {
            try LocalFile.synchronizeDirectory(Self.parent(of: path))
        } catch .localIO(_, ENOENT) {
            // Another delete has emptied the directory and removed it, and fsynced its parent.
        }
        try removeEmptyParents(of: path)
    }

    /// The object's file, or `.notFound`. `O_NONBLOCK` so that a FIFO put there does not hang the open.
    private func openObject(_ key: String) throws(StoreError) -> (LocalFile, stat) {
        try check(key)
        do throws(StoreError) {
            let file = try LocalFile.open(path(of: key), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
            let status = try file.status()
            guard status.isRegularFile else { throw StoreError.notFound(key: key) }
            return (file, status)
        } catch .localIO(_, let code) where code == ENOENT || code == ENOTDIR {
            throw try missing(key)
        } catch .localIO(let path, let code) where code == ELOOP || code == ENXIO {
            // A symbolic link or a socket, which are no objects, but these mean other things too.
            guard try info(key) == nil else { throw .localIO(path: path, errno: code) }
            throw try missing(key)
        }
    }

    /// `nil` when there is no such object. What cannot be looked at is an error: to take it for absent would let a
    /// sweep delete what it refers to.
    func info(_ key: String) throws(StoreError) -> ObjectInfo? {
        guard let status = try LocalFile.status(of: path(of: key)), status.isRegularFile else { return nil }
        return ObjectInfo(
            key: key, sizeBytes: UInt64(status.st_size), etag: ETag(status),
            modifiedSeconds: Int64(status.st_mtim.tv_sec))
    }

    func path(of key: String) -> String { "\(root)/\(key)" }

    func check(_ key: String) throws(StoreError) {
        try ObjectKey.check(key)
        let components = key.utf8.split(separator: ObjectKey.slash)
        if components[0].elementsEqual(Self.reservedName.utf8) {
            throw .invalidKey(key: key, reason: "`\(Self.reservedName)` is the store's own")
        }
        if components.contains(where: { $0.count > Int(NAME_MAX) }) {
            throw .invalidKey(key: key, reason: "a directory store holds components of at most \(NAME_MAX) bytes")
        }
    }

    private static func absolute(_ directory: String) -> String {
        var path = directory.utf8.first == ObjectKey.slash ? directory : "\(workingDirectory())/\(directory)"
        while path.utf8.count > 1, path.utf8.last == ObjectKey.slash { path.removeLast() }
        return path
    }

    private static func workingDirectory() -> String {
        guard let buffer = getcwd(nil, 0) else { return "." }
        defer { free(buffer) }
        return String(cString: buffer)
    }
}

extension ETag {
    init(_ status: stat) {
        self.init(
            String(UInt64(bitPattern: status.modifiedNanoseconds), radix: 16) + "-"
                + String(status.st_ino, radix: 16) + "-" + String(status.st_size, radix: 16))
    }
}
