import BlockingIO
import Glibc
import ObjectDatabase
import Versioning

/// The empty local directory that a tree is written into.
struct ExportTarget: Sendable {
    private let files: LocalTree
    private let root: [UInt8]

    /// Makes it if it is missing. Throws when there is something in it.
    init(_ path: [UInt8]) throws {
        root = path
        let isNew = withCPath(path) { mkdir($0, 0o700) } == 0
        guard isNew || lastErrno() == EEXIST else { throw localFailure(printableName(path)) }
        let shown = printableName(path)
        do throws(Errno) {
            files = try LocalTree(root: path, followsLink: !isNew)
            if !isNew {
                guard try files.directory([]).names().isEmpty else { throw Errno(code: EEXIST) }
            }
        } catch {
            throw error.code == EEXIST
                ? ObjectDatabaseError.sourceUnusable(path: shown, reason: "it exists and is not empty")
                : ObjectDatabaseError.localIO(path: shown, errno: error.code)
        }
    }

    func withPlace<Result>(of path: [UInt8], _ body: (ExportPlace) throws -> Result) throws -> Result {
        let (directory, name) = try naming(path) { () throws(Errno) in try files.parent(of: path) }
        return try directory.withDescriptor {
            try body(ExportPlace(directory: $0, name: name, shown: shown(path)))
        }
    }

    func withDirectory(_ path: [UInt8], _ body: (Int32, ExportPlace) throws -> Void) throws {
        let directory = try naming(path) { () throws(Errno) in try files.directory(path) }
        try directory.withDescriptor { try body($0, ExportPlace(directory: $0, name: [], shown: shown(path))) }
    }

    private func naming<Result>(_ path: [UInt8], _ body: () throws(Errno) -> Result) throws -> Result {
        do throws(Errno) {
            return try body()
        } catch {
            guard error.code == ELOOP || error.code == ENOTDIR else {
                throw ObjectDatabaseError.localIO(path: shown(path), errno: error.code)
            }
            throw ObjectDatabaseError.sourceUnusable(
                path: shown(path), reason: "a directory above it was replaced by something else meanwhile")
        }
    }

    private func shown(_ path: [UInt8]) -> String { printableName(root + [UInt8(ascii: "/")] + path) }
}

/// A name in an open directory, where something is to be written.
struct ExportPlace {
    let directory: Int32
    let name: [UInt8]
    /// The whole path, for people.
    let shown: String

    /// What the call that has just failed came to.
    func failure() -> ObjectDatabaseError { localFailure(shown) }

    func makeDirectory() throws {
        guard withCPath(name, { mkdirat(directory, $0, 0o700) }) == 0 else { throw failure() }
    }

    func withNewFile(_ body: (Int32) throws -> Void) throws {
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
        let descriptor = withCPath(name) { openat(directory, $0, flags, 0o600) }
        guard descriptor >= 0 else { throw failure() }
        defer { close(descriptor) }
        try body(descriptor)
    }

    /// Makes a symbolic link, with the owner and time of `entry`.
    func makeLink(to target: [UInt8], _ entry: Entry) throws {
        let made = withCPath(target) { target in withCPath(name) { symlinkat(target, directory, $0) } }
        guard made == 0 else { throw failure() }
        if let owner = entry.owner, geteuid() == 0 {
            let flags = AT_SYMLINK_NOFOLLOW
            guard withCPath(name, { fchownat(directory, $0, owner.userID, owner.groupID, flags) }) == 0 else {
                throw failure()
            }
        }
        let time = entry.modified.timespec
        guard withCPath(name, { utimensat(directory, $0, [time, time], AT_SYMLINK_NOFOLLOW) }) == 0 else {
            throw failure()
        }
    }
}
