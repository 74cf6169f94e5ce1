import Glibc
import Logging
import Synchronization

/// The files and the index of one open cache directory. Functions called `locked…` run under the exclusive lock.
final class CacheDisk: Sendable {
    let path: String
    let logger: Logger
    let index: CacheIndex
    let packs: KeyedDirectory<CacheKey>
    let objects: KeyedDirectory<CacheKey>
    let tables: BlockTables
    let files: OpenFiles
    let lock: ExclusiveLock
    let evictions = Atomic<UInt64>(0)
    let corruptBlocks = Atomic<UInt64>(0)
    /// Shared lock on the `open` file for as long as this process has the cache open.
    private let openMark: OpenMark
    private let lastComplaint = Mutex<UInt64?>(nil)

    init(
        path: String, logger: Logger, index: CacheIndex, packs: KeyedDirectory<CacheKey>,
        objects: KeyedDirectory<CacheKey>, tables: BlockTables, files: OpenFiles, lock: ExclusiveLock,
        openMark: OpenMark
    ) {
        self.path = path
        self.logger = logger
        self.index = index
        self.packs = packs
        self.objects = objects
        self.tables = tables
        self.files = files
        self.lock = lock
        self.openMark = openMark
    }

    // MARK: Blocks

    /// Writes a verified block, making room first. nil if it could not be kept, which is not an error: it is logged
    /// at most once a minute, and the caller has the bytes.
    func fill(_ block: BlockAddress, _ bytes: UnsafeRawBufferPointer) -> CacheIndex.Reference? {
        // A page more: its table may need one.
        let need = DiskIO.pageSpan(block.offset..<block.end) + DiskIO.pageBytes
        let filled = lock.tryWithLock { () -> CacheIndex.Reference? in
            lockedWithRoom(for: need, keeping: block.segment) { () throws(DiskFailure) in
                try lockedWrite(block, bytes, need: need)
            }
        }
        if filled == nil { complain("another process holds the lock of the cache") }
        return filled ?? nil
    }

    /// Runs `write` with `need` bytes free below the limit, a second time after evicting more if the disk failed it.
    private func lockedWithRoom<T>(
        for need: UInt64, keeping id: SegmentID, _ write: () throws(DiskFailure) -> T
    ) -> T? {
        guard need <= index.limitBytes else { return nil }
        if let own = index.find(id) { index.touch(own.slot) }
        guard lockedMakeRoom(for: need) else { return nil }
        do throws(DiskFailure) {
            return try write()
        } catch {
            guard error.mayPassAfterEviction, lockedEvict(atLeast: max(need, evictionBatchBytes)) > 0 else {
                complain("cannot keep: \(error.operation): \(String(cString: strerror(error.errno)))")
                return nil
            }
        }
        do throws(DiskFailure) {
            return try write()
        } catch {
            complain("cannot keep, even after evicting: \(error.operation): \(String(cString: strerror(error.errno)))")
            return nil
        }
    }

    private func lockedWrite(
        _ block: BlockAddress, _ bytes: UnsafeRawBufferPointer, need: UInt64
    ) throws(DiskFailure) -> CacheIndex.Reference {
        try lockedEvictConflicts(with: block)
        // The slot comes first: to get one may evict the last segment of this very pack, and its file with it.
        guard let reference = lockedSlot(block.segment, extent: block.offset..<block.offset) else { throw .held }
        let slot = index[reference.slot]
        let file: OpenFile
        do throws(DiskFailure) {
            guard let opened = try files.current(block.key, create: true) else {
                throw DiskFailure(operation: "create", errno: ENOENT)
            }
            file = opened
        } catch {
            if slot.bytesOnDisk == 0 { lockedEvict(slot: reference.slot) }
            throw error
        }

        // Charged before writing and put right afterwards: if we are killed between, the charge is not too low.
        let before = file.withDescriptor(DiskIO.bytesOnDisk)
        charge(slot, need)
        var failure: DiskFailure?
        var tableBytes: UInt64 = 0
        do throws(DiskFailure) {
            tableBytes = try tables.append(block, reference)
            // After the record: evicting takes the bytes of the whole extent, and what no record claims may be another's.
            slot.widenExtent(to: block.offset..<block.end)
            index.duringFill { failure = Self.write(block, bytes, to: file) }
        } catch {
            failure = error
        }
        let after = file.withDescriptor(DiskIO.bytesOnDisk)
        discharge(slot, need)
        charge(slot, (after > before ? after - before : 0) + tableBytes)

        if let failure {
            // What was written stays and does not verify; a segment that was begun for this block goes again.
            if slot.bytesOnDisk == 0 || slot.extent.isEmpty || slot.extent == block.offset..<block.end {
                lockedEvict(slot: reference.slot)
            }
            throw failure
        }
        return reference
    }

