import BlockingIO
import FoundationEssentials
import Glibc
import Synchronization
import Versioning

/// What a failed sync has left in doubt.
///
/// After a failed fsync(2) the kernel takes the pages for clean (fsync(2), "NOTES"; it tells the failure once), so a later
/// sync that succeeds proves nothing. From the first failure on the workspace takes no more changes in this process, and
/// every sync fails. `unsynced.json` tells the next process: data files in doubt are not read until what showed them
/// was written anew or discarded, and the database's log is written back as a whole.
final class SyncFailures: Sendable {
    struct Record: Codable, Sendable {
        var format = 1
        /// The file whose sync failed first, and with what `errno`.
        var path: String
        var errno: Int32
        /// Numbers of the data files in doubt.
        var data: [Int64] = []
        /// The database's log is in doubt.
        var log = false
    }

    private struct State {
        var record: Record?
        /// A sync failed in this process.
        var failure: (path: String, errno: Int32)?
    }

    private let path: String
    private let failed = Atomic<Bool>(false)
    private let state: Mutex<State>

    /// Reads what an earlier process left. Throws `.corrupt`, `.localIO`.
    init(directory: String) throws(WorkspaceError) {
        path = directory + "/unsynced.json"
        state = Mutex(State(record: try Self.load(path)))
    }

    private static func load(_ path: String) throws(WorkspaceError) -> Record? {
        let bytes: [UInt8]
        do throws(SystemFailure) {
            guard let found = try readSmallFile(path, limitBytes: 1 << 20) else { return nil }
            bytes = found
        } catch {
            throw .localIO(path: path, errno: error.errno)
        }
        do {
            return try decodeRecord(Record.self, from: bytes)
        } catch {
            throw .corrupt(path: path, reason: "it is no record of a failed sync")
        }
    }

    /// A sync failed in this process.
    var hasFailed: Bool { failed.load(ordering: .acquiring) }

    /// What is in doubt, from before or now.
    var record: Record? { state.withLock { $0.record } }

    private var failure: (path: String, errno: Int32)? { hasFailed ? state.withLock { $0.failure } : nil }

    /// Throws `.syncFailed` when a sync failed in this process.
    func check() throws(WorkspaceError) {
        if let failure { throw .syncFailed(path: failure.path, errno: failure.errno) }
    }

    /// Throws `.readOnly` when a sync failed in this process.
    func checkWritable() throws(WorkspaceError) {
        if let failure { throw .readOnly(path: failure.path, errno: failure.errno) }
    }

    /// Throws `.syncFailed` for a data file whose bytes are in doubt.
    func checkData(_ id: DataFileID) throws(WorkspaceError) {
        let doubt = state.withLock { state in state.record.flatMap { $0.data.contains(id.value) ? $0 : nil } }
        if let doubt { throw .syncFailed(path: doubt.path, errno: doubt.errno) }
    }

    /// Notes a failure and answers the error to throw.
    func note(_ file: String, errno number: Int32, data: DataFileID?) -> WorkspaceError {
        let record = state.withLock { state in
            var record = state.record ?? Record(path: file, errno: number)
            if let data { record.data.append(data.value) } else { record.log = true }
            state.record = record
            state.failure = state.failure ?? (file, number)
            return record
        }
        failed.store(true, ordering: .releasing)
        // The disk has just failed us: what cannot be noted is at least told by every sync of this process.
        try? save(record)
        return .syncFailed(path: file, errno: number)
    }

    /// Forgets what is in doubt no more: the log, and data files that are not in `used`.
    func settle(used: Set<DataFileID>) throws(WorkspaceError) {
        let record = state.withLock { state -> Record? in
            state.record?.log = false
            state.record?.data.removeAll { !used.contains(DataFileID($0)) }
            if state.record?.data.isEmpty == true { state.record = nil }
            return state.record
        }
        do throws(SystemFailure) {
            try save(record)
        } catch {
            throw .localIO(path: error.path, errno: error.errno)
        }
    }

    private func save(_ record: Record?) throws(SystemFailure) {
        guard let record else {
            guard unlink(path) == 0 || errno == ENOENT else { throw SystemFailure(path: path) }
            return
        }
        try replaceFile(path, with: encodeRecord(record))
    }
}
