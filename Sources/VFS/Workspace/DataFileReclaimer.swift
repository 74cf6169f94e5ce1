import Staging
import Synchronization

/// Gives room back: entries of files that nobody can reach any more, and bytes of data files that nothing shows. Data files
/// are deleted or cut once that is durable, so that power loss cannot bring back names of files whose bytes are gone.
final class DataFileReclaimer: Sendable {
    private struct Pending {
        /// Entries without a name whose file nobody has open.
        var entries: Set<OverlayEntryID> = []
        /// Data files of which less is shown than before.
        var data: Set<DataFileID> = []

        var isEmpty: Bool { entries.isEmpty && data.isEmpty }
    }

    private let workspace: Workspace
    private let dataFiles: DataFiles
    private let pending = Mutex(Pending())
    /// Held while files are deleted, so that whoever needs room waits for it.
    private let performing = Mutex<Void>(())

    init(_ workspace: Workspace, _ dataFiles: DataFiles) {
        self.workspace = workspace
        self.dataFiles = dataFiles
    }

    func add(_ data: Set<DataFileID>) {
        if !data.isEmpty { pending.withLock { $0.data.formUnion(data) } }
    }

    /// A file that has no name, and that nobody can open.
    func add(removed entry: OverlayEntry) {
        pending.withLock { pending in
            pending.entries.insert(entry.id)
            pending.data.formUnion(entry.content?.dataFiles ?? [])
        }
    }

    /// Frees the room of everything added so far. Blocks for an fsync when there is any.
    func perform() throws {
        try performing.withLock { _ in
            let taken = pending.withLock { pending in
                defer { pending = Pending() }
                return pending
            }
            if taken.isEmpty { return }
            do {
                if !taken.entries.isEmpty {
                    try workspace.write { overlay in
                        for id in taken.entries { try overlay.remove(id) }
                    }
                }
                try workspace.reclaim(taken.data)
                dataFiles.forget(taken.data)
            } catch {
                pending.withLock { pending in
                    pending.entries.formUnion(taken.entries)
                    pending.data.formUnion(taken.data)
                }
                throw error
            }
        }
    }
}
