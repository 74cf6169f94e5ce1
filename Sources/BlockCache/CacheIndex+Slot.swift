import Synchronization

/// A view of one slot of the index. Plain stores; their order towards readers comes from `change`.
struct Slot {
    static let sizeBytes = 64

    let words: UnsafeMutablePointer<CacheIndex.Word>

    private func load(_ word: Int) -> UInt64 { words[word].load(ordering: .relaxed) }
    private func store(_ word: Int, _ value: UInt64) { words[word].store(value, ordering: .relaxed) }

    var generation: UInt64 { load(0) }
    var isInUse: Bool { load(3) >> 32 != 0 }
    var kindNumber: UInt64 { load(3) >> 32 }
    var lastUse: UInt64 { load(7) }

    /// nil for a free slot and for a kind that does not exist.
    var id: SegmentID? {
        let kindAndNumber = load(3)
        guard let kind = SegmentID.Kind(rawValue: kindAndNumber >> 32) else { return nil }
        return SegmentID(
            kind: kind, key: CacheKey(high: load(1), low: load(2)), number: UInt32(truncatingIfNeeded: kindAndNumber))
    }

    func holds(_ id: SegmentID) -> Bool {
        load(2) == id.key.low && load(1) == id.key.high && load(3) == id.kind.rawValue << 32 | UInt64(id.number)
    }

    /// What this slot was charged with, by `st_blocks`.
    var bytesOnDisk: UInt64 {
        get { load(4) }
        nonmutating set { store(4, newValue) }
    }

    /// All blocks of the segment lie in these plain offsets. The range may be wider than the blocks.
    var extent: Range<UInt64> {
        let start = load(5)
        return start..<max(start, load(6))
    }

    func widenExtent(to range: Range<UInt64>) {
        store(5, min(load(5), range.lowerBound))
        store(6, max(load(6), range.upperBound))
    }

    /// Gives a free slot to a segment. It has no bytes yet, and an extent only for a pack.
    func assign(_ id: SegmentID, extent: Range<UInt64>, now: UInt64) {
        change {
            store(1, id.key.high)
            store(2, id.key.low)
            store(4, 0)
            store(5, extent.lowerBound)
            store(6, extent.upperBound)
            store(7, now)
            // Last: a process killed before this leaves a free slot.
            store(3, id.kind.rawValue << 32 | UInt64(id.number))
        }
    }

    /// Runs `body` with the segment hidden from readers, then frees the slot. A process killed inside leaves an odd
    /// generation and the segment's name, so that the next recovery can finish.
    func free(after body: () -> Void) {
        change {
            body()
            store(3, 0)
            store(4, 0)
        }
    }

    /// Hides the segment from readers until `free`.
    func hide() {
        words[0].store(generation | 1, ordering: .sequentiallyConsistent)
        atomicMemoryFence(ordering: .sequentiallyConsistent)
    }

    private func change(_ body: () -> Void) {
        hide()
        body()
        words[0].store(generation &+ 1, ordering: .sequentiallyConsistent)
    }
}
