import BlockingIO
package import FoundationEssentials
package import ObjectStorage
import ProllyTree
import Synchronization
package import Versioning

/// `moved/<xx>/<pack>`: where blocks of a pack are found since repacking, or an upload of the same node, replaced their
/// locations. Written before any node names the new locations, only added to and never removed, so that whoever knows only an
/// old location of a block finds the new one.
package struct PackForwardingRecord: Codable {
    package var format = 1
    package var when: Timestamp
    /// Offsets in the old pack, ascending.
    package var offsets: [UInt64]
    /// The new extents, one for each offset, encoded as in a block list.
    package var extents: Data

    package init(when: Timestamp, blocks: [(offset: UInt64, extent: Extent)]) {
        self.when = when
        offsets = blocks.map(\.offset)
        extents = Data(encodeExtents(blocks.map(\.extent)))
    }

    package func decoded(key: String) throws(ObjectDatabaseError) -> [UInt64: Extent] {
        do throws(DecodingFault) {
            let locations = try decodeExtents([UInt8](extents), count: offsets.count)
            guard locations.allSatisfy({ $0.codec != .zeros }) else {
                throw DecodingFault(reason: "it leads from stored bytes to zeros", offset: 0)
            }
            return Dictionary(zip(offsets, locations)) { first, _ in first }
        } catch {
            throw .corrupt(object: key, reason: error.reason)
        }
    }
}

/// The moves of a repository's packs, read when they are needed.
package final class PackForwarding: Sendable {
    private struct State {
        var moves: BoundedCache<PackID, [UInt64: Extent]>
        /// Packs that moved, by the store's time; `nil` until they are listed.
        var listed: [PackID: Int64]?
    }

    private let store: any ObjectStore
    private let remembersAbsence: Bool
    private let state = Mutex(State(moves: BoundedCache(limit: limit)))
    /// Moves kept in memory.
    private static let limit = 256

    /// - Parameter remembersAbsence: a pack that has not moved is not looked for again: for use by one operation.
    package init(store: any ObjectStore, remembersAbsence: Bool = false) {
        self.store = store
        self.remembersAbsence = remembersAbsence
    }

    /// Throws `.corrupt` and the like when an object below `moved/` cannot be followed.
    package static func check(_ key: String, _ store: any ObjectStore) throws {
        guard let found = try store.find(key) else { return }
        _ = try (decodeObject(found.bytes, key: key) as PackForwardingRecord).decoded(key: key)
    }

    /// Lists the packs that have moved: after that, the others cost no request.
    package func list() throws -> [PackID: Int64] {
        var moved: [PackID: Int64] = [:]
        try store.forEachPage(ObjectKeys.moved) { objects in
            for object in objects {
                if let id = ObjectKeys.packID(key: object.key) { moved[id] = object.modifiedSeconds }
            }
        }
        state.withLock { $0.listed = moved }
        return moved
    }

    /// Where blocks lie now, in the same order. When the packs are listed and none of these has moved, that takes one
    /// look.
    package func present(of extents: [Extent]) throws -> [Extent] {
        let listed = state.withLock { $0.listed }
        if let listed, !extents.contains(where: { listed[$0.pack] != nil }) { return extents }
        return try extents.map { try present(of: $0) }
    }

    /// Where a block lies now. Itself when it never moved, or is stored nowhere. Throws `.corrupt` when the records lead in a circle.
    package func present(of extent: Extent) throws -> Extent {
        if extent.codec == .zeros { return extent }
        var present = extent
        for _ in 0..<Self.maximumHops {
            guard let next = try next(of: present) else { return present }
            present = next
        }
        throw Self.endless(extent)
    }

    /// A pack may be repacked again and again, but not so often.
    static let maximumHops = 64

    static func endless(_ extent: Extent) -> ObjectDatabaseError {
        .corrupt(
            object: ObjectKeys.moved(extent.pack),
            reason: "what is said of the bytes at \(extent.offset) leads on and on, or in a circle")
    }

    /// Where repacking put the block; `nil` when its pack has not moved or the block was not in use then.
    package func next(of extent: Extent) throws -> Extent? {
        let known = state.withLock { state -> [UInt64: Extent]?? in
            if let move = state.moves.value(for: extent.pack), remembersAbsence || move[extent.offset] != nil {
                return .some(move)
            }
            if let listed = state.listed, listed[extent.pack] == nil { return .some(nil) }
            return nil
        }
        if let known { return known?[extent.offset] }
        let key = ObjectKeys.moved(extent.pack)
        let object = try store.find(key)
        if object == nil, !remembersAbsence { return nil }
        let locations =
            try object.map { try (decodeObject($0.bytes, key: key) as PackForwardingRecord).decoded(key: key) } ?? [:]
        state.withLock { state in
            state.moves.insert(locations, for: extent.pack)
        }
        return locations[extent.offset]
    }
}
