import BlockingIO
import ObjectDatabase
import ObjectStorage
import ProllyTree
import Synchronization
import Versioning

extension GarbageCollectionRun {
    /// The 256 parts that objects named by ids are listed in.
    private static let shards = (0...255).map { hexEncoded([UInt8($0)]) }

    /// Sorts every node, list and pack into live, dead and too young. Throws `missingObject` when a pack is not there that a
    /// commit which must stay refers to.
    mutating func survey() throws {
        let found = live.result
        let (nodes, lists, packs) = (found.nodes, found.lists, found.packs)
        let roots = Set(expiredRoots)
        let result = Mutex((report: report, deletionPlan: DeletionPlan(), missingPacks: neededPacks))
        let (cutoff, movedPacks, share) = (cutoffSeconds, movedPacks, options.repackShare)
        progress("listing tree nodes")
        try forEachObject(below: ObjectKeys.trees) { info, name in
            guard !info.isTombstone, let id = NodeID(hex: name) else { return }
            result.withLock { result in
                if nodes.contains(id) {
                    result.report.live.nodes.add(info.sizeBytes)
                } else if info.modifiedSeconds < cutoff {
                    result.report.dead.nodes.add(info.sizeBytes)
                    if roots.contains(id) {
                        result.deletionPlan.roots.insert(id)
                    } else {
                        result.deletionPlan.nodes.insert(id)
                    }
                } else {
                    result.report.young.nodes.add(info.sizeBytes)
                }
            }
        }
        progress("listing block lists")
        try forEachObject(below: ObjectKeys.lists) { info, name in
            guard !info.isTombstone, let id = ContentID(hex: name) else { return }
            result.withLock { result in
                if lists.contains(id) {
                    result.report.live.lists.add(info.sizeBytes)
                } else if info.modifiedSeconds < cutoff {
                    result.report.dead.lists.add(info.sizeBytes)
                    result.deletionPlan.lists.insert(NodeID(sameBytesAs: id))
                } else {
                    result.report.young.lists.add(info.sizeBytes)
                }
            }
        }
        progress("listing packs")
        try forEachObject(below: ObjectKeys.packs) { info, name in
            guard let id = PackID(hex: name) else { return }
            // The blocks of a pack that moved are found in other packs, and by readers that know only this one for as
            // long as the grace period.
            let since = movedPacks[id] ?? info.modifiedSeconds
            result.withLock { result in
                result.missingPacks.remove(id)
                if let use = packs[id] {
                    result.report.live.packs.add(info.sizeBytes)
                    guard use.bytes < info.sizeBytes else { return }
                    let dead = info.sizeBytes - use.bytes
                    result.report.partlyDead.add(dead)
                    if let share, Double(dead) >= share * Double(info.sizeBytes), since < cutoff {
                        result.report.repackable.add(dead)
                        result.deletionPlan.repackable[id] = use.bytes
                    }
                } else if since < cutoff {
                    result.report.dead.packs.add(info.sizeBytes)
                    result.deletionPlan.packs.append(id)
                } else {
                    result.report.young.packs.add(info.sizeBytes)
                }
            }
        }
        // Its bytes may lie in a pack that seems to be dead, because what leads there is lost.
        if let missing = result.withLock({ $0.missingPacks.map(ObjectKeys.pack).min() }) {
            throw ObjectDatabaseError.missingObject(object: missing, neededBy: "a commit that must stay")
        }
        (report, deletionPlan) = result.withLock { ($0.report, $0.deletionPlan) }
    }

    /// Calls `body` with every object below a prefix and the last part of its key, from several threads, a page at a
    /// time.
    func forEachObject(
        below prefix: String, _ body: @escaping @Sendable (ObjectInfo, Substring) throws -> Void
    ) throws {
        try concurrently(Self.shards, threads: repository.database.ioThreads) {
            [store = repository.database.store] shard in
            try store.forEachPage("\(prefix)\(shard)/") { objects in
                for info in objects { try body(info, info.key.dropFirst(prefix.count + shard.count + 1)) }
            }
        }
    }
}
