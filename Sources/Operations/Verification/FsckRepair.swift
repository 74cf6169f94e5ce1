import BlockCache
import ObjectDatabase
import ObjectStorage
import ProllyTree
import Versioning

package struct RepairReport: Sendable {
    /// What is (still) wrong.
    package var check: FsckReport
    /// Objects that were fetched again.
    package var repaired: [String] = []
    /// Objects that could not be, and why.
    package var failed: [(object: String, reason: String)] = []

    package init(check: FsckReport) { self.check = check }
}

extension Repository {
    /// Checks like `fsck`, and fetches damaged or missing packs, nodes, lists, commits and ref updates again from a
    /// mirror (or from what this is a mirror of), verified before they are written. Checks again until there is nothing
    /// left that can be fetched: behind a node that is back, more may be found missing.
    ///
    /// Refs are not taken from a mirror, which may be behind. The host's cache is emptied if anything was damaged: it
    /// may hold old copies.
    package func repair(
        from mirror: Repository, data: Bool, progress: @escaping @Sendable (String) -> Void = { _ in }
    ) throws -> RepairReport {
        guard mirror.database.config.id == database.config.id else {
            throw MirrorFault.otherRepository(
                location: mirror.database.store.location, found: mirror.database.config.id, wanted: database.config.id)
        }
        var report = RepairReport(check: try fsck(data: data, progress: progress))
        var tried: Set<String> = []
        while true {
            let open = report.check.damage.filter { tried.insert($0.object).inserted }
            if open.isEmpty { break }
            for damage in open {
                progress("fetching \(damage.object)")
                do {
                    try fetch(damage, from: mirror)
                    report.repaired.append(damage.object)
                } catch {
                    report.failed.append((damage.object, Self.reason(error)))
                }
            }
            // What was restored but is found damaged again is not tried a second time.
            report.check = try fsck(data: data, progress: progress)
        }
        if !report.repaired.isEmpty || !report.failed.isEmpty { try database.cache?.clear() }
        return report
    }

    private func fetch(_ damage: Damage, from mirror: Repository) throws {
        let name = damage.object.split(separator: "/").last ?? ""
        let kind = damage.object.prefix { $0 != "/" }
        switch kind {
        case "commits":
            try fetchRecord(damage.object, id: CommitID(hex: name), from: mirror)
        case "movements":
            try fetchRecord(damage.object, id: RefUpdateID(hex: name), from: mirror)
        case "trees":
            guard let id = NodeID(hex: name), let node = try mirror.database.storedNode(id) else {
                throw absent(damage, mirror)
            }
            try database.nodes.put(node.relocated((0..<node.count).map { node.item($0) }))
        case "lists":
            guard let id = ContentID(hex: name), let list = try mirror.database.storedList(id) else {
                throw absent(damage, mirror)
            }
            try database.lists.put(list)
        case "packs":
            guard let id = PackID(hex: name) else { throw absent(damage, mirror) }
            _ = try PackCopy(pack: id, source: mirror.database.store, target: database.store, blocks: damage.blocks)
                .run()
        default:
            throw ObjectDatabaseError.missingObject(object: damage.object, neededBy: "nothing that a mirror could give")
        }
    }

    private func fetchRecord<Kind>(_ key: String, id: Identifier<Kind>?, from mirror: Repository) throws {
        guard let id, let bytes = try mirror.database.storedBytes(key) else {
            throw ObjectDatabaseError.missingObject(object: key, neededBy: "the repair")
        }
        guard Identifier<Kind>(hashing: bytes) == id else {
            throw ObjectDatabaseError.corrupt(
                object: key, reason: "it is damaged at \(mirror.database.store.location) too")
        }
        _ = try database.store.put(key, bytes, .none)
    }

    private func absent(_ damage: Damage, _ mirror: Repository) -> ObjectDatabaseError {
        .corrupt(object: damage.object, reason: "\(mirror.database.store.location) does not have it")
    }
}
