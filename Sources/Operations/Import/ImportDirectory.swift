import BlockingIO
import Glibc
import ObjectDatabase
import ProllyTree
import Synchronization
package import Versioning

/// What an import does and has done; read it from another thread to show progress.
package final class ImportProgress: Sendable {
    package struct Counts: Sendable {
        package var files = 0
        package var directories = 0
        package var bytes: UInt64 = 0
        /// Totals as far as the scan ahead has come; final when `isTotalKnown`.
        package var totalFiles = 0
        package var totalBytes: UInt64 = 0
        package var isTotalKnown = false
        package var uploadedBytes: UInt64 = 0
        package var reusedBytes: UInt64 = 0
        /// Paths that were left out, and why.
        package var skipped: [(path: TreePath, reason: String)] = []
    }

    private let counts = Mutex(Counts())

    package init() {}

    package var current: Counts { counts.withLock { $0 } }

    func update(_ body: (inout Counts) -> Void) { counts.withLock { body(&$0) } }
}

package struct ImportOptions: Sendable {
    /// Where in the tree the directory's contents go.
    package var destination: TreePath = .root
    /// Remove what is under `destination` but not in the source.
    package var removesOthers = false
    /// Record user and group ids.
    package var keepsOwners = false
    /// The blocks of trees with at most so many entries are remembered, and found again under any path; those of larger
    /// trees are found under the path that they had.
    package var remembersEntries = PackPlacer.maximumKnownBlocks / 2
    /// Find out what there is in all, for the time that is left: the source is walked twice.
    package var countsAhead = false

    package init() {}
}

extension Repository {
    /// Imports a local directory into `branch` as one commit, reading, hashing and uploading in parallel.
    ///
    /// 1. Scan in key order; read, cut, hash and compress on workers; place the blocks in that same order.
    /// 2. Apply the entries to the branch's tree (again on a newer head if the branch moves; a path changed there since
    /// the
    ///    import began is a conflict).
    /// 3. Commit.
    ///
    /// Throws `.nothingToCommit` when every path is there already.
    package func importDirectory(
        _ source: String, into branch: RefName, _ info: CommitInfo, options: ImportOptions = ImportOptions(),
        progress: ImportProgress = ImportProgress()
    ) throws -> Published {
        let (_, baseID) = try database.liveRef(branch)
        try refuseIfProtected(branch, .import)
        let base = try database.commit(baseID)
        let subject = "\(source) → \(branch.name):\(options.destination)"
        return try database.writing(on: [(baseID, base.tree)], trees: try checkpoints(of: subject).map(\.tree)) {
            try importDirectory(source, into: branch, base: (baseID, base), subject, info, options, progress)
        }
    }

    private func importDirectory(
        _ source: String, into branch: RefName, base: (id: CommitID, commit: Commit), _ subject: String,
        _ info: CommitInfo, _ options: ImportOptions, _ progress: ImportProgress
    ) throws -> Published {
        let (baseID, base) = base
        let baseTree = database.tree(base.tree)
        let parents = try parentDirectories(of: options.destination, in: baseTree)
        let session = try ImportSession(
            repository: self, source: ScannedTree(root: unescapedBytes(source)), options: options, base: baseTree,
            start: baseTree.applying(parents), subject: subject,
            holder: info.author, progress: progress)
        let imported = try session.run()
        if imported.root == baseTree.root { throw RepositoryError.nothingToCommit }
        let published = try publish(on: branch, .import, info) { head, headCommit in
            if head == baseID {
                let counts = try baseTree.difference(to: imported, from: base.counts).counts
                return makeCommit(tree: imported.root, parents: [(head, headCommit)], counts: counts, info)
            }
            let result = try mergeTrees(
                base: baseTree, incoming: imported, current: database.tree(headCommit.tree),
                currentCounts: headCommit.counts
            ) { _ in nil }
            if !result.conflicts.isEmpty {
                throw RepositoryError.conflicts(result.conflicts, head: head, seenFrom: .incoming)
            }
            let root = try database.tree(headCommit.tree).applying(result.edits)
            return makeCommit(tree: root.root, parents: [(head, headCommit)], counts: result.counts, info)
        }
        session.dropCheckpoint()
        return published
    }

    /// What earlier runs of the same import have uploaded, as far as it is surely there: a lease about to expire counts
    /// for nothing.
    fileprivate func checkpoints(of subject: String) throws -> [(id: String, tree: NodeID)] {
        try database.readableLeases(at: database.storeSeconds() + Self.leaseMargin.wholeSeconds).filter { stored in
            stored.lease.purpose == .import && stored.lease.subject == subject
        }.map { ($0.id, $0.lease.tree) }
    }

