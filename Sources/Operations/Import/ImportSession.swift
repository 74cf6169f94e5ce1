import BlockingIO
import Glibc
import ObjectDatabase
import ProllyTree
import Synchronization
import Versioning

/// One run over a source directory.
final class ImportSession: Sendable {
    private let repository: Repository
    private let source: ScannedTree
    private let rules: ScanRules
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
        /// Paths below the destination that were not looked at: the branch keeps what it has at them and below.
        var untouched: Set<TreePath> = []
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
        repository: Repository, source: ScannedTree, rules: ScanRules, options: ImportOptions, base: SnapshotTree,
        start: SnapshotTree, subject: String, holder: String, progress: ImportProgress
    ) throws {
        self.repository = repository
        self.source = source
        self.rules = rules
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
        let ingest = FileIngest<Taken>(database: repository.database, known: known) {
            [self] ingest, taken, list, totals in
            switch taken {
            case .leftOut(let leftOut): note(leftOut)
            case .path(let path): try take(path, list, totals, from: ingest)
            }
        }
        do {
            try produce(ingest)
        } catch {
            ingest.cancel()
            throw error
        }
        try ingest.finish()
        return try output.withLock { output in
            if options.removesOthers { output.edits += try removals(keeping: output) }
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

    private func produce(_ ingest: FileIngest<Taken>) throws {
        var scanner = try DirectoryScanner(source, rules) { [self] in note($0) }
        let root = scanner.root
        if source.onlyName == nil { try ingest.add(sizeBytes: 0) { _ in .path(root) } }
        while let children = try scanner.nextDirectory() {
            for child in children {
                switch child.kind {
                case .unsupported(let what): note(LeftOut(child.path, .unsupported, "it is \(what)"))
                case .directory, .symlink:
                    try ingest.add(sizeBytes: 0) { _ in .path(child) }
                case .file(let size):
                    try ingest.add(sizeBytes: size, earlier: { [self] in try earlierBlocks(of: child.path) }) {
                        [self] emit in try read(child, emit)
                    }
                }
            }
        }
    }

    /// Hands out a file's blocks. What is wrong with the file is its own matter; what `emit` throws stops the import.
    private func read(_ child: ScannedPath, _ emit: (FileIngest<Taken>.Run) throws -> Void) throws -> Taken {
        var ingestFailure: (any Error)?
        do {
            let read = try source.withOpen(child) { file in
                try cutWhole(file) { (run: FileIngest<Taken>.Run) in
                    do {
                        try emit(run)
                    } catch {
                        ingestFailure = error
                        throw error
                    }
                    progress.update { $0.readBytes += UInt64(run.length) }
                }
                return try child.unchanged(file)
            }
            return .path(read)
        } catch {
            if let ingestFailure { throw ingestFailure }
            guard let leftOut = LeftOut(child.path, error) else { throw error }
            return .leftOut(leftOut)
        }
    }

    private func note(_ leftOut: LeftOut) {
        progress.update { $0.note(leftOut) }
        guard options.removesOthers, leftOut.kind != .unsupported else { return }
        output.withLock { _ = $0.untouched.insert(leftOut.path) }
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
        _ path: ScannedPath, _ list: BlockList, _ totals: PackPlacer.Totals, from ingest: FileIngest<Taken>
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

    /// Paths below the destination that the source does not have. What was not looked at stays, with the directories above it.
    private func removals(keeping output: Output) throws -> [Edit] {
        var removals: [[UInt8]] = []
        var needed: Set<[UInt8]> = []
        try base.forEachDescendant(of: options.destination) { path, located in
            guard !output.keys.contains(path.key) else { return true }
            if isUntouched(path, located, output.untouched) {
                var above = path.parent
                while let directory = above, needed.insert(directory.key).inserted { above = directory.parent }
            } else {
                removals.append(path.key)
            }
            return true
        }
        return removals.filter { !needed.contains($0) }.map { .remove($0) }
    }

    private func isUntouched(_ path: TreePath, _ located: LocatedEntry, _ untouched: Set<TreePath>) -> Bool {
        guard !untouched.isEmpty || !rules.exclusions.isEmpty,
            let below = path.relative(to: options.destination)
        else { return false }
        if rules.exclusions.covers(below, isDirectory: located.entry.isDirectory) { return true }
        var place: TreePath? = below
        while let next = place {
            if untouched.contains(next) { return true }
            place = next.parent
        }
        return false
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
        try? startThread { [progress, source, rules] in
            // An unreadable directory is the import's to report.
            guard var scanner = try? DirectoryScanner(source, rules) else { return }
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

/// What became of a path of the source.
enum Taken: Sendable {
    case path(ScannedPath)
    case leftOut(LeftOut)
}

extension FileIngest.Run {
    fileprivate var length: Int {
        switch self {
        case .bytes(let bytes): bytes.count
        case .zeros(let length): length
        case .existing(let placed): Int(placed.block.length)
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
                path: printableName(file.path), reason: "it was written to while it was read")
        }
        return ScannedPath(
            path: path, kind: .file(sizeBytes: file.sizeBytes), mode: mode, modified: modified, owner: owner,
            identity: identity, attributes: try userAttributes(of: file.descriptor, path: file.path))
    }
}
