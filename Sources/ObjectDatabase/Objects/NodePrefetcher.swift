import BlockingIO
import ProllyTree
import Synchronization

/// Loads nodes before they are asked for, on threads that begin with the first.
final class NodePrefetcher: Sendable {
    private let threads: Int
    private let underWay = Monitor<Set<NodeID>>([])
    private let pool = Mutex<WorkerPool?>(nil)

    /// Beyond this many no more are begun.
    private static let limit = 256

    init(threads: Int) {
        self.threads = threads
    }

    deinit {
        pool.withLock { $0?.close() }
    }

    /// Returns at once; does nothing while the node is being loaded, or too many others are.
    func submit(_ id: NodeID, _ load: @escaping @Sendable () -> Void) {
        let begins = underWay.update(wakes: false) { ids in ids.count < Self.limit && ids.insert(id).inserted }
        guard begins else { return }
        let pool = pool.withLock { pool in
            let present = pool ?? WorkerPool(threads: threads, limit: Self.limit)
            pool = present
            return present
        }
        pool.submit { [underWay] in
            load()
            underWay.update { _ = $0.remove(id) }
        }
    }

    /// Until the node is no longer being loaded here.
    func wait(for id: NodeID) {
        underWay.waitUntil { !$0.contains(id) }
    }
}
