import Synchronization

/// What this process has verified, in memory: per segment the slot and generation it was seen in, and one fingerprint
/// per block. A fingerprint that belongs to an older generation counts for nothing.
final class VerifiedBlocks: Sendable {
    private static let shardCount = 16

    private struct Segment {
        var reference: CacheIndex.Reference
        /// Of start, length and proof: eight bytes a block.
        var fingerprints: Set<UInt64> = []
    }

    private struct State {
        var segments: [SegmentID: Segment] = [:]
        /// When there are so many segments, those that were evicted are looked for and dropped.
        var pruneCount = 64
    }

    private final class Shard: Sendable {
        let state = Mutex(State())
    }

    private let shards = (0..<shardCount).map { _ in Shard() }

    /// Where the block was verified. Whether it still is there, the index tells.
    func reference(_ block: BlockAddress) -> CacheIndex.Reference? {
        let id = block.segment
        let fingerprint = block.fingerprint
        return shard(id).state.withLock { state in
            guard let index = state.segments.index(forKey: id),
                state.segments.values[index].fingerprints.contains(fingerprint)
            else { return nil }
            return state.segments.values[index].reference
        }
    }

    func insert(_ block: BlockAddress, _ reference: CacheIndex.Reference, index: CacheIndex) {
        let id = block.segment
        let fingerprint = block.fingerprint
        shard(id).state.withLock { state in
            if state.segments[id] == nil && state.segments.count >= state.pruneCount {
                state.segments = state.segments.filter { index.isCurrent($0.value.reference) }
                state.pruneCount = max(64, 2 * state.segments.count)
            }
            if state.segments[id]?.reference != reference {
                // A thread that was slow may come with what was evicted long ago.
                guard index.isCurrent(reference) else { return }
                state.segments[id] = Segment(reference: reference)
            }
            state.segments[id]?.fingerprints.insert(fingerprint)
        }
    }

    private func shard(_ id: SegmentID) -> Shard {
        shards[Int(truncatingIfNeeded: id.placement) & (Self.shardCount - 1)]
    }
}

extension BlockAddress {
    /// Keyed with this process's random seed, so that nobody can prepare two blocks that share one.
    fileprivate var fingerprint: UInt64 {
        var hasher = Hasher()
        hasher.combine(offset)
        hasher.combine(length)
        hasher.combine(proof)
        return UInt64(bitPattern: Int64(hasher.finalize()))
    }
}
