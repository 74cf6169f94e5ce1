/// Where nodes are kept. Both calls may block and may be made from any number of threads.
package protocol NodeStore: Sendable {
    /// The node with this id, checked against it. Throws `.missing`, `.corrupt` or `.unreadable`.
    func load(_ id: NodeID) throws(TreeError) -> Node

    /// These nodes will probably be loaded soon. Returns at once; what cannot be had is met by `load`.
    func prefetch(_ ids: [NodeID])

    /// Keeps the node; after the call `load` finds it. Always writes (the last location part wins).
    func save(_ node: EncodedNode) throws(TreeError)
}

extension NodeStore {
    package func prefetch(_ ids: [NodeID]) {}
}

package enum TreeError: Error, Sendable {
    case missing(NodeID)
    /// The stored bytes are not what the id promises, or do not decode.
    case corrupt(NodeID, reason: String)
    /// The store failed; `reason` is its error.
    case unreadable(NodeID, reason: any Error)
    case unwritable(NodeID, reason: any Error)
}
