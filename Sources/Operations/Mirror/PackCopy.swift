import ObjectDatabase
import ObjectStorage
import ProllyTree
import Versioning

/// Copies a pack from one store to another, byte by byte, and verifies the blocks in it that are known. Nothing is
/// visible at the target before all of them are right. Holds one part and one block in memory.
struct PackCopy {
    let pack: PackID
    let source: any ObjectStore
    let target: any ObjectStore
    /// What is verified, in any order.
    let blocks: [PlacedBlock]

    /// Answers how many bytes were copied. Throws `.corrupt` when the source's bytes are wrong, `.missingObject` when it
    /// has no such pack.
    func run() throws -> UInt64 {
        let key = ObjectKeys.pack(pack)
        guard let info = try source.findInfo(key) else {
            throw ObjectDatabaseError.missingObject(object: key, neededBy: "the copy from \(source.location)")
        }
        let size = info.sizeBytes
        var check = BlockCheck(pack: pack, blocks: blocks, location: source.location)
        if size <= UInt64(PackWriter.partBytes) * 2 {
            let bytes = try source.get(key, .whole(limitBytes: Int(clamping: size)), ifMatch: info.etag).bytes
            try check.add(bytes)
            try check.finish()
            _ = try target.put(key, bytes, .none)
            return size
        }
        let upload = try target.beginUpload(key)
        do {
            var parts: [UploadedPart] = []
            var offset: UInt64 = 0
            while offset < size {
                let end = min(offset + UInt64(PackWriter.partBytes), size)
                let bytes = try source.get(key, .range(offset..<end), ifMatch: info.etag).bytes
                guard bytes.count == Int(end - offset) else {
                    throw ObjectDatabaseError.corrupt(object: key, reason: "it ends before byte \(end)")
                }
                try check.add(bytes)
                parts.append(try target.uploadPart(upload, number: parts.count + 1, bytes))
                offset = end
            }
            try check.finish()
            _ = try target.completeUpload(upload, parts: parts)
        } catch {
            // The upload is of no use any more; that its parts are thrown away is a courtesy to the store.
            try? target.abortUpload(upload)
            throw error
        }
        return size
    }
}

/// Verifies blocks as the bytes of their pack come by.
private struct BlockCheck {
    let pack: PackID
    let blocks: [PlacedBlock]
    let location: String
    private var next = 0
    private var window: [UInt8] = []
    /// Where in the pack the window begins.
    private var start: UInt64 = 0

    init(pack: PackID, blocks: [PlacedBlock], location: String) {
        self.pack = pack
        self.blocks = Set(blocks).sorted { $0.extent.offset < $1.extent.offset }
        self.location = location
    }

    mutating func add(_ bytes: [UInt8]) throws {
        window += bytes
        let end = start + UInt64(window.count)
        while next < blocks.count {
            let extent = blocks[next].extent
            guard extent.end <= end else { break }
            guard extent.offset >= start else { throw fault("two of its blocks lie over each other") }
            let from = Int(extent.offset - start)
            let isRight = window.withUnsafeBytes { raw in
                BlockReader.isBlock(
                    blocks[next],
                    stored: UnsafeRawBufferPointer(rebasing: raw[from..<from + Int(extent.storedLength)]))
            }
            guard isRight else {
                throw fault("the bytes at \(extent.offset) are not block \(blocks[next].block.id)")
            }
            next += 1
        }
        // What lies before the next block is done with.
        let keep = next < blocks.count ? min(blocks[next].extent.offset, end) : end
        if keep > start {
            window.removeFirst(Int(keep - start))
            start = keep
        }
    }

    func finish() throws {
        if next < blocks.count { throw fault("it ends before byte \(blocks[next].extent.offset)") }
    }

    private func fault(_ reason: String) -> ObjectDatabaseError {
        .corrupt(object: "\(location)/\(ObjectKeys.pack(pack))", reason: reason)
    }
}
