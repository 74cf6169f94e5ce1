import BlockingIO
import Glibc
package import ObjectDatabase
import ObjectStorage
import ProllyTree
import Synchronization
package import Versioning

/// What an import does and has done; read it from another thread to show progress.
package final class ImportProgress: Sendable {
    package struct Counts: Sendable {
        package var files = 0
        package var directories = 0
        package var bytes: UInt64 = 0
        /// Bytes that were read, also of files that are not whole yet.
        package var readBytes: UInt64 = 0
        /// Totals as far as the scan ahead has come; final when `isTotalKnown`.
        package var totalFiles = 0
        package var totalBytes: UInt64 = 0
        package var isTotalKnown = false
        package var uploadedBytes: UInt64 = 0
        package var reusedBytes: UInt64 = 0
        /// Paths that were left out, and why; those that exclusions name are only counted.
        package var skipped: [LeftOut] = []
        package var excluded = 0

        mutating func note(_ leftOut: LeftOut) {
            if leftOut.kind == .excluded { excluded += 1 } else { skipped.append(leftOut) }
        }
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

    /// Paths of the source that are passed over, besides those that its ignore file names.
    package var exclusions: [[UInt8]] = []
    /// Directories on other filesystems than the source are not entered.
    package var staysOnFileSystem = false

    package init() {}
}

extension Repository {
    /// The file at the top of a source that has patterns for what is passed over (see `PathExclusions`).
    package static let ignoreFileName = ".tarnignore"
    private static let maximumIgnoreFileBytes = 1 << 20

    /// Imports a local directory, or one file, into `branch` as one commit, reading, hashing and uploading in parallel.
    ///
    /// 1. Scan in key order; read, cut, hash and compress on workers; place the blocks in that same order.
    /// 2. Apply the entries to the branch's tree (again on a newer head if the branch moves; a path changed there since
    ///    the import began is a conflict).
    /// 3. Commit.
    ///
    /// What cannot be read whole is left out and told in `progress`; the branch keeps what it has there.
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
        let scanned = try ScannedTree(source: unescapedBytes(source))
        guard scanned.onlyName == nil || !options.removesOthers else {
            throw ObjectDatabaseError.sourceUnusable(
                path: source, reason: "it is one file, so there is nothing to compare the branch with (--delete)")
        }
        // The directory of one file stays as the branch has it.
        let made = try scanned.onlyName.map { try options.destination.appending(checking: $0) } ?? options.destination
        let parents = try parentDirectories(of: made, in: baseTree)
        let session = try ImportSession(
            repository: self, source: scanned, rules: scanRules(scanned, options), options: options, base: baseTree,
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

    private func scanRules(_ source: ScannedTree, _ options: ImportOptions) throws -> ScanRules {
        var exclusions = PathExclusions()
        if source.onlyName == nil,
            let lines = try source.topFile(Self.ignoreFileName, limitBytes: Self.maximumIgnoreFileBytes)
        {
            try exclusions.add(lines: lines)
        }
        for pattern in options.exclusions { try exclusions.add(pattern) }
        let repository = directoryIdentity
        if let repository, source.isInside(repository) {
            throw ObjectDatabaseError.sourceUnusable(
                path: source.localName(.root), reason: "it lies in the repository itself")
        }
        return ScanRules(
            exclusions: exclusions, staysOnFileSystem: options.staysOnFileSystem, repository: repository)
    }

    /// The directory that the repository is, if it is one.
    private var directoryIdentity: FileIdentity? {
        // What names no place, as a store in memory does, is no directory.
        guard case .directory(let path)? = try? StoreLocation.parse(database.store.location) else { return nil }
        var info = stat()
        return withCPath(unescapedBytes(path), { stat($0, &info) }) == 0 ? FileIdentity(info) : nil
    }

    /// What earlier runs of the same import have uploaded, as far as it is surely there: a lease about to expire counts
    /// for nothing.
    func checkpoints(of subject: String) throws -> [(id: String, tree: NodeID)] {
        try database.readableLeases(at: database.storeSeconds() + Self.leaseMargin.wholeSeconds).filter { stored in
            stored.lease.purpose == .import && stored.lease.subject == subject
        }.map { ($0.id, $0.lease.tree) }
    }

    /// Entries for the directories above `path` that the tree lacks, in the order of keys.
    private func parentDirectories(of path: TreePath, in tree: SnapshotTree) throws -> [Edit] {
        try missingDirectories(above: path, in: tree) { _ in
            LocatedEntry(Entry(kind: .directory, mode: 0o755, modified: now()))
        }.sorted { compareBytes($0.key, $1.key) < 0 }
    }

    /// The directories above `path` that the tree lacks, deepest first, each as `entry` has it. Throws `.notADirectory` when one
    /// is something else there.
    func missingDirectories(
        above path: TreePath, in tree: SnapshotTree, entry: (TreePath) throws -> LocatedEntry?
    ) throws -> [Edit] {
        var edits: [Edit] = []
        var ancestor = path.parent
        while let directory = ancestor {
            if let found = try tree.entry(at: directory) {
                guard found.entry.isDirectory else { throw RepositoryError.notADirectory(path: directory) }
            } else if let entry = try entry(directory) {
                edits.append(.put(entry.item(at: directory)))
            }
            ancestor = directory.parent
        }
        return edits
    }
}
