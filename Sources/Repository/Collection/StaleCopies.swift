import BlockCache
import Synchronization
import Versioning

/// Copies of nodes and lists that this host has kept may name packs that are gone: a sweep may have deleted the object,
/// and somebody made it again in other packs since (docs/design/011).
extension SweepNotices {
    /// How far two hosts' clocks may be apart.
    static let clockDifferenceSeconds: Int64 = 3600

    /// Copies kept since this second are of what no sweep has deleted; `nil`: all are.
    var copiesTrustedFrom: Int64? {
        // One under way may delete what was kept a moment ago.
        if runs.contains(where: { $0.ended == nil }) { return .max }
        let ends = runs.compactMap(\.ended) + (lastEnded.map { [$0] } ?? [])
        return ends.max().map { $0.seconds + Self.clockDifferenceSeconds }
    }
}

extension Repository {
    /// From now on no copy of a node or list is believed that a sweep so far may have made stale. One GET.
    ///
    /// - Returns: whether there was a sweep since it was last asked for.
    @discardableResult
    package func heedSweeps() throws -> Bool {
        heed(try SweepNotices.load(from: store)?.notices)
    }

    func heed(_ notices: SweepNotices?) -> Bool {
        guard let from = notices?.copiesTrustedFrom else { return false }
        return copiesTrustedFrom.withLock { trusted in
            if trusted == from { return false }
            trusted = from
            cache?.distrustObjects(keptBefore: from)
            nodes.forgetCopies()
            lists.forgetCopies()
            return true
        }
    }
}
