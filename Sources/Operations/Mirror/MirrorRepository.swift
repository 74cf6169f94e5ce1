import BlockingIO
import Logging
package import ObjectDatabase
package import ObjectStorage
import ProllyTree
import Synchronization
import Versioning

extension Repository {
    /// Copies refs with their history, ref updates and data to another store, as far as they are not there yet.
    ///
    /// 1. Make the target, marked as a mirror, or check that it is a mirror of this repository.
    /// 2. Take a lease there that keeps its garbage collector from deleting, and wait for one that is at it.
    /// 3. For each ref: its ref updates that the target lacks. A target with ref updates that we lack has diverged and is
    ///    left alone.
    /// 4. Copy commits, parents first, each after all its data: so a commit that is there is there whole.
    /// 5. Copy the ref updates and move the refs, each by compare-and-swap.
    ///
    /// Every id is computed again from the bytes that are copied, and every block is hashed. Broken off anywhere and run
    /// again, it goes on: packs that are there are not copied again.
    package func mirror(
        to target: any ObjectStore, targetQuirks: RepositoryConfig.StoreQuirks, refs patterns: [String] = [],
        progress: @escaping @Sendable (String) -> Void = { _ in }
    ) throws -> MirrorReport {
        let other = try openMirror(target, targetQuirks)
        let lease = TreeLease(
            other.database, purpose: .mirror, subject: database.store.location,
            lasting: .hours(1),
            trees: [try database.commit(liveHead()).tree])
        return try lease.held(warnTo: database.logger) {
            try other.waitForSweeps()
            var run = MirrorRun(source: self, target: other, lease: lease, progress: progress)
            try run.copy(patterns)
            return run.report
        }
    }

    /// Makes a mirror a repository of its own: from then on commits are taken, and `mirror` refuses to write to it.
    package static func promote(_ store: any ObjectStore) throws {
        let (config, etag) = try RepositoryConfig.loadForUpdate(from: store)
        guard config.mirror != nil else { throw MirrorFault.notAMirror(location: store.location) }
        var promoted = config
        promoted.mirror = nil
        guard try store.swap(ObjectKeys.config, from: etag, to: encodeRecord(promoted)) else {
            throw ObjectDatabaseError.store(.preconditionFailed(key: ObjectKeys.config))
        }
    }

    private func openMirror(
        _ target: any ObjectStore, _ quirks: RepositoryConfig.StoreQuirks
    ) throws -> Repository {
        try Self.refuseOccupied(target)
        if try target.find(ObjectKeys.config) == nil {
            var config = database.config
            config.store = quirks
            config.mirror = MirrorMark(source: database.store.location, since: now())
            _ = try target.swap(ObjectKeys.config, from: nil, to: encodeRecord(config))
        }
        var options = ObjectDatabase.Options()
        options.ioThreads = database.ioThreads
        let other = try Repository(opening: target, options: options, logger: database.logger)
        guard other.database.config.id == database.config.id else {
            throw MirrorFault.otherRepository(
                location: target.location, found: other.database.config.id, wanted: database.config.id)
        }
        guard other.database.config.mirror != nil else { throw MirrorFault.notAMirror(location: target.location) }
        return other
    }

    /// Any commit that is there: a lease names a tree.
    private func liveHead() throws -> CommitID {
        for ref in try allRefs() {
            if let commit = ref.commit ?? ref.newestUpdate.old { return commit }
        }
        throw ObjectDatabaseError.refNotFound(try .branch(Self.defaultBranch))
    }

    /// Waits until no garbage collector is deleting here.
    private func waitForSweeps() throws {
        for run in try SweepJournal.load(from: database.store)?.runs ?? [] where run.ended == nil {
            try SweepJournal.waitForEnd(of: run, in: database.store)
        }
    }
}

extension TreeLease {
    /// Runs `body` under the lease, renewing it from a thread.
    func held<Result>(warnTo logger: Logger, _ body: () throws -> Result) throws -> Result {
        try renew()
        let isDone = Monitor(false)
        let hasEnded = Monitor(false)
        let beats = try startHeartbeat { [self] in
            while !isDone.update({ $0 }) {
                do { try renew() } catch { logger.warning("a lease was not renewed: \(error)") }
                for _ in 0..<20 where !isDone.update({ $0 }) { sleepMilliseconds(100) }
            }
            hasEnded.update { $0 = true }
        }
        if !beats { hasEnded.update { $0 = true } }
        defer {
            isDone.update { $0 = true }
            hasEnded.wait { $0 ? () : nil }
            end()
        }
        return try blamingLostLease(verify, body)
    }
}
