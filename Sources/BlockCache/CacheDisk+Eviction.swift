import Glibc
import Synchronization

/// Making room: least recently used segments go, many at a time, because finding them is a pass over the whole index.
extension CacheDisk {
    /// A 64th of the limit, but of a large limit no more than 16 MiB or a 1,024th: a longer table takes a longer pass.
    var evictionBatchBytes: UInt64 {
        let limit = index.limitBytes
        return min(limit / 64, max(16 << 20, limit / 1024))
    }

    /// Evicts until `need` more bytes fit under the limit. False if they do not even so.
    func lockedMakeRoom(for need: UInt64) -> Bool {
        let limit = index.limitBytes
        let wanted = index.usedBytes + need
        if wanted <= limit { return true }
        _ = lockedEvict(atLeast: max(wanted - limit, evictionBatchBytes))
        return index.usedBytes + need <= limit
    }

    /// Evicts least recently used segments that take `bytes` or more together, or everything but what is held.
    /// - Returns: the bytes freed.
    func lockedEvict(atLeast bytes: UInt64) -> UInt64 {
        let before = index.usedBytes
        var held: Set<Int> = []
        func freed() -> UInt64 { before - min(before, index.usedBytes) }
        // Each further round leaves out more that is held, so there is a last one.
        repeat {
            var victims = OldestSlots(bytes: bytes - freed())
            for number in 0..<index.slotCount where index[number].isInUse && !held.contains(number) {
                victims.offer(number, lastUse: index[number].lastUse, bytes: index[number].bytesOnDisk)
            }
            let refused = victims.numbers.filter { !lockedEvict(slot: $0) }
            // Held by a reader whom we do not see reading: as good as used just now.
            refused.forEach(index.touch)
            held.formUnion(refused)
            if refused.isEmpty { break }
        } while freed() < bytes
        return freed()
    }

    /// Frees one slot and its space on disk. Readers see the generation change before the first byte goes.
    /// - Returns: false if nothing was done, since somebody holds the pack's file as a whole.
    @discardableResult
    func lockedEvict(slot number: Int) -> Bool {
        guard let id = index[number].id else { return true }
        if id.kind == .object {
            lockedFree(slot: number) { objects.remove(id.key) }
            return true
        }
        // A file that cannot be opened now has nothing we could free; recovery drops files without slots.
        guard let file = try? files.current(id.key) else {
            lockedFree(slot: number) {}
            return true
        }
        let freed: Void? = file.unlessHeld {
            let extent = index[number].extent
            lockedFree(slot: number) { lockedFreeSpace(id, extent, file) }
        }
        return freed != nil
    }

    private func lockedFree(slot number: Int, _ body: () -> Void) {
        let charged = index[number].bytesOnDisk
        index[number].free {
            body()
            if let id = index[number].id, id.kind == .pack { tables.remove(id) }
        }
        index.usedBytes -= min(charged, index.usedBytes)
        evictions.add(1, ordering: .relaxed)
    }

    /// `id` is hidden from `find` already.
    private func lockedFreeSpace(_ id: SegmentID, _ extent: Range<UInt64>, _ file: OpenFile) {
        let range = widened(extent, of: id)
        if !file.withDescriptor({ DiskIO.punchHole($0, range) }) {
            lockedDropPack(id.key, file)
        } else if !hasLiveSegments(id.key, file) {
            lockedRemoveFile(id.key, file)
        }
    }

    /// The extent with the pages at its edges that it shares with no live neighbour, and without any byte of one. Otherwise
    /// a page between two segments would stay for ever: neither punch covers it whole.
    private func widened(_ extent: Range<UInt64>, of id: SegmentID) -> Range<UInt64> {
        var start = DiskIO.pageRoundDown(extent.lowerBound)
        var end = DiskIO.pageRoundUp(extent.upperBound)
        // A block is shorter than a segment, so only the next neighbours can come near.
        if id.number > 0, let before = index.find(id.neighbour(id.number - 1)) {
            let limit = index[before.slot].extent.upperBound
            if limit > start { start = max(extent.lowerBound, limit) }
        }
        if id.number < UInt32.max, let after = index.find(id.neighbour(id.number + 1)) {
            let limit = index[after.slot].extent.lowerBound
            if limit < end { end = min(extent.upperBound, limit) }
        }
        return start..<max(start, end)
    }

    private func hasLiveSegments(_ key: CacheKey, _ file: OpenFile) -> Bool {
        liveSegments(key, file) { _ in false }
    }

    /// Calls `body` with each live slot of a pack until it says false. True if there was any.
    private func liveSegments(_ key: CacheKey, _ file: OpenFile, _ body: (Int) -> Bool) -> Bool {
        guard let information = file.status, information.st_size > 0 else { return false }
        var found = false
        for number in 0...UInt32(UInt64(information.st_size - 1) / SegmentID.sizeBytes) {
            guard let reference = index.find(SegmentID(kind: .pack, key: key, number: number)) else { continue }
            found = true
            if !body(reference.slot) { break }
        }
        return found
    }

    /// For filesystems without holes: the whole file goes, and all its segments with it.
    private func lockedDropPack(_ key: CacheKey, _ file: OpenFile) {
        _ = liveSegments(key, file) { number in
            lockedFree(slot: number) {}
            return true
        }
        lockedRemoveFile(key, file)
    }

    /// Truncated first: other processes may have the file open, and its last pages shall not wait for them.
    private func lockedRemoveFile(_ key: CacheKey, _ file: OpenFile) {
        file.withDescriptor { _ = ftruncate($0, 0) }
        packs.remove(key)
        files.forget(key)
    }

    /// Removes everything, also files that no slot knows of.
    func lockedClear() throws(DiskFailure) {
        for number in 0..<index.slotCount where index[number].isInUse { index[number].hide() }
        try packs.removeAll()
        try objects.removeAll()
        try tables.removeAll()
        files.forgetAll()
        for number in 0..<index.slotCount where index[number].isInUse { index[number].free {} }
        index.usedBytes = 0
    }
}

/// Gathers the slots used longest ago, as few as make up a number of bytes: a heap with the latest used on top.
private struct OldestSlots {
    private let wantedBytes: UInt64
    private var bytes: UInt64 = 0
    private var heap: [(number: Int, lastUse: UInt64, bytes: UInt64)] = []

    init(bytes: UInt64) {
        wantedBytes = bytes
    }

    /// Least recently used first is not promised.
    var numbers: [Int] { heap.map(\.number) }

    mutating func offer(_ number: Int, lastUse: UInt64, bytes size: UInt64) {
        if bytes >= wantedBytes, let latest = heap.first, latest.lastUse <= lastUse { return }
        bytes += size
        heap.append((number, lastUse, size))
        siftUp()
        while let latest = heap.first, bytes - latest.bytes >= wantedBytes {
            bytes -= latest.bytes
            heap.swapAt(0, heap.count - 1)
            heap.removeLast()
            siftDown()
        }
    }

    private mutating func siftUp() {
        var child = heap.count - 1
        while child > 0, heap[(child - 1) / 2].lastUse < heap[child].lastUse {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    private mutating func siftDown() {
        var parent = 0
        while true {
            var latest = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < heap.count && heap[child].lastUse > heap[latest].lastUse {
                latest = child
            }
            if latest == parent { return }
            heap.swapAt(parent, latest)
            parent = latest
        }
    }
}