    /// Entries for the directories above `path` that the tree lacks, in the order of keys.
    private func parentDirectories(of path: TreePath, in tree: SnapshotTree) throws -> [Edit] {
        var edits: [Edit] = []
        var ancestor = path.parent
        while let directory = ancestor {
            if let entry = try tree.entry(at: directory) {
                guard entry.entry.isDirectory else { throw RepositoryError.notADirectory(path: directory) }
            } else {
                let entry = LocatedEntry(Entry(kind: .directory, mode: 0o755, modified: now()))
                edits.append(.put(entry.item(at: directory)))
            }
            ancestor = directory.parent
        }
        return edits.sorted { compareBytes($0.key, $1.key) < 0 }
    }
}

/// One run over a source directory.
private final class ImportSession: Sendable {
    private let repository: Repository
    private let source: ScannedTree
    private let options: ImportOptions
    private let base: SnapshotTree
    private let subject: String
    private let holder: String
    private let lease: HeldLease
    /// The leases that earlier runs have left.
    private let earlierLeases: [String]
    private let progress: ImportProgress
    private let known: Mutex<[BlockID: Extent]>
    /// Earlier trees whose blocks are too many to be remembered.
    private let largeTrees: [SnapshotTree]
    private let output: Mutex<Output>

    private struct Output {
        /// The base with everything that was placed up to the last checkpoint.
        var tree: SnapshotTree
        /// What came since.
        var edits: [Edit] = []
        /// All keys that came, when others are to be removed.
        var keys: Set<[UInt8]> = []
        var lastCheckpoint = ContinuousClock.now
        /// What was uploaded when it was made.
        var checkpointBytes: UInt64 = 0
    }

    /// An interrupted import goes on from the last checkpoint; one is made this long after the last one, since it waits for
    /// everything under way …
    private static let checkpointInterval = Duration.seconds(10)
    /// … or when so much was uploaded, which is what a fast network does in that time …
    private static let checkpointBytes: UInt64 = 128 << 20
    /// … or when this many entries came, which also bounds the memory that they take.
    private static let checkpointEntries = 100_000

    init(
        repository: Repository, source: ScannedTree, options: ImportOptions, base: SnapshotTree,
        start: SnapshotTree, subject: String, holder: String, progress: ImportProgress
    ) throws {
        self.repository = repository
        self.source = source
        self.options = options
        self.base = base
        self.subject = subject
        self.holder = holder
        self.progress = progress
        let earlier = try repository.checkpoints(of: subject)
        var known: [BlockID: Extent] = [:]
        var largeTrees: [SnapshotTree] = []
        for tree in [base] + earlier.map({ repository.database.tree($0.tree) }) {
            if try tree.count() > UInt64(options.remembersEntries) {
                largeTrees.append(tree)
            } else {
                known.merge(try repository.database.knownBlocks(in: tree, limit: options.remembersEntries)) { old, _ in
                    old
                }
            }
        }
        self.largeTrees = largeTrees
        lease = HeldLease(repository.database)
        earlierLeases = earlier.map(\.id)
        self.known = Mutex(known)
        output = Mutex(Output(tree: start))
    }

    /// Imports everything and answers the tree that the branch's base becomes.
    func run() throws -> SnapshotTree {
        if options.countsAhead { countAhead() }
        let known = self.known.withLock { known in
            defer { known = [:] }
            return known
        }
        let ingest = FileIngest<ScannedPath>(database: repository.database, known: known) {
            [self] ingest, path, list, totals in
            try take(path, list, totals, from: ingest)
        }
        do {
            try produce(ingest)
        } catch {
            ingest.cancel()
            throw error
        }
        try ingest.finish()
        return try output.withLock { output in
            if options.removesOthers { output.edits += try removals(keeping: output.keys) }
            try apply(&output)
            output.edits = try orphans(in: output.tree)
            try apply(&output)
            return output.tree
        }
    }

    /// The commit exists: the checkpoints are of no further use (and end by themselves if they stay).
    func dropCheckpoint() {
        lease.end()
        for id in earlierLeases { try? repository.database.removeLease(id: id) }
    }

    private func produce(_ ingest: FileIngest<ScannedPath>) throws {
        var scanner = try DirectoryScanner(source)
        let root = scanner.root
        try ingest.add(sizeBytes: 0) { _ in root }
        while let children = try scanner.nextDirectory() {
            for child in children {
                switch child.kind {
                case .unsupported(let what):
                    progress.update { $0.skipped.append((child.path, "it is \(what)")) }
                case .directory, .symlink:
                    try ingest.add(sizeBytes: 0) { _ in child }
                case .file(let size):
                    try ingest.add(sizeBytes: size, earlier: { [self] in try earlierBlocks(of: child.path) }) {
                        [self] emit in
                        try source.withOpen(child) { file in
                            try cutWhole(file, emit)
                            return try child.unchanged(file)
                        }
                    }
                }
            }
        }
    }

