package import BlockCache
import ObjectStorage
import ProllyTree
package import Versioning

/// Reads blocks: from the host's cache, else by a ranged GET of their pack. Nothing leaves that does not have its
/// SHA-256.
package final class BlockReader: Sendable {
    private let store: any ObjectStore
    private let moves: PackForwarding
    package let cache: BlockCache?

    init(store: any ObjectStore, cache: BlockCache?) {
        self.store = store
        moves = PackForwarding(store: store)
        self.cache = cache
    }

    /// The most stored bytes that one coalesced GET asks for.
    package static let maximumRunBytes = 8 << 20

    /// Copies bytes of `block` from offset `within` into `buffer`. Blocks while a miss is fetched.
    /// Throws `.missingObject` when the pack is gone, `.corrupt` when its bytes are wrong, or the store's error.
    package func read(
        _ block: BlockReference, at extent: Extent, within: Int, into buffer: UnsafeMutableRawBufferPointer
    ) throws {
        if extent.codec == .zeros {
            try checkZeros(block)
            buffer.initializeMemory(as: UInt8.self, repeating: 0)
            return
        }
        guard let cache else {
            let bytes = try fetch(block, extent)
            bytes.withUnsafeBytes {
                buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[within..<within + buffer.count]))
            }
            return
        }
        let outcome = try cache.read(address(block, extent), within: within, into: buffer) { bytes in
            BlockID(hashing: bytes) == block.id
        } fetch: {
            let (stored, place) = try self.stored(extent)
            guard let plain = Self.unpack(block, place, stored) else { throw Self.corrupt(block, place) }
            return plain
        }
        if outcome == .fetchedBytesDoNotVerify { throw Self.corrupt(block, extent) }
    }

    /// A block's plain bytes, from the bucket, verified; fills no cache.
    package func fetch(_ block: BlockReference, _ extent: Extent) throws -> [UInt8] {
        if extent.codec == .zeros {
            try checkZeros(block)
            return Array(repeating: 0, count: Int(block.length))
        }
        return try fetchStored(block, extent).plain
    }

    /// A block as it is stored and its plain bytes, verified.
    package func fetchStored(_ block: BlockReference, _ extent: Extent) throws -> (stored: [UInt8], plain: [UInt8]) {
        let (stored, place) = try stored(extent)
        guard let plain = Self.unpack(block, place, stored), BlockID(hashing: plain) == block.id else {
            throw Self.corrupt(block, place)
        }
        return (stored, plain)
    }

    /// What is stored in a place, unverified. What is no longer there is looked for where repacking put it; answers
    /// where it was found.
    private func stored(_ extent: Extent) throws -> (bytes: [UInt8], place: Extent) {
        do {
            return (try get(extent.pack, extent.offset..<extent.offset + UInt64(extent.storedLength)), extent)
        } catch ObjectDatabaseError.missingObject(let object, let neededBy) {
            guard let moved = try moves.next(of: extent), moved.pack != extent.pack else {
                throw ObjectDatabaseError.missingObject(object: object, neededBy: neededBy)
            }
            return try stored(moved)
        }
    }

    /// A block's plain bytes, from the host's cache if they are there; fills no cache.
    package func whole(_ block: BlockReference, _ extent: Extent) throws -> [UInt8] {
        guard isLocal(block, extent) else { return try fetch(block, extent) }
        var bytes = [UInt8](repeating: 0, count: Int(block.length))
        try bytes.withUnsafeMutableBytes { try read(block, at: extent, within: 0, into: $0) }
        return bytes
    }

    /// Whether reading the block needs no GET.
    package func isLocal(_ block: BlockReference, _ extent: Extent) -> Bool {
        extent.codec == .zeros || cache?.contains(address(block, extent)) == true
    }

    /// The file as it lies in the host's cache, whole and verified, alone in its pack; `nil` otherwise. See
    /// `BlockCache.wholeFile`.
    package func wholeFile(_ map: FileMap) -> WholeFile? {
        var addresses: [BlockAddress] = []
        for ((block, extent), start) in zip(zip(map.list.blocks, map.list.extents), map.starts) {
            guard extent.codec != .zeros, extent.plainOffset == start else { return nil }
            addresses.append(address(block, extent))
        }
        return cache?.wholeFile(addresses)
    }

    /// Groups what lies one after the other in one pack (with at most `maximumGapBytes` between) into runs for one GET each.
    ///
    /// - Parameter limitBytes: what a run spans at most, unless it is one block.
    /// - Parameter wasteShare: the gaps of a run are at most this share of what is wanted in it.
    package static func runs<Element>(
        _ elements: [Element], limitBytes: Int = maximumRunBytes / 2, wasteShare: Double = .infinity,
        extent: (Element) -> Extent
    ) -> [[Element]] {
        var runs: [[Element]] = []
        var current: [Element] = []
        var (first, last): (Extent?, Extent?) = (nil, nil)
        var wanted: UInt64 = 0
        for element in elements {
            let next = extent(element)
            wanted += UInt64(next.storedLength)
            if let first, let last, first.pack == next.pack, next.offset >= last.end,
                next.offset - last.end <= maximumGapBytes, next.end - first.offset <= UInt64(limitBytes),
                Double(next.end - first.offset - wanted) <= wasteShare * Double(wanted)
            {
                current.append(element)
            } else {
                if !current.isEmpty { runs.append(current) }
                current = [element]
                first = next
                wanted = UInt64(next.storedLength)
            }
            last = next
        }
        if !current.isEmpty { runs.append(current) }
        return runs
    }

    private static let maximumGapBytes: UInt64 = 64 << 10

    /// Fetches neighbouring blocks of one pack by a single GET, verifies each and puts it into the cache.
    /// `run` is in ascending order of offsets in one pack and spans at most `maximumRunBytes`.
    package func prefetch(_ run: [(block: BlockReference, extent: Extent)]) throws {
        guard let cache else { return }
        try forEachBlock(of: run) { block, extent, plain in cache.store(address(block, extent), bytes: plain) }
    }

    /// The plain bytes of such a run, by a single GET, verified; fills no cache. What has moved is not looked for.
    package func fetch(_ run: [(block: BlockReference, extent: Extent)]) throws -> [BlockID: [UInt8]] {
        var blocks: [BlockID: [UInt8]] = [:]
        try forEachBlock(of: run) { block, _, plain in blocks[block.id] = [UInt8](plain) }
        return blocks
    }

    private func forEachBlock(
        of run: [(block: BlockReference, extent: Extent)],
        _ body: (BlockReference, Extent, UnsafeRawBufferPointer) -> Void
    ) throws {
        guard let first = run.first, let last = run.last else { return }
        let begin = first.extent.offset
        let bytes = try get(first.extent.pack, begin..<last.extent.offset + UInt64(last.extent.storedLength))
        try bytes.withUnsafeBytes { raw in
            for (block, extent) in run {
                let start = Int(extent.offset - begin)
                let stored = UnsafeRawBufferPointer(rebasing: raw[start..<start + Int(extent.storedLength)])
                let isRight = Self.withPlain(block, extent, stored) { plain in
                    guard BlockID(hashing: plain) == block.id else { return false }
                    body(block, extent, plain)
                    return true
                }
                guard isRight == true else { throw Self.corrupt(block, extent) }
            }
        }
    }

    private func get(_ pack: PackID, _ range: Range<UInt64>) throws -> [UInt8] {
        let key = ObjectKeys.pack(pack)
        do {
            let bytes = try store.get(key, range: range, ifMatch: nil).bytes
            guard bytes.count == range.count else {
                throw ObjectDatabaseError.corrupt(object: key, reason: "it ends before byte \(range.upperBound)")
            }
            return bytes
        } catch StoreError.notFound {
            throw ObjectDatabaseError.missingObject(object: key, neededBy: "the block at byte \(range.lowerBound)")
        } catch StoreError.rangeNotSatisfiable {
            throw ObjectDatabaseError.corrupt(object: key, reason: "it ends before byte \(range.lowerBound)")
        }
    }

    /// Whether these stored bytes are the block.
    package static func isBlock(_ block: BlockReference, _ extent: Extent, stored: UnsafeRawBufferPointer) -> Bool {
        withPlain(block, extent, stored) { BlockID(hashing: $0) == block.id } ?? false
    }

    /// The plain bytes, unverified, without a copy where they are stored plain; `nil` if these cannot be they.
    private static func unpack(_ block: BlockReference, _ extent: Extent, _ stored: [UInt8]) -> [UInt8]? {
        switch extent.codec {
        case .raw: stored.count == Int(block.length) ? stored : nil
        case .zstd: stored.withUnsafeBytes { Zstandard.decompress($0, plainBytes: Int(block.length)) }
        case .zeros: nil
        }
    }

    private static func withPlain<T>(
        _ block: BlockReference, _ extent: Extent, _ stored: UnsafeRawBufferPointer,
        _ body: (UnsafeRawBufferPointer) -> T
    ) -> T? {
        switch extent.codec {
        case .raw: stored.count == Int(block.length) ? body(stored) : nil
        case .zstd: Zstandard.decompress(stored, plainBytes: Int(block.length))?.withUnsafeBytes(body)
        case .zeros: nil
        }
    }

    private static func corrupt(_ block: BlockReference, _ extent: Extent) -> ObjectDatabaseError {
        .corrupt(
            object: ObjectKeys.pack(extent.pack),
            reason: "the \(extent.storedLength) bytes at \(extent.offset) are not block \(block.id)")
    }

    private func checkZeros(_ block: BlockReference) throws {
        guard ZeroBlocks.id(length: Int(block.length)) == block.id else {
            throw ObjectDatabaseError.corrupt(
                object: "block \(block.id)", reason: "it is marked as zeros but its SHA-256 is another")
        }
    }

    private func address(_ block: BlockReference, _ extent: Extent) -> BlockAddress {
        BlockAddress(
            key: CacheKey(high: extent.pack.high, low: extent.pack.low), offset: extent.plainOffset,
            length: Int(block.length), proof: block.id.prefixWord)
    }
}

extension Extent {
    /// Where its stored bytes end in the pack.
    fileprivate var end: UInt64 { offset + UInt64(storedLength) }
}