    /// Evicts the segments in which another block claims bytes of this one: one of the two claims is wrong, and the
    /// cache cannot tell which. Throws `.held` when a reader holds the pack's file as a whole.
    private func lockedEvictConflicts(with block: BlockAddress) throws(DiskFailure) {
        for segment in block.segment.neighbours(upTo: block.end) {
            guard let reference = index.find(segment),
                try tables.conflict(with: block, in: segment, reference)
            else { continue }
            complain(
                "two blocks claim byte \(block.offset) of pack \(block.key.fileName); run 'tarn fsck' to find the wrong one"
            )
            guard lockedEvict(slot: reference.slot) else { throw .held }
        }
    }

    /// Whoever holds the file reads to its end, so it must not grow meanwhile.
    private static func write(
        _ block: BlockAddress, _ bytes: UnsafeRawBufferPointer, to file: OpenFile
    ) -> DiskFailure? {
        let write = { file.withDescriptor { DiskIO.writeAll($0, bytes, at: block.offset) } }
        if block.end <= file.withDescriptor(DiskIO.sizeBytes) { return write() }
        return file.unlessHeld(write) ?? .held
    }

    /// The stable slot of a segment, created if need be; nil where all that could give way is held. The generation
    /// stands until the next eviction.
    private func lockedSlot(_ id: SegmentID, extent: Range<UInt64>) -> CacheIndex.Reference? {
        if let present = index.find(id) { return present }
        let bucket = index.bucket(of: id)
        // A process was killed while it evicted the segment: what it left must not be evicted again later, under the
        // feet of the new slot.
        for left in bucket where index[left].holds(id) && !lockedEvict(slot: left) { return nil }
        let byAge = { bucket.sorted { self.index[$0].lastUse < self.index[$1].lastUse } }
        guard let number = bucket.first(where: { !index[$0].isInUse }) ?? byAge().first(where: lockedEvict) else {
            return nil
        }
        // What a process that was killed has left of it.
        if id.kind == .pack { tables.remove(id) }
        index[number].assign(id, extent: extent, now: index.now)
        return CacheIndex.Reference(slot: number, generation: index[number].generation)
    }

    // MARK: Objects

    /// Writes a whole object in the place of an older one. Does nothing if `isAbandoned` under the lock.
    func fillObject(_ key: CacheKey, _ bytes: [UInt8], isAbandoned: () -> Bool) {
        let id = SegmentID.object(key)
        let file = ObjectFile.encode(bytes)
        let need = DiskIO.pageRoundUp(UInt64(file.count))
        let filled: Void? = lock.tryWithLock {
            if isAbandoned() { return }
            if let old = index.find(id) { lockedEvict(slot: old.slot) }
            _ = lockedWithRoom(for: need, keeping: id) { () throws(DiskFailure) in
                guard let number = lockedSlot(id, extent: 0..<0)?.slot else { throw .held }
                charge(index[number], need)
                do throws(DiskFailure) {
                    let size = try objects.replace(key, with: file)
                    discharge(index[number], need)
                    charge(index[number], size)
                } catch {
                    lockedEvict(slot: number)
                    throw error
                }
            }
        }
        if filled == nil { complain("another process holds the lock of the cache") }
    }

    func removeObject(_ key: CacheKey) {
        let removed: Void? = lock.tryWithLock {
            if let reference = index.find(.object(key)) { lockedEvict(slot: reference.slot) }
        }
        // A slot without its file is only a miss, and its charge goes when it is evicted.
        if removed == nil { objects.remove(key) }
    }

    // MARK: Accounts and complaints

    func charge(_ slot: Slot, _ bytes: UInt64) {
        slot.bytesOnDisk += bytes
        index.usedBytes += bytes
    }

    func discharge(_ slot: Slot, _ bytes: UInt64) {
        let bytes = min(bytes, slot.bytesOnDisk)
        slot.bytesOnDisk -= bytes
        index.usedBytes -= min(bytes, index.usedBytes)
    }

    /// Logs at most once a minute; what is passed over is of the same kind, a cache that does not keep.
    func complain(_ reason: String) {
        let now = CacheIndex.monotonicMilliseconds()
        let isDue = lastComplaint.withLock { last in
            if let last, now < last + 60_000 { return false }
            last = now
            return true
        }
        if isDue { logger.warning("block cache \(path): \(reason); reading on uncached") }
    }
}
