import BlockingIO
import ErrorMessages
import Logging
import ObjectDatabase
import Operations
import ProllyTree
import Staging
import VFS
import Versioning

/// Tells the garbage collector what a mount shows, as long as it does. A store that takes no writes from us cannot be
/// told; the mount goes on without.
final class MountLease {
    private let lease: TreeLease
    private let workspace: Workspace?
    private let renewal: PeriodicTask
    private let database: ObjectDatabase
    private let subject: String
    private let logger: Logger

    private static let mountDuration = Duration.days(3)
    /// How long staged changes that nobody mounts are sure of the commits they are based on.
    private static let workspaceDuration = Duration.days(30)
    private static let lookSeconds = 20.0

    /// For a read-only mount. Throws `.collected` when there is nothing to show any more.
    convenience init(
        showing fileSystem: SnapshotFileSystem, _ resolved: ResolvedRevision?, at mountPoint: String,
        _ database: ObjectDatabase, _ logger: Logger
    ) throws {
        let lease = TreeLease(
            database, purpose: .mount, subject: mountPoint, lasting: Self.mountDuration,
            trees: fileSystem.shownTrees())
        try self.init(lease, nil, mountPoint, database, logger) { lease.show(fileSystem.shownTrees()) }
        if let resolved { try database.refuseIfCollected(resolved.commitID, tree: resolved.commit.tree) }
    }

    /// For a writable mount: protects every base since the workspace was last empty, because staged files may show
    /// bytes of any of them.
    convenience init(of workspace: Workspace, _ database: ObjectDatabase, _ logger: Logger) throws {
        let subject = "workspace \(workspace.directory)"
        let lease = Self.workspaceLease(workspace, subject, Self.mountDuration, database)
        var trees: [NodeID] = []
        do {
            trees = try workspace.isEmpty() ? [] : lease.earlierTrees()
        } catch {
            logger.notice("the lease of this workspace cannot be read: \(logLine(of: error))")
        }
        let known = Monitor(trees)
        try self.init(lease, workspace, subject, database, logger) {
            let tree = try database.commit(workspace.base()).tree
            let isEmpty = try workspace.isEmpty()
            lease.show(
                known.update { trees in
                    if isEmpty { trees = [] }
                    trees.removeAll { $0 == tree }
                    trees.append(tree)
                    return trees
                })
        }
    }

    private static func workspaceLease(
        _ workspace: Workspace, _ subject: String, _ duration: Duration, _ database: ObjectDatabase
    ) -> TreeLease {
        let id = CommitID(hashing: Array("\(subject) \(hostName())".utf8)).hex.prefix(32)
        return TreeLease(database, purpose: .mount, subject: subject, id: String(id), lasting: duration, trees: [])
    }

    private init(
        _ lease: TreeLease, _ workspace: Workspace?, _ subject: String, _ database: ObjectDatabase, _ logger: Logger,
        look: @escaping @Sendable () throws -> Void
    ) throws {
        self.lease = lease
        self.workspace = workspace
        self.subject = subject
        self.database = database
        self.logger = logger
        let hasFailed = Monitor(false)
        @Sendable func renew() {
            do {
                try look()
                try lease.renew()
                hasFailed.update { $0 = false }
            } catch {
                // Once, not every time: a store for readers only refuses all of them.
                let isFirst = hasFailed.update { failed in
                    defer { failed = true }
                    return !failed
                }
                if isFirst { logger.notice("no lease protects this mount from gc: \(logLine(of: error))") }
            }
        }
        renew()
        renewal = try PeriodicTask(everySeconds: Self.lookSeconds) { _ in renew() }
    }

    /// Removes the lease; a workspace with staged changes leaves a longer one.
    func end() {
        renewal.stop()
        do {
            guard let workspace, try !workspace.isEmpty() else { return lease.end() }
            let longer = Self.workspaceLease(workspace, subject, Self.workspaceDuration, database)
            longer.show(lease.shown)
            try longer.renew()
        } catch {
            logger.notice("the lease on staged changes was not written: \(logLine(of: error))")
        }
    }
}
