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

    /// Copies bytes of a block from offset `within` into `buffer`. Blocks while a miss is fetched.
    /// Throws `.missingObject` when the pack is gone, `.corrupt` when its bytes are wrong, or the store's error.
    package func read(_ placed: PlacedBlock, within: Int, into buffer: UnsafeMutableRawBufferPointer) throws {
        if placed.isZeros {
            buffer.initializeMemory(as: UInt8.self, repeating: 0)
            return
        }
        guard let cache else {
            let bytes = try fetch(placed)
            bytes.withUnsafeBytes {
                buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[within..<within + buffer.count]))
            }
            return
        }
        let outcome = try cache.read(address(placed), within: within, into: buffer) { bytes in
            BlockID(hashing: bytes) == placed.block.id
        } fetch: {
            let (stored, found) = try self.stored(placed)
            guard let plain = Self.unpack(found, stored) else { throw Self.corrupt(found) }
            return plain
        }
        if outcome == .fetchedBytesDoNotVerify { throw Self.corrupt(placed) }
    }

    /// A block's plain bytes, from the bucket, verified; fills no cache.
    package func fetch(_ placed: PlacedBlock) throws -> [UInt8] {
        if placed.isZeros {
            return Array(repeating: 0, count: Int(placed.block.length))
        }
        return try fetchStored(placed).plain
    }

    /// A block as it is stored and its plain bytes, verified.
    package func fetchStored(_ placed: PlacedBlock) throws -> (stored: [UInt8], plain: [UInt8]) {
        let (stored, found) = try stored(placed)
        guard let plain = Self.unpack(found, stored), BlockID(hashing: plain) == placed.block.id else {
            throw Self.corrupt(found)
        }
        return (stored, plain)
    }

    /// The stored bytes, unverified. What is no longer there is looked for where repacking put it; answers where it was
    /// found.
    private func stored(_ placed: PlacedBlock) throws -> (bytes: [UInt8], found: PlacedBlock) {
        var placed = placed
        for _ in 0..<PackForwarding.maximumHops {
            do {
                return (try get(placed.extent.pack, placed.extent.offset..<placed.extent.end), placed)
            } catch ObjectDatabaseError.missingObject(let object, let neededBy) {
                guard let moved = try moves.next(of: placed.extent), moved.pack != placed.extent.pack else {
                    throw ObjectDatabaseError.missingObject(object: object, neededBy: neededBy)
                }
                placed = placed.moved(to: moved)
            }
        }
        throw PackForwarding.endless(placed.extent)
    }

    /// A block's plain bytes, from the host's cache if they are there; fills no cache.
    package func whole(_ placed: PlacedBlock) throws -> [UInt8] {
        guard isLocal(placed) else { return try fetch(placed) }
        var bytes = [UInt8](repeating: 0, count: Int(placed.block.length))
        try bytes.withUnsafeMutableBytes { try read(placed, within: 0, into: $0) }
        return bytes
    }

    /// Whether reading the block needs no GET.
    package func isLocal(_ placed: PlacedBlock) -> Bool {
        placed.isZeros || cache?.contains(address(placed)) == true
    }

    /// The file as it lies in the host's cache, whole and verified, alone in its pack; `nil` otherwise. See
    /// `BlockCache.wholeFile`.
    package func wholeFile(_ map: FileMap) -> WholeFile? {
        var addresses: [BlockAddress] = []
        for (placed, start) in zip(map.list.blocks, map.starts) {
            guard !placed.isZeros, placed.extent.plainOffset == start else { return nil }
            addresses.append(address(placed))
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
    package func prefetch(_ run: [PlacedBlock]) throws {
        guard let cache else { return }
        try forEachBlock(of: run) { placed, plain in cache.store(address(placed), bytes: plain) }
    }

    /// The plain bytes of such a run, by a single GET, verified; fills no cache. What has moved is not looked for.
    package func fetch(_ run: [PlacedBlock]) throws -> [BlockID: [UInt8]] {
        var blocks: [BlockID: [UInt8]] = [:]
        try forEachBlock(of: run) { placed, plain in blocks[placed.block.id] = [UInt8](plain) }
        return blocks
    }

    private func forEachBlock(
        of run: [PlacedBlock],
        _ body: (PlacedBlock, UnsafeRawBufferPointer) -> Void
    ) throws {
        guard let first = run.first, let last = run.last else { return }
        let begin = first.extent.offset
        let bytes = try get(first.extent.pack, begin..<last.extent.end)
        try bytes.withUnsafeBytes { raw in
            for placed in run {
                let start = Int(placed.extent.offset - begin)
                let stored = UnsafeRawBufferPointer(rebasing: raw[start..<start + Int(placed.extent.storedLength)])
                let isRight = Self.withPlain(placed, stored) { plain in
                    guard BlockID(hashing: plain) == placed.block.id else { return false }
                    body(placed, plain)
                    return true
                }
                guard isRight == true else { throw Self.corrupt(placed) }
            }
        }
    }

    private func get(_ pack: PackID, _ range: Range<UInt64>) throws -> [UInt8] {
        let key = ObjectKeys.pack(pack)
        do {
            let bytes = try store.get(key, .range(range), ifMatch: nil).bytes
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
    package static func isBlock(_ placed: PlacedBlock, stored: UnsafeRawBufferPointer) -> Bool {
        withPlain(placed, stored) { BlockID(hashing: $0) == placed.block.id } ?? false
    }

    /// The plain bytes, unverified, without a copy where they are stored plain; `nil` if these cannot be they.
    private static func unpack(_ placed: PlacedBlock, _ stored: [UInt8]) -> [UInt8]? {
        let length = Int(placed.block.length)
        return switch placed.extent.codec {
        case .raw: stored.count == length ? stored : nil
        case .zstd: stored.withUnsafeBytes { Zstandard.decompress($0, plainBytes: length) }
        case .zeros: nil
        }
    }

    private static func withPlain<T>(
        _ placed: PlacedBlock, _ stored: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> T
    ) -> T? {
        let length = Int(placed.block.length)
        return switch placed.extent.codec {
        case .raw: stored.count == length ? body(stored) : nil
        case .zstd: Zstandard.decompress(stored, plainBytes: length)?.withUnsafeBytes(body)
        case .zeros: nil
        }
    }

    private static func corrupt(_ placed: PlacedBlock) -> ObjectDatabaseError {
        let extent = placed.extent
        return .corrupt(
            object: ObjectKeys.pack(extent.pack),
            reason: "the \(extent.storedLength) bytes at \(extent.offset) are not block \(placed.block.id)")
    }

    private func address(_ placed: PlacedBlock) -> BlockAddress {
        let (block, extent) = (placed.block, placed.extent)
        return BlockAddress(
            key: CacheKey(high: extent.pack.high, low: extent.pack.low), offset: extent.plainOffset,
            length: Int(block.length), proof: BlockProof(high: block.id.prefixWord, low: block.id.secondWord))
    }
}
