import Staging
import Synchronization

/// Data files whose bytes nothing shows any more: they are deleted once that is durable, so that power loss cannot bring
/// back names of files whose bytes are gone.
final class DataFileReclaimer: Sendable {
    private let workspace: Workspace
    private let pending = Mutex<Set<DataFileID>>([])
    /// Held while files are deleted, so that whoever needs room waits for it.
    private let performing = Mutex<Void>(())

    init(_ workspace: Workspace) {
        self.workspace = workspace
    }

    func add(_ data: Set<DataFileID>) {
        if !data.isEmpty { pending.withLock { $0.formUnion(data) } }
    }

    /// Frees the room of everything added so far. Blocks for an fsync when there is any.
    func perform() throws {
        try performing.withLock { _ in
            let data = pending.withLock { pending in
                defer { pending = [] }
                return pending
            }
            if data.isEmpty { return }
            do {
                try workspace.makeDurable()
                try workspace.removeData(data)
            } catch {
                add(data)
                throw error
            }
        }
    }
}
