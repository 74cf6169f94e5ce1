import Glibc
import Synchronization

/// The shared table of segments: a file that every process with the cache open has mapped.
///
/// ```
/// word of the header (8 bytes each, native order, padded to 4,096 bytes)
///   0 magic   1 version   2 buckets   3 bytes of a segment   4 limit, bytes   5 used, bytes
///   6 what is added to the monotonic clock (ms)   7 fills begun and ended: odd while one is under way
/// word of a slot (64 bytes)
///   0 generation   1 key, high   2 key, low   3 kind << 32 | segment number   4 bytes on disk
///   5 lowest start of a block   6 highest end of a block   7 last use (ms)
/// ```
///
/// 64 slots make a bucket, and a segment's bucket follows from its hash: a lookup reads at most one page, there are no
/// tombstones, and a full bucket gives up its least recently used slot.
///
/// Slots change under the exclusive lock only. A generation is even while its slot is stable and odd while the slot is
/// being filled in or evicted; it only ever grows, also when the slot passes to another segment. So whoever saw the
/// same even generation before and after reading a file has read bytes of that segment that no eviction touched.
///
/// The whole file is allocated at creation: storing into a hole of a mapping on a full disk would be SIGBUS.
final class CacheIndex: @unchecked Sendable {
    // SAFETY: `words` stays mapped until deinit and every access goes through an atomic load or store.

    static let magic: UInt64 = 0x5441_524E_2D42_4C4B
    static let version: UInt64 = 2
    static let headerBytes = 4096
    static let slotsPerBucket = 64
    static let bucketBytes = slotsPerBucket * Slot.sizeBytes

    typealias Word = Atomic<UInt64>

    let bucketCount: Int
    private let words: UnsafeMutablePointer<Word>
    private let mappedBytes: Int

    /// One slot at one time: what a verified block is bound to.
    struct Reference: Sendable, Equatable {
        let slot: Int
        let generation: UInt64
    }

    /// Maps an index of `bucketCount` buckets. The file behind `descriptor` has `fileBytes(bucketCount)` bytes; the
    /// descriptor may be closed afterwards.
    init(mapping descriptor: Int32, bucketCount: Int) throws(DiskFailure) {
        self.bucketCount = bucketCount
        mappedBytes = Self.fileBytes(bucketCount)
        let raw = mmap(nil, mappedBytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
        guard let raw, raw != MAP_FAILED else { throw DiskFailure(operation: "mmap", errno: errno) }
        // SAFETY: `Atomic<UInt64>` has the layout of `UInt64`, the mapping is page-aligned, any bit pattern is a value.
        words = raw.assumingMemoryBound(to: Word.self)
    }

    deinit {
        munmap(words, mappedBytes)
    }

    static func fileBytes(_ bucketCount: Int) -> Int { headerBytes + bucketCount * bucketBytes }

    /// Room for segments of 256 KiB each, 65,536 to 4 Mi slots.
    static func defaultSlotCapacity(limitBytes: UInt64) -> Int {
        Int(min(max(limitBytes / (256 << 10), 65_536), 4 << 20))
    }

    var slotCount: Int { bucketCount * Self.slotsPerBucket }

    subscript(slot: Int) -> Slot {
        Slot(words: words + (Self.headerBytes + slot * Slot.sizeBytes) / MemoryLayout<Word>.stride)
    }

    func bucket(of id: SegmentID) -> Range<Int> {
        let first = Int(id.placement.multipliedFullWidth(by: UInt64(bucketCount)).high) * Self.slotsPerBucket
        return first..<first + Self.slotsPerBucket
    }

    /// The stable slot of a segment. Takes no lock; while the slot is changing there is none.
    func find(_ id: SegmentID) -> Reference? {
        for number in bucket(of: id) {
            let slot = self[number]
            let generation = slot.words[0].load(ordering: .acquiring)
            // A bucket fills from its front, so behind a slot that was never used there is nothing.
            if generation == 0 { return nil }
            guard generation & 1 == 0, slot.holds(id) else { continue }
            let reference = Reference(slot: number, generation: generation)
            return isCurrent(reference) ? reference : nil
        }
        return nil
    }

    /// True if nothing happened to the slot: everything read before this call was read from the stable slot.
    func isCurrent(_ reference: Reference) -> Bool {
        atomicMemoryFence(ordering: .acquiring)
        return self[reference.slot].words[0].load(ordering: .acquiring) == reference.generation
    }

    func touch(_ slot: Int) {
        let now = now
        let word = 7
        // Most hits fall into the same tick: reading first leaves the cache line shared between the cores.
        if self[slot].words[word].load(ordering: .relaxed) != now {
            self[slot].words[word].store(now, ordering: .relaxed)
        }
    }

    /// Milliseconds, a few of them to a tick; the same for all processes and never smaller than after the last start.
    var now: UInt64 { Self.monotonicMilliseconds() &+ words[6].load(ordering: .relaxed) }

    static func monotonicMilliseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC_COARSE, &time)
        return UInt64(time.tv_sec) * 1000 + UInt64(time.tv_nsec) / 1_000_000
    }
}

// MARK: Header

extension CacheIndex {
    var limitBytes: UInt64 {
        get { words[4].load(ordering: .relaxed) }
        set { words[4].store(newValue, ordering: .relaxed) }
    }

    /// No disk is larger, and sums with it cannot overflow.
    static let maximumUsedBytes: UInt64 = 1 << 62

    /// The sum of `bytesOnDisk` over all slots.
    var usedBytes: UInt64 {
        get { min(words[5].load(ordering: .relaxed), Self.maximumUsedBytes) }
        set { words[5].store(newValue, ordering: .relaxed) }
    }

    var clockBase: UInt64 {
        get { words[6].load(ordering: .relaxed) }
        set { words[6].store(newValue, ordering: .relaxed) }
    }

    /// A torn read is one whose value differs before and after, or is odd.
    var fillSequence: UInt64 { words[7].load(ordering: .acquiring) }

    /// Runs `body` with an odd fill sequence. Under the exclusive lock; a process killed inside left it odd.
    func duringFill<E: Error>(_ body: () throws(E) -> Void) throws(E) {
        let begun = fillSequence | 1
        words[7].store(begun, ordering: .sequentiallyConsistent)
        defer { words[7].store(begun &+ 1, ordering: .sequentiallyConsistent) }
        try body()
    }

    /// Makes a zeroed file an empty index. The magic comes last: without it the file is no index.
    func writeHeader() {
        words[1].store(Self.version, ordering: .relaxed)
        words[2].store(UInt64(bucketCount), ordering: .relaxed)
        words[3].store(SegmentID.sizeBytes, ordering: .relaxed)
        words[0].store(Self.magic, ordering: .releasing)
    }

    /// Reads of the file's first bytes how many buckets it says to have; nil if it is no index of this version.
    static func bucketCount(descriptor: Int32) -> Int? {
        var header = [UInt64](repeating: 0, count: 4)
        var information = stat()
        guard header.withUnsafeMutableBytes({ pread(descriptor, $0.baseAddress, $0.count, 0) }) == 32,
            fstat(descriptor, &information) == 0,
            header[0] == magic, header[1] == version, header[3] == SegmentID.sizeBytes,
            header[2] >= 1, header[2] <= 1 << 24, information.st_size == fileBytes(Int(header[2]))
        else { return nil }
        return Int(header[2])
    }
}
