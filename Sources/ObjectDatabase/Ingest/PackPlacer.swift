import ProllyTree
package import Versioning

/// Takes prepared blocks in order and decides for each: known already, or into which pack.
///
/// What counts as known is only what a reachable commit references or what this very session has uploaded, never what a
/// HEAD finds in the bucket: that may be about to be collected. Owned by one consumer at a time.
package final class PackPlacer {
    private let database: ObjectDatabase
    private let uploads: UploadQueue
    private let spares = SpareParts()
    private let smallFiles: PackWriter
    private var largeFile: PackWriter?
    private let known: [BlockID: Extent]
    /// What this session has uploaded.
    private var added: [BlockID: Extent] = [:]
    private(set) var totals = Totals()

    package struct Totals: Sendable {
        /// Stored bytes that went into packs.
        package var uploadedBytes: UInt64 = 0
        /// Plain bytes of blocks that were known already.
        package var reusedBytes: UInt64 = 0
    }

    /// Beyond this many blocks duplicates are stored again rather than remembered: about 100 bytes of memory each.
    package static let maximumKnownBlocks = 2_000_000

    /// - Parameter known: blocks that the base tree references.
    package init(database: ObjectDatabase, known: [BlockID: Extent]) {
        self.database = database
        self.known = known
        uploads = UploadQueue(threads: 8, waiting: 2)
        smallFiles = PackWriter(
            store: database.store, uploads: uploads, limitBytes: PackWriter.targetBytes, spares: spares)
    }

    /// Begins a file whose blocks go into packs of their own.
    package func beginLargeFile() {
        largeFile = PackWriter(
            store: database.store, uploads: uploads, limitBytes: PackWriter.maximumBytes, spares: spares)
    }

    package func endLargeFile() throws {
        try largeFile?.endPack()
        largeFile = nil
    }

    func place(_ block: PreparedBlock) throws -> Extent {
        if block.codec == .zeros { return .zeros }
        if let extent = known[block.reference.id] ?? added[block.reference.id] {
            noteReused(block.reference)
            return extent
        }
        let extent = try block.withStored { stored in
            try (largeFile ?? smallFiles).append(
                stored, codec: block.codec, plainBytes: Int(block.reference.length))
        }
        totals.uploadedBytes += UInt64(extent.storedLength)
        remember(block.reference.id, extent)
        return extent
    }

    /// A block that stays where it is.
    package func noteReused(_ block: BlockReference) { totals.reusedBytes += UInt64(block.length) }

    private func remember(_ id: BlockID, _ extent: Extent) {
        if known.count + added.count < Self.maximumKnownBlocks { added[id] = extent }
    }

    /// Ends the last pack and waits until everything is in the bucket.
    package func finish() throws {
        try endLargeFile()
        try smallFiles.endPack()
        try uploads.flush()
    }
}

extension ObjectDatabase {
    /// The blocks that a tree references, for deduplication: by id, at most `limit` of them.
    package func knownBlocks(in tree: SnapshotTree, limit: Int) throws -> [BlockID: Extent] {
        var known: [BlockID: Extent] = [:]
        guard try tree.count() <= UInt64(limit) else { return known }
        try tree.forEach { item in
            let entry = try LocatedEntry(item: item)
            let list = try lists.map(of: entry).list
            for placed in list.blocks.stored {
                known[placed.block.id] = placed.extent
            }
            return known.count < limit
        }
        return known
    }
}
