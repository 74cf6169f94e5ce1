import BlockingIO
import Logging
import ObjectDatabase
import ObjectStorage
import ProllyTree
package import Staging
import Synchronization
import Versioning

extension Repository {
    /// Uploads staged files that have come to rest, so that committing them takes as long as their metadata.
    ///
    /// 1. Take files that were last written a while ago and are not uploaded as they are.
    /// 2. Upload their blocks.
    /// 3. Write a lease on them: the garbage collector leaves them alone for as long as it is renewed.
    /// 4. Note in the workspace where each file's blocks lie, as of the change that was read.
    ///
    /// A file that is written to meanwhile is of a later change: what was uploaded of it is not used. Uploads that no commit
    /// takes are garbage once the lease has expired. Answers how many files were uploaded. Blocks; one caller at a time.
    ///
    /// - Parameter skipping: nodes that have writes which the workspace does not know of yet.
    /// - Parameter isStopped: asked at every block; when it says so, nothing is noted and 0 is answered.
    package func uploadAhead(
        _ workspace: Workspace, skipping: Set<OverlayEntryID>, isStopped: @escaping @Sendable () -> Bool
    ) throws -> Int {
        let rested = Timestamp(seconds: now().seconds - Self.rest.wholeSeconds, nanoseconds: 0)
        var bytes: UInt64 = 0
        let nodes = try workspace.filesToUpload(writtenBefore: rested, limit: Self.filesAtOnce)
            .filter { !skipping.contains($0.id) }
            .prefix { node in
                defer { bytes += node.sizeBytes }
                return bytes < Self.bytesAtOnce
            }
        if nodes.isEmpty {
            try renewOrEndLease(workspace)
            return 0
        }
        // The mount has asked about sweeps when it took this base.
        return try database.writing(on: [], trees: try workspaceTrees(workspace), copiesLocations: false) {
            try upload(Array(nodes), workspace, isStopped)
        }
    }

    /// The trees whose blocks staged files may show.
    func workspaceTrees(_ workspace: Workspace) throws -> [NodeID] {
        let uploads = try workspace.uploadLease()?.tree
        return [try database.commit(workspace.base()).tree] + (uploads.map { [$0] } ?? [])
    }

    private func upload(
        _ nodes: [OverlayEntry], _ workspace: Workspace, _ isStopped: @escaping @Sendable () -> Bool
    ) throws -> Int {
        let done = Mutex<[(node: OverlayEntry, blocks: BlockList)]>([])
        let ingest = FileIngest<OverlayEntry>(database: database, known: [:]) {
            [lists = database.lists] _, node, list, _ in
            if FileContent.needsList(list) { lists.save(list) }
            done.withLock { $0.append((node, list)) }
        }
        do {
            for node in nodes {
                guard let content = node.content else { continue }
                try ingest.add(sizeBytes: content.sizeBytes, isNew: content.base == nil) { [self] emit in
                    let source = try StagedFileSource(content, workspace: workspace, repository: self)
                    try source.emitBlocks { (run: FileIngest<OverlayEntry>.Run) in
                        if isStopped() { throw Stopped() }
                        try emit(run)
                    }
                    return node
                }
            }
            try ingest.finish()
        } catch is Stopped {
            ingest.cancel()
            return 0
        } catch {
            ingest.cancel()
            throw error
        }
        let uploads = done.withLock { $0 }
        try protect(uploads, workspace)
        try workspace.recordUploads(uploads)
        return uploads.count
    }

    private static let rest = Duration.seconds(3)
    private static let filesAtOnce = 2000
    /// A round begins no further file after so many bytes.
    private static let bytesAtOnce: UInt64 = 256 << 20

    private struct Stopped: Error {}

    /// Adds files to the tree that the workspace's lease protects, each under its node's number.
    private func protect(_ uploads: [(node: OverlayEntry, blocks: BlockList)], _ workspace: Workspace) throws {
        let edits = try uploads.map { node, list in
            let entry = node.entry(kind: .file(FileContent(list)))
            let located = LocatedEntry(entry, of: list)
            return Edit.put(located.item(at: try TreePath(parsing: "\(node.id.value)")))
        }
        var known = try workspace.uploadLease()
        let resumed = try known.flatMap { try HeldLease.resuming($0.id, database) }
        if resumed == nil, known != nil {
            // What was uploaded under it may be gone.
            try workspace.dropUploads()
            known = nil
        }
        let start = try known.map { database.tree($0.tree) } ?? SnapshotTree.build([], in: database.nodes)
        let protected = try start.applying(edits.sorted { compareBytes($0.key, $1.key) < 0 })
        try database.flush()
        try save(resumed ?? HeldLease(database), protected.root, workspace)
    }

    private func save(_ held: HeldLease, _ tree: NodeID, _ workspace: Workspace) throws {
        try held.save(
            Lease(
                purpose: .upload, tree: tree, lasting: ObjectDatabase.leaseDuration, holder: workspace.directory,
                subject: held.id))
        try workspace.setUploadLease((held.id, tree))
    }

    /// Keeps the lease while there are uploads to protect; ends it when there are none.
    private func renewOrEndLease(_ workspace: Workspace) throws {
        guard let (id, tree) = try workspace.uploadLease() else { return }
        guard try workspace.hasUploads() else {
            try database.removeLease(id: id)
            return try workspace.setUploadLease(nil)
        }
        // Our clock only says when to look; whether the lease still holds, the store's does.
        let written = try database.store.findInfo(ObjectKeys.leases + id)?.modifiedSeconds ?? 0
        guard abs(now().seconds - written) > ObjectDatabase.leaseDuration.wholeSeconds / 2 else { return }
        if let held = try HeldLease.resuming(id, database) {
            try save(held, tree, workspace)
        } else {
            try workspace.dropUploads()
            try workspace.setUploadLease(nil)
        }
    }

    /// Whether what was uploaded ahead is surely still there.
    func trustsUploads(of workspace: Workspace) throws -> Bool {
        guard let (id, _) = try workspace.uploadLease(), let lease = try database.lease(id: id) else { return false }
        return try lease.endSeconds > database.storeSeconds() + Self.leaseMargin.wholeSeconds
    }

    /// A commit that begins this long before the lease ends is over by then.
    static let leaseMargin = Duration.days(1)
}
