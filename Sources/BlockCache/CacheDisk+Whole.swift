import Glibc

/// Files that are handed out whole.
extension CacheDisk {
    /// The file of a pack that consists of just these verified blocks, held; nil if it is not here whole, or is being
    /// evicted. Takes no lock that others wait for.
    func wholeFile(_ blocks: [BlockAddress], sizeBytes: UInt64, verified: VerifiedBlocks) -> WholeFile? {
        guard let key = blocks.first?.key,
            // An unreadable file is as good as none.
            let descriptor = (try? packs.open(key, O_RDONLY)) ?? nil
        else { return nil }
        let file = WholeFile(descriptor: descriptor)
        guard flock(descriptor, LOCK_SH | LOCK_NB) == 0 else { return nil }
        // Held from here on: what is true now stays true.
        var slots: Set<Int> = []
        for block in blocks {
            guard let reference = verified.reference(block), index.isCurrent(reference) else { return nil }
            slots.insert(reference.slot)
        }
        guard DiskIO.isWhole(descriptor, sizeBytes: sizeBytes) else { return nil }
        for slot in slots { index.touch(slot) }
        return file
    }

    /// A file of the kind that `wholeFile` gives, for trying what may be done with one.
    func sampleFile() -> WholeFile? {
        let descriptor = Glibc.open(path + "/index", O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        return descriptor < 0 ? nil : WholeFile(descriptor: descriptor)
    }
}
