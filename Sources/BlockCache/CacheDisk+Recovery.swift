import Glibc
import Synchronization

extension CacheIndex {
    /// False if a slot says what no process of ours wrote.
    var isPlausible: Bool {
        var chargedBytes: UInt64 = 0
        for number in 0..<slotCount where self[number].isInUse {
            let slot = self[number]
            guard let id = slot.id, slot.generation > 0, slot.lastUse < 1 << 62, bucket(of: id).contains(number),
                slot.bytesOnDisk <= Self.maximumUsedBytes - chargedBytes
            else { return false }
            chargedBytes += slot.bytesOnDisk
            let extent = slot.extent
            switch id.kind {
            case .object:
                guard id.number == 0 else { return false }
            case .pack:
                let start = UInt64(id.number) * SegmentID.sizeBytes
                guard extent.lowerBound >= start, extent.lowerBound < start + SegmentID.sizeBytes,
                    extent.upperBound <= start + SegmentID.sizeBytes + UInt64(BlockAddress.lengthLimitBytes)
                else { return false }
            }
        }
        return true
    }
}

extension CacheDisk {
    /// Brings slots, files and accounts together again after processes were killed. Nobody else has the cache open.
    /// Takes as long as one `stat` per file.
    func lockedRecover() throws(DiskFailure) {
        lockedEvictHidden()
        let packSlots = try reconcile(packs, .pack)
        let objectSlots = try reconcile(objects, .object)
        try reconcileTables()
        var used: UInt64 = 0
        var latest: UInt64 = 0
        for number in packSlots + objectSlots {
            used += index[number].bytesOnDisk
            latest = max(latest, index[number].lastUse)
        }
        index.usedBytes = used
        // The monotonic clock began again if the machine did.
        let monotonic = CacheIndex.monotonicMilliseconds()
        if index.now < latest { index.clockBase = latest - min(monotonic, latest) }
        evictions.store(0, ordering: .relaxed)
    }

    /// Evictions that were begun are finished.
    private func lockedEvictHidden() {
        for number in 0..<index.slotCount where index[number].isInUse && index[number].generation & 1 == 1 {
            lockedEvict(slot: number)
        }
    }

    /// Drops files without slots and slots without files, and charges the slots with what the files take.
    /// - Returns: the slots in use.
    private func reconcile(_ directory: KeyedDirectory<CacheKey>, _ kind: SegmentID.Kind) throws(DiskFailure) -> [Int] {
        var slots: [CacheKey: [Int]] = [:]
        for number in 0..<index.slotCount {
            guard let id = index[number].id, id.kind == kind else { continue }
            slots[id.key, default: []].append(number)
        }
        var kept: [Int] = []
        for entry in try directory.list() {
            guard let key = entry.key, let owners = slots.removeValue(forKey: key) else {
                directory.removeEntry(entry.path)
                continue
            }
            settle(owners, bytes: entry.bytesOnDisk)
            kept += owners
        }
        for number in slots.values.joined() { index[number].free {} }
        return kept
    }

    /// Drops tables without slots, and charges the slots with what their tables take.
    private func reconcileTables() throws(DiskFailure) {
        for entry in try tables.list() {
            if let id = entry.key, let reference = index.find(id) {
                index[reference.slot].bytesOnDisk += entry.bytesOnDisk
            } else {
                tables.removeEntry(entry.path)
            }
        }
    }

    /// Makes the slots' charges add up to `bytes`: a surplus goes to the first, a lack is taken from one after another.
    private func settle(_ owners: [Int], bytes: UInt64) {
        let charged = owners.reduce(0) { $0 + index[$1].bytesOnDisk }
        if charged <= bytes { index[owners[0]].bytesOnDisk += bytes - charged }
        var excess = charged - min(charged, bytes)
        for number in owners where excess > 0 {
            let taken = min(excess, index[number].bytesOnDisk)
            index[number].bytesOnDisk -= taken
            excess -= taken
        }
    }
}
