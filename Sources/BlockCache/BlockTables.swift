import BlockingIO
import Glibc
import Synchronization

/// Which blocks were written into which segment: `tables/<2 hex>/<pack>-<segment>`, one record a block.
///
/// Where a block lies in its pack is a claim that nothing proves: it comes from the unhashed part of a tree node. Two
/// blocks that are both what they should be may claim the same place. So a range of a pack is written once:
/// - A block's record is appended before its bytes are written, and only if it lies over no other block.
/// - A process trusts bytes only if their block's record is there.
/// - A record goes only with its whole segment, after the segment's generation has changed.
/// Bytes that any process has verified therefore do not change while the generation stands.
///
/// A table that was torn by power loss lacks records (those blocks are fetched again) or contradicts itself (the segment
/// is evicted).
final class BlockTables: Sendable {
    private static let shardCount = 16

    /// A table as far as it was read.
    fileprivate struct Entry: Sendable {
        let reference: CacheIndex.Reference
        let file: OpenFile
        var table = SegmentTable()
        var bytesRead = 0
        /// It contradicts itself.
        var isBroken = false
    }

    private final class Shard: Sendable {
        let entries: Mutex<BoundedCache<SegmentID, Entry>>

        init(limit: Int) { entries = Mutex(BoundedCache(limit: limit)) }
    }

    private let directory: KeyedDirectory<SegmentID>
    private let shards: [Shard]

    /// - Parameter limit: how many tables are kept in memory, about, each with an open file.
    init(directory: KeyedDirectory<SegmentID>, limit: Int) {
        self.directory = directory
        shards = (0..<Self.shardCount).map { _ in Shard(limit: max(1, limit / Self.shardCount)) }
    }

    /// Whether the block was written into the segment as `reference` saw it. Who got true must look whether the reference
    /// is still current. Takes no lock of the cache.
    func holds(_ block: BlockAddress, _ reference: CacheIndex.Reference) -> Bool {
        // A table that cannot be read is as good as none: the block is fetched again.
        let found = try? withEntry(block.segment, reference) { entry in
            !entry.isBroken && entry.table.holds(SegmentTable.Record(block))
        }
        return found ?? false
    }

    /// Whether another block lies over bytes of `block` in this segment. Under the exclusive lock.
    func conflict(
        with block: BlockAddress, in segment: SegmentID, _ reference: CacheIndex.Reference
    ) throws(DiskFailure) -> Bool {
        try withEntry(segment, reference) { entry in
            entry.isBroken || entry.table.conflicts(with: SegmentTable.Record(block))
        } ?? false
    }

    /// Notes a block that conflicts with none, if it is not noted. Under the exclusive lock, before its bytes are written.
    /// - Returns: the bytes that the table takes on disk more than before.
    func append(_ block: BlockAddress, _ reference: CacheIndex.Reference) throws(DiskFailure) -> UInt64 {
        let record = SegmentTable.Record(block)
        let grown = try withEntry(block.segment, reference, create: true) { entry throws(DiskFailure) -> UInt64 in
            if entry.table.holds(record) { return 0 }
            let before = entry.file.withDescriptor(DiskIO.bytesOnDisk)
            // Over the rest of a record that somebody did not live to write whole.
            let failure = record.encoded.withUnsafeBytes { bytes in
                entry.file.withDescriptor { DiskIO.writeAll($0, bytes, at: UInt64(entry.bytesRead)) }
            }
            if let failure { throw failure }
            if !entry.table.insert(record) { entry.isBroken = true }
            entry.bytesRead += SegmentTable.Record.encodedBytes
            let after = entry.file.withDescriptor(DiskIO.bytesOnDisk)
            return after - min(before, after)
        }
        guard let grown else { throw DiskFailure(operation: "create", errno: ENOENT) }
        return grown
    }

    /// Forgets a segment's blocks. Under the exclusive lock, while the segment is hidden or new.
    func remove(_ segment: SegmentID) {
        shard(segment).entries.withLock { $0.remove(segment) }
        directory.remove(segment)
    }

    func removeAll() throws(DiskFailure) {
        for shard in shards { shard.entries.withLock { $0.removeAll() } }
        try directory.removeAll()
    }

    /// All tables, with the bytes they take on disk; `nil` for a file that is none.
    func list() throws(DiskFailure) -> [KeyedDirectory<SegmentID>.Entry] { try directory.list() }

    func removeEntry(_ path: String) { directory.removeEntry(path) }

    /// Runs `body` with the table as it is on disk now; nil if there is none and none is to be made.
    private func withEntry<T>(
        _ segment: SegmentID, _ reference: CacheIndex.Reference, create: Bool = false,
        _ body: (inout Entry) throws(DiskFailure) -> T
    ) throws(DiskFailure) -> T? {
        try shard(segment).entries.withLock { entries throws(DiskFailure) -> T? in
            var entry: Entry
            if let known = entries.value(for: segment), known.reference == reference {
                entry = known
            } else {
                entries.remove(segment)
                guard let descriptor = try directory.open(segment, create ? O_RDWR | O_CREAT : O_RDWR) else {
                    return nil
                }
                entry = Entry(reference: reference, file: OpenFile(descriptor: descriptor))
            }
            // Taken out first: the table is then changed in place instead of copied.
            entries.remove(segment)
            defer { entries.insert(entry, for: segment) }
            try entry.readNew(of: segment)
            return try body(&entry)
        }
    }

    private func shard(_ id: SegmentID) -> Shard {
        shards[Int(truncatingIfNeeded: id.placement) & (Self.shardCount - 1)]
    }
}

extension BlockTables.Entry {
    /// Reads what was appended since.
    fileprivate mutating func readNew(of segment: SegmentID) throws(DiskFailure) {
        let unread = Int(clamping: file.withDescriptor(DiskIO.sizeBytes)) - bytesRead
        let count = unread / SegmentTable.Record.encodedBytes * SegmentTable.Record.encodedBytes
        guard count > 0 else { return }
        guard unread <= Self.maximumTableBytes else {
            isBroken = true
            return
        }
        var bytes = [UInt8](repeating: 0, count: count)
        let offset = UInt64(bytesRead)
        let isRead = bytes.withUnsafeMutableBytes { buffer in
            file.withDescriptor { DiskIO.readAll($0, into: buffer, at: offset) }
        }
        guard isRead else {
            throw DiskFailure(operation: "read a table", errno: EIO)
        }
        bytes.withUnsafeBytes { raw in
            for start in stride(from: 0, to: count, by: SegmentTable.Record.encodedBytes) {
                let part = UnsafeRawBufferPointer(rebasing: raw[start..<start + SegmentTable.Record.encodedBytes])
                guard let record = SegmentTable.Record(decoding: part, in: segment), table.insert(record) else {
                    isBroken = true
                    continue
                }
            }
        }
        bytesRead += count
    }

    /// No segment has more blocks than bytes.
    fileprivate static var maximumTableBytes: Int { Int(SegmentID.sizeBytes) * SegmentTable.Record.encodedBytes }
}
