import BlockingIO
import Glibc
package import Logging
import Synchronization

/// A bounded disk cache of verified blocks and small objects, shared by all processes that open one directory.
///
/// It is disposable: losing any part of it costs fetching again, never a wrong byte and never an error of a read.
/// - Only verified bytes are stored, and each process verifies what it finds on disk before it first serves it.
///   Bytes that rot on disk *after* that are not noticed by that process.
/// - What is used least recently goes first, 8 MiB of a pack (or one object) at a time, so that the files take no more
///   than the limit; a read may exceed it by its one block. The index (4 MiB or more) is not counted.
/// - A block larger than the limit, a full or read-only disk, a lock that another process does not let go of:
///   then the block is fetched, checked and served, but not kept.
/// - Blocks of zeros are answered by the caller and do not come here.
///
/// Every function blocks; call from threads that may. A process that forks to become a daemon opens the cache
/// afterwards.
package final class BlockCache: Sendable {
    package static let defaultLimitBytes: UInt64 = 10 << 30

    private let disk: CacheDisk
    private let verified = VerifiedBlocks()
    private let flights = SingleFlight()
    private let writes = DeferredWrites()
    private let hits = Atomic<UInt64>(0)
    private let misses = Atomic<UInt64>(0)
    private let bytesFetched = Atomic<UInt64>(0)
    /// Objects kept before this second count as absent.
    private let objectsTrustedFrom = Atomic<Int64>(.min)

    /// Opens the cache in `directory`, which is created (0700) if it is missing, but not its parents.
    /// The limit is kept with the cache: that of the last opener that gives one holds for all, at once; without any it
    /// is `defaultLimitBytes`. See `checkLimit`.
    /// - Parameters:
    ///   - slotCapacity: how many segments and objects the index has room for, if it is created now; by default
    ///     one for 256 KiB of the limit, 65,536 to 4 Mi.
    ///   - openFileLimit: descriptors of packs kept open, about, and as many of tables.
    package init(
        directory: String, limitBytes: UInt64?, logger: Logger, slotCapacity: Int? = nil,
        openFileLimit: Int = min(256, descriptorLimit() / 8)
    ) throws(BlockCacheError) {
        disk = try CacheDisk.open(
            path: directory, limitBytes: limitBytes,
            slotCapacity: slotCapacity
                ?? CacheIndex.defaultSlotCapacity(limitBytes: limitBytes ?? Self.defaultLimitBytes),
            openFileLimit: openFileLimit, logger: logger)
    }

    /// Throws `.limitBeyondDisk` for a limit that somebody asks for and the disk of `directory` can never hold.
    package static func checkLimit(_ limitBytes: UInt64, in directory: String) throws(BlockCacheError) {
        var info = statvfs()
        guard statvfs(directory, &info) == 0 else {
            throw .system(operation: "statvfs", path: directory, errno: errno)
        }
        let (bytes, isOver) = UInt64(info.f_blocks).multipliedReportingOverflow(by: UInt64(info.f_frsize))
        // Some filesystems tell no size.
        guard !isOver, bytes > 0, limitBytes > bytes else { return }
        throw .limitBeyondDisk(path: directory, limitBytes: limitBytes, diskBytes: bytes)
    }

    /// From now on who fetches a large block does not wait until it is kept. For a process that stays: what is not written
    /// when it ends is lost.
    package func deferWrites() { writes.begin() }

    /// Where the bytes of a read came from; in the last case there are none.
    package enum ReadOutcome: Sendable, Equatable {
        /// From disk, or from what another thread was just fetching.
        case cached
        case fetched
        /// `fetch` gave bytes of another length or that `verify` refused. The buffer holds nothing of them.
        case fetchedBytesDoNotVerify
    }

    /// Copies the bytes [within, within + buffer.count) of a block into `buffer`.
    ///
    /// A block that is not here is fetched whole, once however many threads of this process wait for it; they all get
    /// its bytes, or its error. `fetch` runs without any lock and may `store` other blocks, but must not `read` this.
    /// - Parameter verify: is given the whole block; true if it is the right one.
    /// - Throws: what `fetch` throws, and nothing else.
    package func read<E: Error>(
        _ block: BlockAddress, within: Int, into buffer: UnsafeMutableRawBufferPointer,
        verify: (UnsafeRawBufferPointer) -> Bool, fetch: () throws(E) -> [UInt8]
    ) throws(E) -> ReadOutcome {
        precondition(within >= 0 && within + buffer.count <= block.length, "the range lies in the block")
        if buffer.isEmpty { return .cached }
        if serve(block, within: within, into: buffer) {
            hits.add(1, ordering: .relaxed)
            return .cached
        }
        var hasFetched = false
        let loaded = try flights.run(.block(block)) { () throws(E) -> Loaded in
            if let bytes = verifiedOnDisk(block, verify) { return .cached(bytes) }
            hasFetched = true
            return try fetchVerified(length: block.length, verify, fetch)
        } keep: { loaded, _, done in
            guard case .fetched(let bytes) = loaded else { return done() }
            writes.run(bytes: bytes.count) { [self] in
                bytes.withUnsafeBytes { store(block, bytes: $0) }
                done()
            }
        }
        if !hasFetched { hits.add(1, ordering: .relaxed) }
        switch loaded {
        case .fetchedBytesDoNotVerify: return .fetchedBytesDoNotVerify
        case .cached(let bytes), .fetched(let bytes):
            bytes.withUnsafeBytes {
                buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[within...].prefix(buffer.count)))
            }
        }
        return hasFetched ? .fetched : .cached
    }

    /// True if a read would probably not fetch. Reads and hashes nothing, so it may be wrong either way.
    package func contains(_ block: BlockAddress) -> Bool {
        if let reference = verified.reference(block), disk.index.isCurrent(reference) { return true }
        return flights.isUnderWay(.block(block)) || disk.location(of: block) != nil
    }

    /// Keeps bytes of a block that the caller has verified. If they cannot be kept, nothing is.
    package func store(_ block: BlockAddress, bytes: UnsafeRawBufferPointer) {
        precondition(bytes.count == block.length, "a block is stored whole")
        if let reference = verified.reference(block), disk.index.isCurrent(reference) { return }
        guard let reference = disk.fill(block, bytes) else { return }
        verified.insert(block, reference, index: disk.index)
    }

    /// A file on disk with just the bytes of these blocks, for readers who go past this cache. The blocks follow each
    /// other from offset 0 of one pack. nil unless each was read or stored by this process and is still here, and the
    /// pack has no other block here. Blocks shortly; about 0.1 µs a block.
    package func wholeFile(_ blocks: [BlockAddress]) -> WholeFile? {
        var end: UInt64 = 0
        for block in blocks {
            guard block.key == blocks[0].key, block.offset == end else { return nil }
            end = block.end
        }
        if writes.areWaiting, blocks.contains(where: { flights.isUnderWay(.block($0)) }) { writes.wait() }
        return disk.wholeFile(blocks, sizeBytes: end, verified: verified)
    }

    /// Some file of the kind that `wholeFile` gives, for trying what may be done with one.
    package func sampleFile() -> WholeFile? { disk.sampleFile() }

    /// A whole object, verified each time. Fetched once however many threads of this process wait.
    /// - Returns: nil if the fetched bytes do not verify; they are not kept.
    /// - Throws: what `fetch` throws, and nothing else.
    package func object<E: Error>(
        _ key: CacheKey, verify: (UnsafeRawBufferPointer) -> Bool, fetch: () throws(E) -> [UInt8]
    ) throws(E) -> [UInt8]? {
        var hasFetched = false
        let loaded = try flights.run(.object(key)) { () throws(E) -> Loaded in
            let trusted = objectsTrustedFrom.load(ordering: .acquiring)
            if let bytes = disk.readObject(key, keptSince: trusted, verify: verify) { return .cached(bytes) }
            hasFetched = true
            return try fetchVerified(length: nil, verify, fetch)
        } keep: { loaded, flight, done in
            defer { done() }
            guard case .fetched(let bytes) = loaded else { return }
            disk.fillObject(key, bytes) { flight.isAbandoned.load(ordering: .acquiring) }
        }
        if !hasFetched { hits.add(1, ordering: .relaxed) }
        switch loaded {
        case .cached(let bytes), .fetched(let bytes): return bytes
        case .fetchedBytesDoNotVerify: return nil
        }
    }

    /// Keeps an object in the place of what was there: `object` answers these bytes, also where a fetch is under way in this
    /// process now. If they cannot be kept, nothing is.
    package func keepObject(_ key: CacheKey, _ bytes: [UInt8]) {
        flights.abandon(.object(key))
        disk.removeObject(key)
        disk.fillObject(key, bytes) { false }
    }

    /// Forgets an object: the next `object` fetches, even if a fetch of it is under way in this process now.
    /// Another process that is fetching at this moment may still put back what it gets.
    package func discardObject(_ key: CacheKey) {
        flights.abandon(.object(key))
        disk.removeObject(key)
    }

    /// From now on this process fetches objects that were kept before `seconds` (of this host's clock, since 1970) again,
    /// and keeps them anew; also those that are being loaded now.
    package func distrustObjects(keptBefore seconds: Int64) {
        objectsTrustedFrom.store(seconds, ordering: .releasing)
        flights.abandonObjects()
    }

    /// Removes everything for all processes. Reads go on meanwhile, as misses.
    package func clear() throws(BlockCacheError) {
        let cleared: Void?
        do throws(DiskFailure) {
            cleared = try disk.lock.tryWithLock(waitMilliseconds: 10_000) { () throws(DiskFailure) in
                try disk.lockedClear()
            }
        } catch {
            throw error.error(path: disk.path)
        }
        if cleared == nil { throw .lockTimedOut(path: disk.path) }
    }

    /// The most that the files of the cache take, in bytes.
    package var limitBytes: UInt64 { disk.index.limitBytes }

    /// Bytes and counts of slots are of the cache, the other counts of this process since it opened it.
    package func status() -> CacheStatus {
        writes.wait()
        let slots = disk.index.slotsInUse()
        return CacheStatus(
            usedBytes: disk.index.usedBytes, limitBytes: disk.index.limitBytes, segments: slots.packs,
            objects: slots.objects, slotCapacity: disk.index.slotCount, hits: hits.load(ordering: .relaxed),
            misses: misses.load(ordering: .relaxed), bytesFetched: bytesFetched.load(ordering: .relaxed),
            evictions: disk.evictions.load(ordering: .relaxed),
            corruptBlocks: disk.corruptBlocks.load(ordering: .relaxed))
    }

    // MARK: Parts of a read

    /// Fills the buffer from a block that this process has verified. False if it is gone.
    private func serve(_ block: BlockAddress, within: Int, into buffer: UnsafeMutableRawBufferPointer) -> Bool {
        guard let reference = verified.reference(block), disk.index.isCurrent(reference),
            let file = disk.files.any(block.key),
            file.withDescriptor({ DiskIO.readAll($0, into: buffer, at: block.offset + UInt64(within)) }),
            // Last: an eviction that took bytes before they were read has changed the generation before it took them.
            disk.index.isCurrent(reference)
        else { return false }
        disk.index.touch(reference.slot)
        return true
    }

    private func verifiedOnDisk(_ block: BlockAddress, _ verify: (UnsafeRawBufferPointer) -> Bool) -> [UInt8]? {
        guard let (bytes, reference) = disk.readBlock(block, verify: verify) else { return nil }
        verified.insert(block, reference, index: disk.index)
        disk.index.touch(reference.slot)
        return bytes
    }

    private func fetchVerified<E: Error>(
        length: Int?, _ verify: (UnsafeRawBufferPointer) -> Bool, _ fetch: () throws(E) -> [UInt8]
    ) throws(E) -> Loaded {
        misses.add(1, ordering: .relaxed)
        let bytes = try fetch()
        bytesFetched.add(UInt64(bytes.count), ordering: .relaxed)
        guard length == nil || bytes.count == length, bytes.withUnsafeBytes(verify) else {
            return .fetchedBytesDoNotVerify
        }
        return .fetched(bytes)
    }
}

package struct CacheStatus: Sendable, Equatable {
    package let usedBytes: UInt64
    package let limitBytes: UInt64
    /// 8 MiB pieces of packs of which something is here.
    package let segments: Int
    package let objects: Int
    /// Room for segments and objects together.
    package let slotCapacity: Int
    /// Reads served without a fetch of their own.
    package let hits: UInt64
    package let misses: UInt64
    package let bytesFetched: UInt64
    /// Segments and objects evicted or replaced by this process.
    package let evictions: UInt64
    /// Blocks and objects found on disk with other bytes than they should have; they were fetched again.
    package let corruptBlocks: UInt64
}
