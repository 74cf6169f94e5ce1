import BlockCache
import ObjectStorage
import ProllyTree
import Synchronization
package import Versioning

/// The blocks of one file, ready for random access: where each begins, and where it lies.
package final class FileMap: Sendable {
    package let list: BlockList
    /// `starts[i]` is the file offset of block i; one more element than blocks, the last being the size.
    package let starts: [UInt64]

    package init(_ list: BlockList) {
        self.list = list
        var starts: [UInt64] = [0]
        starts.reserveCapacity(list.blocks.count + 1)
        for block in list.blocks { starts.append(starts[starts.count - 1] + UInt64(block.block.length)) }
        self.starts = starts
    }

    package var sizeBytes: UInt64 { starts[starts.count - 1] }

    /// The block that holds this offset; `offset` < `sizeBytes`.
    package func blockIndex(at offset: UInt64) -> Int {
        var low = 0
        var high = list.blocks.count - 1
        while low < high {
            let middle = (low + high + 1) / 2
            if starts[middle] <= offset { low = middle } else { high = middle - 1 }
        }
        return low
    }

    var memoryBytes: Int { list.blocks.count * 96 + 256 }
}

/// Block lists in the bucket, the recently used ones decoded in memory.
package final class BlockListStore: Sendable {
    private struct State {
        var maps: [ContentID: (map: FileMap, lastUse: UInt64)] = [:]
        var bytes = 0
        var clock: UInt64 = 0
        /// Raised when copies are forgotten.
        var epoch = 0
    }

    private let store: any ObjectStore
    private let diskCache: BlockCache?
    private let state = Mutex(State())
    private let unconfirmed = Mutex<[ContentID: BlockList]>([:])
    private let uploads = UploadQueue(threads: 4, waiting: 16, isShared: true)
    private static let memoryLimitBytes = 32 << 20

    private let cacheSalt: UInt64

    /// - Parameter cacheSalt: as for `TreeNodeStore`.
    init(store: any ObjectStore, diskCache: BlockCache?, cacheSalt: UInt64) {
        self.store = store
        self.cacheSalt = cacheSalt
        self.diskCache = diskCache
    }

    /// The blocks of a file. Loads the list's object when it has one; inline blocks come from the entry itself.
    package func map(of entry: LocatedEntry) throws -> FileMap {
        guard let content = entry.entry.file else { return FileMap(.empty) }
        switch content.blocks {
        case .inline: return FileMap(entry.inlineList ?? .empty)
        case .list(let id): return try map(id, sizeBytes: content.sizeBytes)
        }
    }

    /// Like `map`, but past every cache: the location parts may have been rewritten.
    package func reload(_ id: ContentID) throws -> FileMap {
        diskCache?.discardObject(cacheKey(id))
        state.withLock { state in
            if let old = state.maps.removeValue(forKey: id) { state.bytes -= old.map.memoryBytes }
        }
        return try load(id)
    }

    private func map(_ id: ContentID, sizeBytes: UInt64) throws -> FileMap {
        let cached = state.withLock { state -> FileMap? in
            state.clock += 1
            state.maps[id]?.lastUse = state.clock
            return state.maps[id]?.map
        }
        let map = try cached ?? load(id)
        guard map.sizeBytes == sizeBytes else {
            throw ObjectDatabaseError.corrupt(
                object: ObjectKeys.list(id),
                reason: "its blocks are \(map.sizeBytes) bytes, the entry says \(sizeBytes)")
        }
        return map
    }

    /// What is in memory is read again, from the cache or the bucket. Lists that were saved here are right.
    func dropCached() {
        state.withLock { state in
            state.epoch += 1
            state.maps = [:]
            state.bytes = 0
        }
    }

    private func load(_ id: ContentID) throws -> FileMap {
        let epoch = state.withLock { $0.epoch }
        let key = ObjectKeys.list(id)
        let bytes: [UInt8]
        do {
            if let diskCache {
                let cached = try diskCache.object(cacheKey(id)) { bytes in
                    (try? TwoPartObject(decoding: Array(bytes), kind: .blockList, id: id)) != nil
                } fetch: { () throws(StoreError) -> [UInt8] in
                    try store.get(key, range: nil, ifMatch: nil).bytes
                }
                // What does not verify is not cached; fetched once more, it is decoded and named below.
                bytes = try cached ?? store.get(key, range: nil, ifMatch: nil).bytes
            } else {
                bytes = try store.get(key, range: nil, ifMatch: nil).bytes
            }
        } catch StoreError.notFound {
            throw ObjectDatabaseError.missingObject(object: key, neededBy: "a file with content \(id)")
        }
        do {
            let object = try TwoPartObject(decoding: bytes, kind: .blockList, id: id)
            let map = FileMap(try BlockList(logical: object.logical, location: object.location))
            remember(id, map, ifStill: epoch)
            return map
        } catch {
            throw ObjectDatabaseError.corrupt(object: key, reason: error.reason)
        }
    }

    /// Queues the upload of a list; `flush` waits for it.
    package func save(_ list: BlockList) {
        let id = list.contentID
        remember(id, FileMap(list))
        unconfirmed.withLock { $0[id] = list }
        uploads.submit { [self] in try put(list) }
    }

    /// Uploads a list now.
    package func put(_ list: BlockList) throws {
        let id = list.contentID
        let stored = try LocationRewriter(store: store).put(ObjectKeys.list(id), list.blocks.extents) { bytes in
            // A damaged object is replaced.
            guard let object = try? TwoPartObject(decoding: bytes, kind: .blockList, id: id) else { return nil }
            return try? BlockList(logical: object.logical, location: object.location).blocks.extents
        } encode: { extents in
            let placed = BlockList(blocks: list.blocks.references, extents: extents)
            return TwoPartObject.encode(
                kind: .blockList, logical: placed.encodedLogical(), location: placed.encodedLocation())
        }
        diskCache?.keepObject(cacheKey(id), stored)
    }

    /// What was saved since the last call.
    func takeUnconfirmed() -> [ContentID: BlockList] {
        unconfirmed.withLock { lists in
            defer { lists = [:] }
            return lists
        }
    }

    func giveBack(_ lists: [ContentID: BlockList]) {
        unconfirmed.withLock { $0.merge(lists) { newer, _ in newer } }
    }

    package func flush() throws {
        try uploads.flush()
    }

    /// - Parameter epoch: `nil` for what does not come from a copy.
    private func remember(_ id: ContentID, _ map: FileMap, ifStill epoch: Int? = nil) {
        state.withLock { state in
            if let epoch, epoch != state.epoch { return }
            state.clock += 1
            if let old = state.maps.updateValue((map, state.clock), forKey: id) { state.bytes -= old.map.memoryBytes }
            state.bytes += map.memoryBytes
            while state.bytes > Self.memoryLimitBytes, state.maps.count > 1,
                let oldest = state.maps.min(by: { $0.value.lastUse < $1.value.lastUse })
            {
                state.maps[oldest.key] = nil
                state.bytes -= oldest.value.map.memoryBytes
            }
        }
    }

    private func cacheKey(_ id: ContentID) -> CacheKey {
        CacheKey(high: id.prefixWord, low: id.secondWord ^ cacheSalt)
    }
}
