import BlockingIO
import ErrorMessages
import Logging
import ObjectDatabase
import Operations
import VFS
import Versioning

/// Tells the garbage collector what a read-only mount shows, as long as it does. A store that takes no writes from us cannot be
/// told; the mount goes on without.
final class MountLease {
    private let lease: TreeLease
    private let renewal: PeriodicTask

    private static let duration = Duration.days(3)
    private static let lookSeconds = 20.0

    /// Throws `.collected` when there is nothing to show any more.
    init(
        showing fileSystem: SnapshotFileSystem, _ resolved: ResolvedRevision?, at mountPoint: String,
        _ database: ObjectDatabase, _ logger: Logger
    ) throws {
        let lease = TreeLease(
            database, purpose: .mount, subject: mountPoint, lasting: Self.duration, trees: fileSystem.shownTrees())
        self.lease = lease
        renewal = try Self.renewal(logger) {
            lease.show(fileSystem.shownTrees())
            do {
                try lease.renew()
            } catch ObjectDatabaseError.leaseLost {
                lease.beginAgain()
                try lease.renew()
            }
        }
        if let resolved { try database.refuseIfCollected(resolved.commitID, tree: resolved.commit.tree) }
    }

    /// Calls `renew` now and every 20 s. Its first failure after a success is logged: a store for readers only refuses all of
    /// them.
    static func renewal(_ logger: Logger, _ renew: @escaping @Sendable () throws -> Void) throws -> PeriodicTask {
        let hasFailed = Monitor(false)
        @Sendable func run() {
            do {
                try renew()
                hasFailed.update { $0 = false }
            } catch {
                let isFirst = hasFailed.update { failed in
                    defer { failed = true }
                    return !failed
                }
                if isFirst { logger.notice("no lease protects this mount from gc: \(logLine(of: error))") }
            }
        }
        run()
        return try PeriodicTask(everySeconds: lookSeconds) { _ in run() }
    }

    func end(_ logger: Logger) {
        Self.end(logger) { [renewal, lease] in
            renewal.stop()
            lease.end()
        }
    }

    /// A store that is away does not keep anybody from unmounting: then the lease ends by itself.
    static func end(_ logger: Logger, _ body: @escaping @Sendable () -> Void) {
        if !waitingAtMost(milliseconds: endMilliseconds, body) {
            logger.notice("the store does not answer; the lease of this mount ends by itself")
        }
    }

    private static let endMilliseconds = 5000
}
