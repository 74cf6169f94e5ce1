import ProllyTree
import Synchronization

/// Decoded tree nodes in memory, least recently used out first, bounded in bytes.
final class NodeCache: Sendable {
    private struct Slot {
        let node: Node
        var lastUse: UInt64
    }

    private struct State {
        var slots: [NodeID: Slot] = [:]
        var bytes = 0
        var clock: UInt64 = 0
        /// Raised when all are forgotten.
        var epoch = 0
    }

    private let state = Mutex(State())
    private let limitBytes: Int

    init(limitBytes: Int) {
        self.limitBytes = limitBytes
    }

    subscript(_ id: NodeID) -> Node? {
        state.withLock { state in
            state.clock += 1
            let clock = state.clock
            guard let index = state.slots.index(forKey: id) else { return nil }
            state.slots.values[index].lastUse = clock
            return state.slots.values[index].node
        }
    }

    package var epoch: Int { state.withLock { $0.epoch } }

    /// - Parameter epoch: of when it was begun to be read; what was forgotten since does not come back.
    func insert(_ node: Node, ifStill epoch: Int? = nil) {
        state.withLock { state in
            if let epoch, epoch != state.epoch { return }
            state.clock += 1
            if let old = state.slots.updateValue(Slot(node: node, lastUse: state.clock), forKey: node.id) {
                state.bytes -= old.node.memoryBytes
            }
            state.bytes += node.memoryBytes
            if state.bytes > limitBytes { evict(&state) }
        }
    }

    func remove(_ id: NodeID) {
        state.withLock { state in
            if let old = state.slots.removeValue(forKey: id) { state.bytes -= old.node.memoryBytes }
        }
    }

    func removeAll() {
        state.withLock { state in
            state.epoch += 1
            state.slots = [:]
            state.bytes = 0
        }
    }

    /// Drops the oldest quarter in one pass, so that the cost of sorting is spread over many insertions.
    private func evict(_ state: inout State) {
        let oldest = state.slots.values.map { ($0.lastUse, $0.node.id) }.sorted { $0.0 < $1.0 }
        for (_, id) in oldest where state.bytes > limitBytes / 4 * 3 && state.slots.count > 1 {
            if let old = state.slots.removeValue(forKey: id) { state.bytes -= old.node.memoryBytes }
        }
    }
}