    /// The blocks that a file has in the large trees.
    private func earlierBlocks(of path: TreePath) throws -> [BlockID: Extent] {
        var blocks: [BlockID: Extent] = [:]
        for tree in largeTrees {
            guard let located = try tree.entry(at: options.destination.appending(path: path)),
                located.entry.file != nil
            else { continue }
            let list = try repository.database.lists.map(of: located).list
            for placed in list.blocks.stored {
                blocks[placed.block.id] = placed.extent
            }
        }
        return blocks
    }

    /// Notes a file whose blocks were placed.
    private func take(
        _ path: ScannedPath, _ list: BlockList, _ totals: PackPlacer.Totals, from ingest: FileIngest<ScannedPath>
    ) throws {
        let edit = try edit(path, list)
        progress.update { counts in
            if path.kind == .directory { counts.directories += 1 } else { counts.files += 1 }
            counts.bytes += list.sizeBytes
            counts.uploadedBytes = totals.uploadedBytes
            counts.reusedBytes = totals.reusedBytes
        }
        try output.withLock { output in
            output.edits.append(edit)
            if options.removesOthers { output.keys.insert(edit.key) }
            let isDue =
                ContinuousClock.now - output.lastCheckpoint >= Self.checkpointInterval
                || output.edits.count >= Self.checkpointEntries
                || totals.uploadedBytes - output.checkpointBytes >= Self.checkpointBytes
            guard isDue else { return }
            try ingest.settle()
            try apply(&output)
            try saveCheckpoint(output.tree)
            output.lastCheckpoint = .now
            output.checkpointBytes = totals.uploadedBytes
        }
    }

    private func edit(_ path: ScannedPath, _ list: BlockList) throws -> Edit {
        let kind: Entry.Kind
        switch path.kind {
        case .file:
            kind = .file(FileContent(list))
            if FileContent.needsList(list) { repository.database.lists.save(list) }
        case .directory: kind = .directory
        case .symlink(let target): kind = .symlink(target: target)
        case .unsupported: preconditionFailure("left out by the producer")
        }
        let entry = Entry(
            kind: kind, mode: path.mode, modified: path.modified, owner: options.keepsOwners ? path.owner : nil,
            attributes: path.attributes)
        return .put(LocatedEntry(entry, of: list).item(at: options.destination.appending(path: path.path)))
    }

    private func apply(_ output: inout Output) throws {
        output.tree = try output.tree.applying(output.edits.sorted { compareBytes($0.key, $1.key) < 0 })
        output.edits = []
        try repository.database.flush()
    }

    /// Leaves a lease on what is uploaded, so that the next run of the same import need not upload it again.
    private func saveCheckpoint(_ tree: SnapshotTree) throws {
        try lease.save(
            Lease(
                purpose: .import, tree: tree.root, lasting: ObjectDatabase.leaseDuration, holder: holder,
                subject: subject))
    }

    /// Paths below the destination that the source does not have.
    private func removals(keeping kept: Set<[UInt8]>) throws -> [Edit] {
        var removals: [Edit] = []
        try base.forEachDescendant(of: options.destination) { path, _ in
            if !kept.contains(path.key) { removals.append(.remove(path.key)) }
            return true
        }
        return removals
    }

    /// What was below directories of the base that are files or links now.
    private func orphans(in tree: SnapshotTree) throws -> [Edit] {
        var removals: Set<Edit> = []
        try base.pathChanges(to: tree) { change in
            guard change.old?.entry.isDirectory == true, change.new?.entry.isDirectory == false else { return true }
            try tree.forEachDescendant(of: change.path) { path, _ in
                removals.insert(.remove(path.key))
                return true
            }
            return true
        }
        return Array(removals)
    }

    /// Counts files and bytes on a thread of its own, for the time that is left.
    private func countAhead() {
        // Without a thread for it the time that is left is not shown.
        try? startThread { [progress, source] in
            // An unreadable directory is the import's to report.
            guard var scanner = try? DirectoryScanner(source) else { return }
            while let children = try? scanner.nextDirectory() {
                progress.update { counts in
                    for child in children {
                        if case .file(let size) = child.kind { counts.totalBytes += size }
                        if child.kind != .directory { counts.totalFiles += 1 }
                    }
                }
            }
            progress.update { $0.isTotalKnown = true }
        }
    }
}

extension ScannedPath {
    /// The file as it is after it was read; throws when it was written to meanwhile.
    fileprivate func unchanged(_ file: SourceFile) throws -> ScannedPath {
        var info = stat()
        guard fstat(file.descriptor, &info) == 0 else { throw localFailure(printableName(file.path)) }
        guard Timestamp(info.st_mtim) == modified, UInt64(info.st_size) == file.sizeBytes else {
            throw ObjectDatabaseError.sourceUnusable(
                path: printableName(file.path), reason: "it was written to while it was read; nothing was committed")
        }
        return ScannedPath(
            path: path, kind: .file(sizeBytes: file.sizeBytes), mode: mode, modified: modified, owner: owner,
            identity: identity, attributes: try userAttributes(of: file.descriptor, path: file.path))
    }
}
