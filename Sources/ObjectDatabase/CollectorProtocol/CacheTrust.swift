import BlockCache
import BlockingIO
import Synchronization
import Versioning

/// Copies of nodes and lists that this host has kept may name packs that are gone: a sweep may have deleted the object,
/// and somebody made it again in other packs since (docs/explanation/design/011-garbage-collection.md).
extension SweepJournal {
    /// How far two hosts' clocks may be apart.
    static let clockDifference = Duration.hours(1)

    /// Copies kept since this second are of what no sweep has deleted; `nil`: all are. While a sweep is under way, it may
    /// delete what was kept a moment ago: `.max`.
    func copiesTrustedFrom(present: Int64) -> Int64? {
        var last = lastEnded?.seconds
        for run in runs where run.deletes == true {
            guard let end = run.ended?.seconds ?? run.endAfterSilence(present: present) else { return .max }
            last = max(last ?? end, end)
        }
        return last.map { $0 + Self.clockDifference.wholeSeconds }
    }
}

extension SweepJournal.Run {
    /// When a run that broke off had ended, by the last life it showed; `nil` while it may still go on.
    fileprivate func endAfterSilence(present: Int64) -> Int64? {
        let end = (alive ?? began).seconds + Int64(SweepJournal.deadAfterMilliseconds / 1000)
        return end + SweepJournal.clockDifference.wholeSeconds < present ? end : nil
    }
}

/// Which copies a repository object believes.
struct CacheTrust {
    /// Since when they were kept; `nil`: nobody has asked yet, or there was no sweep.
    fileprivate var from: Int64?
    /// See `ObjectDatabase.cacheTrustEpoch`.
    fileprivate(set) var epoch = 0
}

extension ObjectDatabase {
    /// Raised with every sweep that is heard of: whoever publishes compares it with what it was when they began to read.
    package var cacheTrustEpoch: Int { cacheTrust.withLock { $0.epoch } }

    /// From now on no copy of a node or list is believed that a sweep so far may have made stale. One GET.
    ///
    /// - Returns: whether there was a sweep since it was last asked for.
    @discardableResult
    package func refreshCacheTrust() throws -> Bool {
        refreshCacheTrust(try SweepJournal.load(from: store))
    }

    @discardableResult
    func refreshCacheTrust(_ journal: SweepJournal?) -> Bool {
        guard let from = journal?.copiesTrustedFrom(present: now().seconds) else { return false }
        return cacheTrust.withLock { trust in
            // An older answer may come later; only the end of a sweep that was under way lowers it.
            if let known = trust.from, known == from || (from < known && known != .max) { return false }
            trust.from = from
            trust.epoch += 1
            cache?.distrustObjects(keptBefore: from)
            nodes.dropCached()
            lists.dropCached()
            return true
        }
    }

    /// Runs `body`, once more when it misses an object that a stale copy may have named.
    ///
    /// - Parameter forgetting: drops what the caller remembers of such copies.
    package func retryingStale<Result>(
        forgetting: () -> Void = {}, _ body: () throws -> Result
    ) throws -> Result {
        do {
            return try body()
        } catch ObjectDatabaseError.missingObject {
            try refreshCacheTrust()
            forgetting()
            return try body()
        }
    }
}
