import BlockingIO
import Glibc
import Staging
import Synchronization

/// The open data files of a workspace, however many files are open on the mount: the least recently used are closed first,
/// and opened again when they are needed.
final class DataFiles: Sendable {
    private let workspace: Workspace
    private let open: Mutex<BoundedCache<DataFileID, Descriptor>>

    /// Of the descriptors that the process may have.
    private static let share = 4

    init(_ workspace: Workspace) {
        self.workspace = workspace
        open = Mutex(BoundedCache(limit: max(8, descriptorLimit() / Self.share)))
    }

    /// An open descriptor, which stays open for as long as the caller holds it. Throws what `Workspace.openData` throws.
    func descriptor(_ data: DataFileID, create: Bool) throws -> Descriptor {
        if let known = open.withLock({ $0.value(for: data) }) { return known }
        let opened: Descriptor
        do {
            opened = Descriptor(try workspace.openData(data, create: create))
        } catch WorkspaceError.localIO(_, errno: EMFILE), WorkspaceError.localIO(_, errno: ENFILE) {
            open.withLock { $0.removeAll() }
            opened = Descriptor(try workspace.openData(data, create: create))
        }
        return open.withLock { open in
            // Another thread may have been faster.
            if let known = open.value(for: data) { return known }
            open.insert(opened, for: data)
            return opened
        }
    }

    /// Closes all as soon as nobody uses them; each is opened again when it is needed.
    func forgetAll() { open.withLock { $0.removeAll() } }

    /// Closes data files as soon as nobody uses them, so that those that are deleted give their room back.
    func forget(_ data: Set<DataFileID>) {
        if data.isEmpty { return }
        open.withLock { open in for data in data { open.remove(data) } }
    }
}
