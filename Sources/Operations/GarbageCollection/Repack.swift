import BlockingIO
import Logging
import ObjectDatabase
import ObjectStorage
import ProllyTree
import Synchronization
import Versioning

extension GarbageCollectionRun {
    /// Copies the blocks in use of packs that are mostly dead into new packs.
    ///
    /// 1. Find these packs' blocks, and the nodes and lists that name them.
    /// 2. Copy the blocks, verified, in the order in which they lie.
    /// 3. Note for each pack where its blocks went (`moved/`): who knows the old location finds the new one.
    /// 4. Write the nodes and lists again with the new locations.
    ///
    /// The old pack goes with a later run, when the note is older than the grace period and every running upload.
    mutating func repack() throws {
        guard !deletionPlan.repackable.isEmpty else { return }
        let packs = deletionPlan.repackable
        progress("finding the blocks of \(packs.count) packs")
        let (blocks, users) = try blocks(in: packs)
        let roots = Array(live.roots.prefix(1))
        try repository.database.writing(on: [], trees: roots, copiesLocations: false) {
            let moved = try copy(blocks)
            for (pack, locations) in moved {
                let move = PackForwardingRecord(when: now(), blocks: locations)
                // Another run was faster: its locations count, and what we copied is garbage.
                guard try repository.database.store.swap(ObjectKeys.moved(pack), from: nil, to: encodeRecord(move))
                else {
                    continue
                }
                report.repacked.add(locations.reduce(0) { $0 + UInt64($1.extent.storedLength) })
            }
            try relocate(users)
        }
    }

    private func blocks(in packs: [PackID: UInt64]) throws -> (blocks: [PackID: [PlacedBlock]], users: Users) {
        let found = live.result
        let collected = Mutex<([PackID: [UInt64: PlacedBlock]], Users)>(([:], Users()))
        @Sendable func note(_ list: BlockList) throws -> Bool {
            var isUser = false
            for placed in list.blocks.stored {
                let present = try moves.present(of: placed.extent)
                if present != placed.extent { isUser = true }
                guard packs[present.pack] != nil else { continue }
                isUser = true
                collected.withLock {
                    $0.0[present.pack, default: [:]][present.offset] = placed.moved(to: present)
                }
            }
            return isUser
        }
        try concurrently(Array(found.nodes), threads: repository.database.ioThreads) { [repository] id in
            guard let node = try repository.database.storedNode(id), node.isLeaf else { return }
            var isUser = false
            for index in 0..<node.count {
                guard let list = try LocatedEntry(item: node.item(index)).inlineList else { continue }
                isUser = try note(list) || isUser
            }
            if isUser { collected.withLock { $0.1.nodes.append(id) } }
        }
        try concurrently(Array(found.lists), threads: repository.database.ioThreads) { [repository] id in
            guard let list = try repository.database.storedList(id), try note(list) else { return }
            collected.withLock { $0.1.lists.append(id) }
        }
        let (blocks, users) = collected.withLock { $0 }
        return (blocks.mapValues { $0.values.sorted { $0.extent.offset < $1.extent.offset } }, users)
    }

    struct Users: Sendable {
        var nodes: [NodeID] = []
        var lists: [ContentID] = []
    }

    private func copy(
        _ blocks: [PackID: [PlacedBlock]]
    ) throws -> [(pack: PackID, locations: [(offset: UInt64, extent: Extent)])] {
        let uploads = UploadQueue(threads: 8, waiting: 2)
        let writer = PackWriter(store: repository.database.store, uploads: uploads, limitBytes: PackWriter.targetBytes)
        var moved: [(pack: PackID, locations: [(offset: UInt64, extent: Extent)])] = []
        for (number, (pack, placed)) in blocks.enumerated() {
            progress("rewriting pack \(number + 1) of \(blocks.count)")
            var locations: [(offset: UInt64, extent: Extent)] = []
            for group in stride(from: 0, to: placed.count, by: Self.blocksAtOnce) {
                let part = Array(placed[group..<min(group + Self.blocksAtOnce, placed.count)].enumerated())
                let fetched = Mutex<[Int: [UInt8]]>([:])
                try concurrently(part, threads: repository.database.ioThreads) { [repository] index, placed in
                    let stored = try repository.database.blocks.fetchStored(placed).stored
                    fetched.withLock { $0[index] = stored }
                }
                let bytes = fetched.withLock { $0 }
                for (index, placed) in part {
                    let extent = try (bytes[index] ?? []).withUnsafeBytes { stored in
                        try writer.append(
                            stored, codec: placed.extent.codec, plainBytes: Int(placed.block.length))
                    }
                    locations.append((placed.extent.offset, extent))
                }
            }
            moved.append((pack, locations))
        }
        try writer.endPack()
        try uploads.flush()
        return moved
    }

    /// Bounds the memory of a copy to as many blocks of 4 MiB at most.
    private static let blocksAtOnce = 32

    /// Writes nodes and lists again with the locations where their blocks are now.
    private func relocate(_ users: Users) throws {
        let fresh = PackForwarding(store: repository.database.store)
        _ = try fresh.list()
        progress("writing \(users.nodes.count + users.lists.count) nodes and lists again")
        try concurrently(users.nodes, threads: repository.database.ioThreads) { [repository] id in
            guard let node = try repository.database.storedNode(id) else { return }
            let items = try (0..<node.count).map { index in
                let item = node.item(index)
                var located = try LocatedEntry(item: item)
                located.extents = try located.extents.map { try fresh.present(of: $0) }
                return Item(
                    key: item.key, value: item.value,
                    location: located.extents.isEmpty ? item.location : encodeExtents(located.extents))
            }
            try repository.database.nodes.put(node.relocated(items))
        }
        try concurrently(users.lists, threads: repository.database.ioThreads) { [repository] id in
            guard let list = try repository.database.storedList(id) else { return }
            try repository.database.lists.put(
                list.moved { try fresh.present(of: $0.extent) })
        }
    }
}
