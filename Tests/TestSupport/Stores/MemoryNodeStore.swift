package import ProllyTree
import Synchronization

/// Nodes in a dictionary: for tests and for trees that are only looked at.
package final class MemoryNodeStore: NodeStore {
    private let nodes = Mutex<[NodeID: EncodedNode]>([:])

    package init() {}

    package var count: Int { nodes.withLock { $0.count } }

    package func load(_ id: NodeID) throws(TreeError) -> Node {
        guard let encoded = nodes.withLock({ $0[id] }) else { throw .missing(id) }
        do {
            return try Node(id: id, logical: encoded.logical, location: encoded.location)
        } catch {
            throw .corrupt(id, reason: error.reason)
        }
    }

    package func save(_ node: EncodedNode) throws(TreeError) {
        nodes.withLock { $0[node.id] = node }
    }
}
