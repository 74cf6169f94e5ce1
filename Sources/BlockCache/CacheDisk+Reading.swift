import Glibc
import Logging
import Synchronization

/// Reading what is on disk, without any lock.
extension CacheDisk {
    /// The slot and file in which a block may be: not evicted, not outside what was ever filled, not a hole.
    func location(of block: BlockAddress) -> (CacheIndex.Reference, OpenFile)? {
        guard let reference = index.find(block.segment) else { return nil }
        let extent = index[reference.slot].extent
        guard extent.lowerBound <= block.offset, block.end <= extent.upperBound,
            // A file that cannot be opened is as good as none.
            let file = try? files.current(block.key),
            !file.withDescriptor({ DiskIO.isHole($0, block.offset..<block.end) })
        else { return nil }
        return (reference, file)
    }

    /// Reads and verifies a whole block. nil if it is not here, or no longer, or not what it should be.
    func readBlock(
        _ block: BlockAddress, verify: (UnsafeRawBufferPointer) -> Bool
    ) -> (bytes: [UInt8], CacheIndex.Reference)? {
        let sequence = index.fillSequence
        guard let (reference, file) = location(of: block) else { return nil }
        let bytes = [UInt8](unsafeUninitializedCapacity: block.length) { buffer, count in
            let whole = UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<block.length])
            let isWhole = file.withDescriptor { DiskIO.readAll($0, into: whole, at: block.offset) }
            count = isWhole ? block.length : 0
        }
        guard !bytes.isEmpty else { return nil }
        let isRight = bytes.withUnsafeBytes(verify)
        // Bytes of another block, whose claim was not kept, may be right by chance.
        let isNoted = tables.holds(block, reference)
        guard index.isCurrent(reference) else { return nil }
        if isRight { return isNoted ? (bytes, reference) : nil }
        // Somebody writing at this moment explains it, and so does a hole that shares its pages with other blocks.
        if isNoted, sequence & 1 == 0 && index.fillSequence == sequence && bytes.contains(where: { $0 != 0 }) {
            corruptBlocks.add(1, ordering: .relaxed)
            logger.warning(
                "block cache \(path): pack \(block.key.fileName) at \(block.offset), \(block.length) bytes: does not verify; fetching again"
            )
        }
        return nil
    }

    /// Reads and verifies a whole object. nil if it is not here, is older than `seconds` (since 1970), or is not what it
    /// should be.
    func readObject(_ key: CacheKey, keptSince seconds: Int64, verify: (UnsafeRawBufferPointer) -> Bool) -> [UInt8]? {
        guard let reference = index.find(.object(key)),
            // A file that cannot be opened is as good as none.
            let descriptor = (try? objects.open(key, O_RDONLY)) ?? nil
        else { return nil }
        let file = OpenFile(descriptor: descriptor)
        guard let information = file.status, information.st_mtim.tv_sec >= seconds,
            information.st_size >= ObjectFile.trailerBytes
        else { return nil }
        let length = Int(information.st_size)
        let bytes = [UInt8](unsafeUninitializedCapacity: length) { buffer, count in
            let whole = UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<length])
            let isWhole = file.withDescriptor { DiskIO.readAll($0, into: whole, at: 0) }
            count = isWhole ? length : 0
        }
        if let object = ObjectFile.decode(bytes), object.withUnsafeBytes(verify) {
            index.touch(reference.slot)
            return object
        }
        // The file is complete from the moment it has its name, so only an eviction explains what is missing.
        if index.isCurrent(reference) {
            corruptBlocks.add(1, ordering: .relaxed)
            logger.warning("block cache \(path): object \(key.fileName) does not verify; fetching again")
        }
        return nil
    }
}

extension CacheIndex {
    func slotsInUse() -> (packs: Int, objects: Int) {
        var counts = (packs: 0, objects: 0)
        for number in 0..<slotCount {
            switch self[number].id?.kind {
            case .pack: counts.packs += 1
            case .object: counts.objects += 1
            case nil: break
            }
        }
        return counts
    }
}
