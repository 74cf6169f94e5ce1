import BlockingIO
import Glibc
import ObjectDatabase
import ObjectStorage
import ProllyTree
import Synchronization
package import Versioning

/// Something damaged, and what it takes with it.
package struct Damage: Sendable {
    package let object: String
    package let reason: String
    /// Paths that cannot be read (whole) because of it. For a tree node, the first and last path that it may hold.
    package var paths: [TreePath] = []
    package var isRange = false
    /// A commit in which they are.
    package var commit: CommitID?
    /// For a pack, the blocks of it that are in use.
    var blocks: [PlacedBlock] = []

    /// Each path once, in order, with how many versions of it are affected.
    package var versions: [(path: TreePath, count: Int)] {
        Dictionary(grouping: paths) { $0 }.map { ($0.key, $0.value.count) }.sorted { $0.path < $1.path }
    }
}

extension [Damage] {
    /// What is said of one object for one reason, said once, with all paths, each once.
    fileprivate func joinedByObject() -> [Damage] {
        var joined: [Damage] = []
        var places: [ObjectFault: Int] = [:]
        for damage in self {
            let key = ObjectFault(object: damage.object, reason: damage.reason)
            if let place = places[key], !damage.isRange {
                joined[place].paths += damage.paths
            } else {
                places[key] = joined.count
                joined.append(damage)
            }
        }
        return joined
    }
}

package struct FsckReport: Sendable {
    package var refs = 0
    package var commits = 0
    package var nodes = 0
    package var files = 0
    package var packs = 0
    package var blocks = 0
    package var bytesVerified: UInt64 = 0
    /// Commits whose data the garbage collector took.
    package var collected = 0
    package var damage: [Damage] = []
}

extension Repository {
    /// Checks everything that refs reach or ever showed: chains, commits, tree nodes, block lists, and that each pack exists
    /// and is long enough; with `data`, reads and hashes every block. What can be computed is computed and not believed:
    /// counts, generations, keys, places of blocks, and whether the collector could take what it says it took. Shared nodes
    /// and blocks are checked once. Goes past the caches.
    package func fsck(
        data: Bool, progress: @escaping @Sendable (String) -> Void = { _ in }
    ) throws -> FsckReport {
        var check = FsckRun(repository: self)
        let audit = try verifyAudit()
        check.report.refs = audit.refs
        for finding in audit.findings { check.note(ObjectFault(object: finding.object, reason: finding.reason)) }
        progress("listing packs")
        try check.listPacks()
        for id in try check.findCommits(unreferenced: audit.unreferenced) {
            progress("commit \(id.hex.prefix(12))")
            try check.commit(id)
        }
        try check.records()
        try check.packs()
        check.overlaps()
        if data { try check.data(progress) }
        check.nameFiles()
        check.report.damage = check.report.damage.joinedByObject()
        return check.report
    }
}

struct FsckRun {
    let repository: Repository
    var report = FsckReport()
    /// Nodes that were checked, with what is below them; `nil` for one that cannot be read (whole).
    var seenNodes: [NodeID: Commit.Counts?] = [:]
    /// Trees of heads whose directories were checked.
    var seenTrees: Set<NodeID> = []
    var history = RepositoryHistory(commits: [:], refUpdates: [:], refs: [])
    var commits: [CommitID: Commit] = [:]
    var collected: Set<NodeID> = []
    /// Those of `collected` whose records were read.
    var seenRecords: Set<NodeID> = []
    var proof: CollectionProof
    private var packSizes: [PackID: UInt64] = [:]
    /// Every stored block that a checked file refers to, and who refers to it.
    private var blocks: [Extent: (block: BlockReference, files: [Int])] = [:]
    private var files: [(path: TreePath, commit: CommitID)] = []
    var heads: Set<CommitID> = []
    /// Refs whose objects are there and cannot be read.
    var unreadable: Set<String> = []
    private let moves: PackForwarding
    private var badPacks: [PackID: String] = [:]
    private var badBlocks: [Extent: String] = [:]

    init(repository: Repository) {
        self.repository = repository
        proof = CollectionProof(repository)
        moves = PackForwarding(store: repository.database.store)
    }

    mutating func listPacks() throws {
        _ = try moves.list()
        packSizes = try repository.database.packSizes()
        report.packs = packSizes.count
    }

    func damaged(
        _ id: NodeID, _ error: TreeError, _ commit: CommitID, _ after: [UInt8], _ upTo: [UInt8]?
    ) -> Damage {
        let reason =
            switch error {
            case .missing: "it is missing"
            case .corrupt(_, let reason): reason
            case .unreadable(_, let reason), .unwritable(_, let reason): Repository.reason(reason)
            }
        // Keys that do not decode would have been reported with their own node.
        let range = [try? TreePath(itemKey: after), upTo.flatMap { try? TreePath(itemKey: $0) }].compactMap { $0 }
        return Damage(object: ObjectKeys.node(id), reason: reason, paths: range, isRange: true, commit: commit)
    }

