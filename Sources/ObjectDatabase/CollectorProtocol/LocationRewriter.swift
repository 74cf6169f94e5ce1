import ObjectStorage
import ProllyTree
import Versioning

/// Writes nodes and lists over older selves without losing the trail of their blocks.
///
/// The same node may be uploaded again with its blocks in other packs. The old packs are then named by nobody, and are
/// collected; but others may know only the old locations (a cache, a writer under way). So before a location is replaced, a
/// note leads from it to the new one (`moved/`).
struct LocationRewriter {
    let store: any ObjectStore

    /// - Parameter existing: the locations that an encoded object names.
    /// - Parameter encode: the object with these locations.
    /// - Returns: the bytes that were written.
    package func put(
        _ key: String, _ new: [Extent], existing: ([UInt8]) throws -> [Extent]?, encode: ([Extent]) throws -> [UInt8]
    ) throws -> [UInt8] {
        let object = try encode(new)
        if try store.swap(key, from: nil, to: object) { return object }
        let moves = PackForwarding(store: store, remembersAbsence: true)
        let written: [UInt8]? = try CompareAndSwapLoop.run {
            guard let found = try store.find(key) else {
                return try store.swap(key, from: nil, to: object) ? object : nil
            }
            // One that does not decode is replaced: nobody could have read locations from it.
            guard let old = try existing(found.bytes), old.count == new.count else {
                return try store.swap(key, from: found.etag, to: object) ? object : nil
            }
            // The same locations again: what would move them fails on our write, and looks again.
            let present = try old == new ? new : new.map { try moves.present(of: $0) }
            try requirePacks(of: present, besides: old)
            var notes: [PackID: [UInt64: Extent]] = [:]
            for (before, after) in zip(old, present) where before != after && before.codec != .zeros {
                if try moves.present(of: before) != after { notes[before.pack, default: [:]][before.offset] = after }
            }
            for (pack, locations) in notes { try note(pack, locations) }
            let placed = try encode(present)
            return try store.swap(key, from: found.etag, to: placed) ? placed : nil
        }
        guard let written else { throw StoreError.preconditionFailed(key: key) }
        return written
    }

    /// Who replaces locations takes the only way to the old ones away, and the collector follows it: the new packs must be
    /// there. One may still be on its way, then a later attempt succeeds (`UploadQueue`); or it was learned from a stale
    /// copy. Throws `.missingObject`.
    private func requirePacks(of new: [Extent], besides old: [Extent]) throws {
        let known = Set(old.map(\.pack))
        for pack in Set(new.filter { $0.codec != .zeros }.map(\.pack)).subtracting(known) {
            let key = ObjectKeys.pack(pack)
            guard try store.findInfo(key) == nil else { continue }
            throw ObjectDatabaseError.missingObject(object: key, neededBy: "a location that others have too")
        }
    }

    private func note(_ pack: PackID, _ locations: [UInt64: Extent]) throws {
        let key = ObjectKeys.moved(pack)
        try store.update(key) { found in
            var all = locations
            if let found {
                let known: PackForwardingRecord = try decodeObject(found.bytes, key: key)
                all.merge(try known.decoded(key: key)) { _, old in old }
            }
            let move = PackForwardingRecord(
                when: now(), blocks: all.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })
            return encodeRecord(move)
        }
    }
}
