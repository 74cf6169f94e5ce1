import BlockingIO
import FoundationEssentials
import GRDB
import Glibc
package import Logging
import ProllyTree
import Synchronization
package import Versioning

/// The staging area of one writable mount: what was changed and not yet committed. Precious.
///
/// `overlay.sqlite` (WAL) holds names and attributes, `data/` the staged bytes. Every change is a transaction that
/// survives the end of the process; `makeDurable` makes all changes so far survive power loss too. One process at a
/// time may change it (see `WorkspaceLock`), others may read. All calls block; safe from many threads.
package final class Workspace: Sendable {
    package let directory: String
    package let info: WorkspaceInfo
    private let database: DatabaseQueue
    private let counters = Counters()
    private let log: LogFile
    private let failures: SyncFailures
    let logger: Logger

    /// Opens the workspace in `directory`; makes it when there is none and `base` says what it begins at.
    /// Throws `.notThere`, `.belongsElsewhere`, `.newerFormat`, `.database`, `.localIO`.
    package init(
        directory: String, info: WorkspaceInfo, base: CommitID?, readOnly: Bool = false, logger: Logger
    ) throws {
        self.directory = directory
        self.logger = logger
        self.info = try Self.openInfo(directory, info, create: base != nil)
        // On a full disk the database needs what is held back to open at all.
        if !readOnly, Self.freeBytes(directory) < UInt64(Self.reserveBytes) { unlink(directory + "/reserve") }
        let path = directory + "/overlay.sqlite"
        try Self.refuseLostOverlay(path, directory)
        log = LogFile(database: path)
        failures = try SyncFailures(directory: directory)
        do {
            var configuration = Configuration()
            configuration.busyMode = .timeout(30)
            configuration.readonly = readOnly
            configuration.prepareDatabase { database in
                if !readOnly { try database.execute(sql: "PRAGMA journal_mode = WAL") }
                try database.execute(sql: "PRAGMA synchronous = NORMAL")
                // A checkpoint syncs, and everybody waits for it: every 64 MiB of log instead of every 4.
                try database.execute(sql: "PRAGMA wal_autocheckpoint = 16384; PRAGMA cache_size = -32768")
            }
            database = try DatabaseQueue(path: path, configuration: configuration)
            if !readOnly { try prepare(base) }
        } catch let error as DatabaseError {
            throw WorkspaceError.database(path: path, reason: error.message ?? error.description)
        }
    }

    /// Opens a workspace that exists, whatever it belongs to.
    package convenience init(openingExisting directory: String, logger: Logger) throws {
        try self.init(directory: directory, info: Self.info(of: directory), base: nil, logger: logger)
    }

    /// What the workspace in a directory belongs to. Throws `.notThere`.
    package static func info(of directory: String) throws -> WorkspaceInfo {
        guard let info = try storedInfo(directory) else { throw WorkspaceError.notThere(directory: directory) }
        return info
    }

    /// What `workspace.json` says; `nil` when there is no workspace. Throws `.corrupt` when there is one without it: what is staged
    /// there is not known to belong to anybody.
    private static func storedInfo(_ directory: String) throws -> WorkspaceInfo? {
        let path = directory + "/workspace.json"
        do {
            guard let bytes = try readSmallFile(path, limitBytes: maximumInfoBytes) else {
                // It is written before the overlay is made.
                guard access(directory + "/overlay.sqlite", F_OK) != 0, errno == ENOENT || errno == ENOTDIR else {
                    throw WorkspaceError.corrupt(path: path, reason: "it is missing, and something is staged beside it")
                }
                return nil
            }
            return try decodeRecord(WorkspaceInfo.self, from: bytes)
        } catch let failure as SystemFailure {
            throw WorkspaceError.localIO(path: failure.path, errno: failure.errno)
        } catch let fault as RecordFault {
            switch fault {
            case .newerFormat(let format): throw WorkspaceError.newerFormat(directory: directory, found: format)
            case .unreadable(let reason): throw WorkspaceError.corrupt(path: path, reason: reason)
            }
        }
    }

    private static let maximumInfoBytes = 1 << 20

    /// A new overlay is made only where nothing is staged.
    private static func refuseLostOverlay(_ path: String, _ directory: String) throws(WorkspaceError) {
        guard access(path, F_OK) != 0 else { return }
        let files = FileManager.default
        let data = directory + "/data"
        // What cannot be listed is not there, or fails when it is opened.
        let hasData = ((try? files.contentsOfDirectory(atPath: data)) ?? []).contains { part in
            (try? files.contentsOfDirectory(atPath: "\(data)/\(part)"))?.isEmpty == false
        }
        if hasData { throw .corrupt(path: path, reason: "it is missing, and staged bytes lie beside it") }
    }

    private static func openInfo(_ directory: String, _ wanted: WorkspaceInfo, create: Bool) throws -> WorkspaceInfo {
        if let found = try storedInfo(directory) {
            guard found.repositoryID == wanted.repositoryID, found.branch == wanted.branch else {
                throw WorkspaceError.belongsElsewhere(
                    directory: directory, found: "\(found.repositoryLocation) \(found.branch)",
                    wanted: "\(wanted.repositoryLocation) \(wanted.branch)")
            }
            return found
        }
        guard create else { throw WorkspaceError.notThere(directory: directory) }
        do throws(SystemFailure) {
            try makeDirectories(directory + "/data")
            try replaceFile(directory + "/workspace.json", with: encodeRecord(wanted))
        } catch {
            throw WorkspaceError.localIO(path: error.path, errno: error.errno)
        }
        return wanted
    }

    private func prepare(_ base: CommitID?) throws {
        try Schema.migrator.migrate(database)
        try database.write { database in
            let overlay = Overlay(database, sealed: false, counters)
            if try overlay.meta("base") == nil {
                guard let base else { throw WorkspaceError.corrupt(path: directory, reason: "it has no base commit") }
                try overlay.setMeta("base", base.hex)
                try overlay.resetRoot()
            }
        }
    }

    // MARK: Transactions

    /// Runs `body` in a transaction that is kept when it returns and undone when it throws.
    ///
    /// - Parameters:
    ///   - isStaging: the change may need more room than it makes: on a full disk it is refused (`.localIO`, `ENOSPC`) while
    ///     there is still some for changes that make room.
    ///   - undo: called when the transaction was undone, also when keeping it failed, before another can begin.
    ///
    /// After a failed sync every change is refused (`.readOnly`).
    package func write<Result>(
        isStaging: Bool = false, _ body: (Overlay) throws -> Result, undo: () -> Void = {}
    ) throws -> Result {
        try mappingErrors {
            try failures.checkWritable()
            return try database.writeWithoutTransaction { database in
                if isStaging { try log.takeRoom() }
                var result: Result?
                do {
                    try database.inTransaction(.immediate) {
                        result = try body(Overlay(database, sealed: false, counters))
                        return .commit
                    }
                } catch {
                    counters.forget()
                    undo()
                    throw error
                }
                guard let result else { preconditionFailure("the transaction ran or threw") }
                return result
            }
        }
    }

    /// Reads the overlay; may be called within `write` of the same thread, and then sees its changes.
    package func read<Result>(_ body: (Overlay) throws -> Result) throws -> Result {
        try mappingErrors { try database.unsafeReentrantRead { try body(Overlay($0, sealed: false, counters)) } }
    }

    /// Reads what is sealed.
    package func readSealed<Result>(_ body: (Overlay) throws -> Result) throws -> Result {
        try mappingErrors { try database.unsafeReentrantRead { try body(Overlay($0, sealed: true, counters)) } }
    }

    private func mappingErrors<Result>(_ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let error as DatabaseError {
            if error.resultCode == .SQLITE_FULL {
                throw WorkspaceError.localIO(path: directory, errno: ENOSPC)
            }
            if [.SQLITE_IOERR_FSYNC, .SQLITE_IOERR_DIR_FSYNC].contains(error.extendedResultCode) {
                throw failures.note(directory + "/overlay.sqlite", errno: EIO, data: nil)
            }
            throw WorkspaceError.database(
                path: directory + "/overlay.sqlite", reason: error.message ?? error.description)
        }
    }

    /// All transactions so far, and the data files that `body` syncs, are on the disk when this returns. The log's writing
    /// begins before the data's sync, so that most times one commit of the file system's journal serves both.
    ///
    /// Throws `.syncFailed`, and from the first failure on always: see `SyncFailures`.
    package func makeDurable(with body: () throws -> Void = {}) throws {
        try failures.check()
        log.startWriting()
        try body()
        do throws(SystemFailure) {
            try log.sync()
        } catch {
            throw failures.note(error.path, errno: error.errno, data: nil)
        }
    }

    /// Blocks until what was written to an open data file is on the disk. Throws `.syncFailed`, and from the first failure
    /// on always.
    package func syncData(_ id: DataFileID, _ descriptor: Int32) throws(WorkspaceError) {
        try failures.check()
        let path = dataPath(id)
        do throws(SystemFailure) {
            try BlockingIO.syncData(descriptor, path: path)
        } catch {
            throw failures.note(path, errno: error.errno, data: id)
        }
    }

    /// Throws `.syncFailed` once a sync has failed in this process: nothing that is written now could be kept.
    package func checkSynced() throws(WorkspaceError) { try failures.check() }

    package var isReadOnly: Bool { failures.hasFailed }

    /// The file of a workspace whose sync failed, while a mount has it open; `nil` when none did. Throws `.corrupt`, `.localIO`.
    package static func failedSync(in directory: String) throws(WorkspaceError) -> String? {
        try SyncFailures(directory: directory).record?.path
    }

    /// The file whose sync failed, in this process or in one before, and with what `errno`; `nil` when nothing is in doubt.
    package var failedSync: (path: String, errno: Int32)? { failures.record.map { ($0.path, $0.errno) } }

    /// Throws `.readOnly` likewise.
    package func checkWritable() throws(WorkspaceError) { try failures.checkWritable() }

    /// After a process whose sync failed: writes the log back to the database and to the disk, and tells which files are
    /// in doubt.
    func settleFailures() throws {
        guard let record = failures.record else { return }
        try mappingErrors { try database.writeWithoutTransaction { _ = try $0.checkpoint(.truncate) } }
        let (used, names) = try read { overlay in (try overlay.usedData(), try overlay.names(showing: Set(record.data)))
        }
        try failures.settle(used: Set(used.map { DataFileID($0) }))
        if names.isEmpty { return }
        let first = names.prefix(10).map { String(decoding: $0, as: UTF8.self) }.joined(separator: ", ")
        logger.error(
            "files are in doubt because the disk failed to keep them; write them anew or discard them",
            metadata: ["files": "\(names.count)", "first": "\(first)"])
    }

    // MARK: State

    /// The commit that the staged changes are based on.
    package func base() throws -> CommitID {
        guard let hex = try read({ try $0.meta("base") }), let id = CommitID(hex: hex) else {
            throw WorkspaceError.corrupt(path: directory, reason: "it has no base commit")
        }
        return id
    }

    /// Whether nothing is staged. (Also true when what was staged has been undone by hand.)
    package func isEmpty() throws -> Bool {
        try read { overlay in
            guard let root = try overlay.node(.root) else { return true }
            return try root.change == 0 && overlay.names(in: .root).isEmpty
        }
    }

    /// How many files, directories and links are new, changed or removed. What lies below a directory that was removed or
    /// renamed is not counted.
    package func stagedCount() throws -> Int {
        try read { overlay in
            let row = try overlay.rows(
                """
                SELECT (SELECT count(*) FROM node WHERE change > 0 AND id IN (SELECT node FROM name))
                    + (SELECT count(*) FROM name WHERE node IS NULL)
                """)
            return row.first?[0] ?? 0
        }
    }

    package func dataPath(_ id: DataFileID) -> String {
        "\(directory)/data/\(hexEncoded([UInt8(truncatingIfNeeded: id.value)]))/\(id.value)"
    }

    /// Opens a data file; makes it and its directory when `create`. Throws `.localIO`, and `.syncFailed` for one whose bytes
    /// are in doubt.
    package func openData(_ id: DataFileID, create: Bool) throws -> Int32 {
        try failures.checkData(id)
        let path = dataPath(id)
        let flags = O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0)
        var descriptor = open(path, flags, 0o600)
        if descriptor < 0, errno == ENOENT, create {
            let parent = String(path[..<(path.lastIndex(of: "/") ?? path.endIndex)])
            guard mkdir(parent, 0o700) == 0 || errno == EEXIST else {
                throw WorkspaceError.localIO(path: parent, errno: errno)
            }
            descriptor = open(path, flags, 0o600)
        }
        guard descriptor >= 0 else { throw WorkspaceError.localIO(path: path, errno: errno) }
        return descriptor
    }

    /// The data files that ranges, current or sealed, refer to. Looks at every node.
    package func usedData() throws -> Set<DataFileID> {
        Set(try read { try $0.usedData() }.map(DataFileID.init))
    }

    /// Deletes those of the data files that no range, current or sealed, refers to, and cuts the others behind the last byte
    /// that one does, unless they take writes. Blocks for an fsync: what is asked before it is durable after it, and later
    /// changes only ever show less of a data file that takes no writes.
    package func reclaim(_ files: Set<DataFileID>) throws {
        if files.isEmpty { return }
        let (used, targets, ends) = try read { overlay in
            (try overlay.usedData(), try overlay.writeTargets(), try overlay.dataEnds())
        }
        try makeDurable()
        for data in files where !used.contains(data.value) { unlink(dataPath(data)) }
        for (data, end) in ends where files.contains(data) && !targets.contains(data.value) {
            // Only room is at stake.
            truncate(dataPath(data), off_t(clamping: end))
        }
    }

    // MARK: Room held back

    private var reservePath: String { directory + "/reserve" }
    private static let reserveBytes: off_t = 1 << 20

    /// Takes a little room on the disk, so that files can be removed when it is full. On a disk that is nearly full it
    /// waits.
    package func holdReserve() throws {
        if access(reservePath, F_OK) == 0 || Self.freeBytes(directory) < 4 * UInt64(Self.reserveBytes) { return }
        let descriptor = open(reservePath, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            if errno == ENOSPC { return }
            throw WorkspaceError.localIO(path: reservePath, errno: errno)
        }
        defer { close(descriptor) }
        if posix_fallocate(descriptor, 0, Self.reserveBytes) != 0 { unlink(reservePath) }
    }

    private static func freeBytes(_ directory: String) -> UInt64 {
        var disk = statvfs()
        guard statvfs(directory, &disk) == 0 else { return .max }
        return UInt64(disk.f_bavail) * UInt64(disk.f_frsize)
    }

    /// Frees room on a full disk: the write-ahead log's, when it has grown, and what is held back, when `useReserve` or
    /// when writing the log back needs it. Blocks for as long as others read the database, at most 30 s.
    package func makeRoom(useReserve: Bool) throws {
        let isWorthWhile = log.allocatedBytes > (useReserve ? LogFile.pieceBytes / 4 : 2 * LogFile.pieceBytes)
        if useReserve || isWorthWhile { unlink(reservePath) }
        guard isWorthWhile else { return }
        try mappingErrors { try database.writeWithoutTransaction { _ = try $0.checkpoint(.truncate) } }
        if !useReserve { try holdReserve() }
    }
}

extension Overlay {
    /// The root stands for the base's root, with nothing changed.
    func resetRoot() throws {
        try update(
            OverlayEntry(
                id: .root, kind: .directory, mode: 0o755, modified: Timestamp(seconds: 0, nanoseconds: 0), origin: .root
            ))
    }
}