    /// - Parameter leaf: the node that holds it.
    mutating func entry(_ item: Item, of leaf: NodeID, in commit: CommitID, _ counts: inout Commit.Counts) {
        do {
            let path = try TreePath(itemKey: item.key)
            let located = try LocatedEntry(item: item)
            counts.add(located.entry, sign: 1)
            if let foreign = located.entry.attributes.first(where: { !ExtendedAttribute.isUsers($0.name) }) {
                report.damage.append(
                    Damage(
                        object: name(of: item, leaf),
                        reason: "it has the attribute \(printableName(foreign.name)), which no commit holds",
                        paths: [path], commit: commit))
            }
            guard let content = located.entry.file else { return }
            report.files += 1
            files.append((path, commit))
            let list: BlockList
            if case .list(let id) = content.blocks {
                do {
                    let map = try repository.database.lists.reload(id)
                    guard map.sizeBytes == content.sizeBytes else {
                        throw ObjectDatabaseError.corrupt(
                            object: ObjectKeys.list(id),
                            reason: "its blocks are \(map.sizeBytes) bytes, the entry says \(content.sizeBytes)")
                    }
                    list = map.list
                } catch {
                    report.damage.append(
                        Damage(
                            object: ObjectKeys.list(id), reason: Repository.reason(error), paths: [path], commit: commit
                        ))
                    return
                }
            } else {
                list = located.inlineList ?? .empty
            }
            for placed in list.blocks.stored {
                let extent = placed.extent
                let present = packSizes[extent.pack] == nil ? try moves.present(of: extent) : extent
                blocks[present, default: (placed.block, [])].files.append(files.count - 1)
            }
        } catch ObjectDatabaseError.corrupt(let object, let reason) {
            // What says where its blocks lie now.
            report.damage.append(
                Damage(
                    object: object, reason: reason, paths: (try? [TreePath(itemKey: item.key)]) ?? [], commit: commit))
        } catch {
            report.damage.append(
                Damage(object: name(of: item, leaf), reason: Repository.reason(error), commit: commit))
        }
    }

    private func name(of item: Item, _ leaf: NodeID) -> String {
        "entry \(printableKey(item.key)) of \(ObjectKeys.node(leaf))"
    }

    /// Every pack that is referred to exists and reaches to its last block's end.
    mutating func packs() throws {
        report.blocks = blocks.count
        for extent in blocks.keys {
            // Written since the listing, perhaps.
            if packSizes[extent.pack] == nil {
                packSizes[extent.pack] = try repository.database.store.findInfo(ObjectKeys.pack(extent.pack))?.sizeBytes
            }
            guard let size = packSizes[extent.pack] else {
                badPacks[extent.pack] = "it is missing"
                continue
            }
            if extent.end > size {
                badBlocks[extent] = "the pack ends at byte \(size), before the block does"
            }
        }
    }

    /// Blocks of one pack lie one after the other, as they are stored and unpacked. Two that claim the same bytes cannot both be
    /// where they say, nor can one that follows another in the pack and not in its plain bytes.
    mutating func overlaps() {
        let ordered = blocks.keys.sorted { $0.storageOrder < $1.storageOrder }
        for (first, next) in zip(ordered, ordered.dropFirst()) where first.pack == next.pack {
            let length = UInt64(blocks[first]?.block.length ?? 0)
            if next.offset < first.end {
                badBlocks[next] = "it lies over the block at byte \(first.offset), or that over it"
            } else if next.offset == first.end, next.plainOffset != first.plainOffset + length {
                badBlocks[next] =
                    "its plain offset is \(next.plainOffset), and it follows plain byte \(first.plainOffset + length)"
            } else if next.plainOffset < first.plainOffset + length {
                badBlocks[next] = "its plain offset \(next.plainOffset) lies in the block at byte \(first.offset)"
            }
        }
        for extent in ordered where extent.offset == 0 && extent.plainOffset != 0 {
            badBlocks[extent] = "its plain offset is \(extent.plainOffset), and it is the first of its pack"
        }
    }

    mutating func data(_ progress: @escaping @Sendable (String) -> Void) throws {
        let wanted = blocks.filter { badPacks[$0.key.pack] == nil && badBlocks[$0.key] == nil }
            .sorted { $0.key.storageOrder < $1.key.storageOrder }
        let found = Mutex<(bad: [Extent: String], bytes: UInt64, count: Int)>(([:], 0, 0))
        try concurrently(
            wanted.map { PlacedBlock(block: $0.value.block, extent: $0.key) }, threads: repository.database.ioThreads
        ) {
            [repository] placed in
            var reason: String?
            do {
                _ = try repository.database.blocks.fetch(placed)
            } catch {
                reason = Repository.reason(error)
            }
            found.withLock { found in
                found.bad[placed.extent] = reason
                found.bytes += UInt64(placed.block.length)
                found.count += 1
                if found.count.isMultiple(of: 1000) { progress("\(found.count) of \(wanted.count) blocks") }
            }
        }
        found.withLock { found in
            badBlocks.merge(found.bad) { first, _ in first }
            report.bytesVerified = found.bytes
        }
    }

    /// Adds the damaged packs and blocks to the report with every path that needs them.
    mutating func nameFiles() {
        var byObject: [String: (reason: String, files: Set<Int>, pack: PackID)] = [:]
        for (extent, entry) in blocks {
            guard let reason = badPacks[extent.pack] ?? badBlocks[extent] else { continue }
            byObject[ObjectKeys.pack(extent.pack), default: (reason, [], extent.pack)].files.formUnion(entry.files)
        }
        var packed: [PackID: [PlacedBlock]] = [:]
        let damaged = Set(byObject.values.map(\.pack))
        for (extent, entry) in blocks where damaged.contains(extent.pack) {
            packed[extent.pack, default: []].append(PlacedBlock(block: entry.block, extent: extent))
        }
        for (object, entry) in byObject.sorted(by: { $0.key < $1.key }) {
            let affected = entry.files.map { files[$0] }.sorted { $0.path < $1.path }
            report.damage.append(
                Damage(
                    object: object, reason: entry.reason, paths: affected.map(\.path), commit: affected.first?.commit,
                    blocks: packed[entry.pack] ?? []))
        }
    }
}
