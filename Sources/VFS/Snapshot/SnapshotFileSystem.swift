import BlockCache
package import Logging
package import ObjectDatabase
import ProllyTree
import Synchronization
package import Versioning

/// Immutable commits as a file system: one commit at the root, or the whole repository as `branches/`, `tags/`,
/// `commits/`.
///
/// A node id is the commit's slot (24 bits; 0 for a mount of one commit) and, in the low 40 bits, 1 + the entry's rank
/// in its tree. Slot 0 of a repository mount holds the directories above the commits; slot 0 of a mount that follows a
/// branch holds only the root, which stands for that of the commit shown at present (see `HeadFollowing`).
package final class SnapshotFileSystem: ReadOnlyFileSystem {
    let database: ObjectDatabase
    let logger: Logger
    let fetcher: BlockFetcher
    let slots = Mutex(Slots())
    /// The directories above the commits; `nil` when one commit is the root.
    let directory: RefDirectory?
    /// How the root follows a branch; `nil` when it does not.
    let following: HeadFollowing?
    let kernel = Mutex<(any KernelCache)?>(nil)
    /// Notes what is read; `nil` for a mount that keeps no record.
    let recorder: ReadRecorder?
    private let wantsPassthrough: Bool
    /// Fetches ahead in a given order; `nil` for a mount that does not show one commit for good.
    private let readPlanFetcher: ReadPlanFetcher?
    /// What `user.tarn.mount` answers: tells the command line where it is.
    private let mountAttributes: [[UInt8]: [UInt8]]

    struct Slots {
        /// `nil` for a commit that was shown and that the kernel has forgotten.
        var views: [SnapshotView?] = []
        var byCommit: [CommitID: Int] = [:]
        /// References that the kernel holds; counted where the root follows a branch.
        var lookups: [UInt64] = []
    }

    static let rankBits: UInt64 = 40
    static let maximumSlots = 1 << 24
    /// An immutable tree never changes; a day is as good as for ever and fits every kernel's arithmetic.
    private static let immutableSeconds = 86_400.0
    private static let refSeconds = 1.0

    /// - Parameter commit: the commit to show, or `nil` for the whole repository.
    /// - Parameter follows: the root may move to other commits (`move(to:)`).
    /// - Parameter recorder: notes what is read; for a mount of one commit that stays. What the kernel reads by itself
    ///   could not be noted, so there is no passthrough with it.
    package init(
        database: ObjectDatabase, commit: ResolvedRevision?, follows: Bool = false, recorder: ReadRecorder? = nil,
        opening: Opening = .auto, mountDescription: String, readThreads: Int, logger: Logger
    ) {
        precondition(recorder == nil || (commit != nil && !follows), "a record is of one commit")
        self.recorder = recorder
        self.database = database
        self.logger = logger
        mountAttributes = TarnAttribute.ofMount(mountDescription)
        fetcher = BlockFetcher(blocks: database.blocks, threads: readThreads, logger: logger)
        directory = commit == nil ? RefDirectory(database: database) : nil
        following = follows ? HeadFollowing() : nil
        wantsPassthrough =
            recorder == nil && opening != .none
            && (opening == .passthrough || commit.map { Self.hasLargeFiles($0.commit) } ?? true)
        if let commit, !follows {
            readPlanFetcher = ReadPlanFetcher(commit, in: database, fetcher: fetcher, logger: logger)
        } else {
            readPlanFetcher = nil
        }
        if let commit { _ = slot(commit.commitID, commit.commit) }
    }

    deinit { readPlanFetcher?.close() }

    /// From now on the mount fetches ahead of whoever reads these files of `commit` in this order, and forgets the order
    /// that it had. Answers how many bytes ahead: `aheadBytes`, or half of what the cache may hold.
    package func prefetch(
        _ files: [OrderedFile], of commit: CommitID, aheadBytes: UInt64
    ) throws(ReadPlanRefusal) -> UInt64 {
        guard let readPlanFetcher else { throw .noOneCommit }
        return try readPlanFetcher.begin(files, of: commit, aheadBytes: aheadBytes)
    }

    /// An open costs a message of some 55 µs, which passthrough saves again on a file of this size.
    private static func hasLargeFiles(_ commit: Commit) -> Bool {
        commit.counts.files > 0 && commit.counts.bytes / commit.counts.files >= 256 << 10
    }

    /// Slots below it show no commit.
    var firstSlot: Int { directory == nil && following == nil ? 0 : 1 }

    package var traits: FileSystemTraits {
        FileSystemTraits(
            isReadOnly: true, timeoutSeconds: Self.immutableSeconds, needsNoOpen: directory == nil,
            needsNoOpenDirectory: directory == nil && following == nil, wantsPassthrough: wantsPassthrough)
    }

    package func entryTimeoutSeconds(in parent: InodeNumber) -> Double {
        destination(parent).isAboveCommits ? Self.refSeconds : Self.immutableSeconds
    }

    package func attach(_ kernel: any KernelCache) {
        self.kernel.withLock { $0 = kernel }
    }

    // MARK: Names and attributes

    package func lookup(_ parent: InodeNumber, _ name: EntryName) throws(VFSError) -> FileAttributes {
        try reportingFailures(logger, "lookup of \(name)") {
            switch destination(parent) {
            case .above(let node):
                guard let child = try directory?.child(of: node, name) else { throw VFSError.notFound }
                return try attributes(child)
            case .inside(let view, let slot, let rank):
                if parent == .root, let following { return try childOfMovingRoot(following, name) }
                let found = try view.child(of: rank, name)
                countLookup(slot: slot)
                return FileAttributes(found.located.entry, inode: inode(slot: slot, rank: found.rank))
            }
        }
    }

    private func childOfMovingRoot(_ following: HeadFollowing, _ name: EntryName) throws -> FileAttributes {
        let (attributes, slot) = try following.handingOut(name) { isFleeting in
            guard case .inside(let view, let slot, _) = destination(.root) else { throw VFSError.staleHandle }
            let found = try view.child(of: 0, name)
            var attributes = FileAttributes(found.located.entry, inode: inode(slot: slot, rank: found.rank))
            attributes.isFleeting = isFleeting
            return (attributes, slot)
        }
        countLookup(slot: slot)
        return attributes
    }

    private func attributes(_ node: RefDirectory.Node) throws -> FileAttributes {
        switch node {
        case .directory(let number):
            return FileAttributes(
                inode: InodeNumber(number), kind: .directory, mode: 0o555, sizeBytes: 0,
                modified: database.config.created, owner: nil)
        case .commit(let id):
            let commit = try database.commit(id)
            guard let slot = slot(id, commit) else { throw VFSError.noSpace }
            return try attributes(of: inode(slot: slot, rank: 0))
        }
    }

    package func forget(_ inode: InodeNumber, count: UInt64) {
        let slot = Int(inode.value >> Self.rankBits)
        guard following != nil, slot > 0 else { return }
        let isUnused = slots.withLock { slots in
            let index = slot - firstSlot
            guard index < slots.lookups.count else { return false }
            slots.lookups[index] -= min(count, slots.lookups[index])
            return slots.lookups[index] == 0
        }
        if isUnused { releaseIfUnused(slot: slot) }
    }

    package func attributes(_ inode: InodeNumber) throws(VFSError) -> FileAttributes {
        try reportingFailures(logger, "stat of inode \(inode.value)") { try attributes(of: inode) }
    }

    private func attributes(of inode: InodeNumber) throws -> FileAttributes {
        switch destination(inode) {
        case .above(let node):
            guard directory?.exists(node) == true else { throw VFSError.staleHandle }
            return try attributes(.directory(node))
        case .inside(let view, _, let rank):
            return FileAttributes(try view.entry(rank).located.entry, inode: inode)
        }
    }

    package func readLink(_ inode: InodeNumber) throws(VFSError) -> [UInt8] {
        try reportingFailures(logger, "readlink of inode \(inode.value)") {
            guard case .inside(let view, _, let rank) = destination(inode),
                case .symlink(let target) = try view.entry(rank).located.entry.kind
            else { throw VFSError.invalidArgument }
            return target
        }
    }

    // MARK: Directories

    /// A listing of a root that follows a branch stays on the commit that it was opened on.
    package func openDirectory(_ inode: InodeNumber) throws(VFSError) -> HandleNumber {
        guard inode == .root, let following else { return .none }
        return HandleNumber(UInt64(following.currentSlot))
    }
    package func releaseDirectory(_ inode: InodeNumber, _ handle: HandleNumber) {}

    private static let dotCookie: UInt64 = 1
    private static let dotDotCookie: UInt64 = 2
    private static let firstChildCookie: UInt64 = 3

    /// Cookies: 1 after `.`, 2 after `..`, 3 + rank after a child; the same in every listing of the commit.
    package func readDirectory(
        _ inode: InodeNumber, _ handle: HandleNumber, after position: FileOffset, countsAsLookup: Bool,
        _ body: (DirectoryEntry) -> Bool
    ) throws(VFSError) {
        try reportingFailures(logger, "listing of inode \(inode.value)") {
            let cookie = position.value
            let own = try attributes(of: inode)
            guard own.kind == .directory else { throw VFSError.notADirectory }
            if cookie < Self.dotCookie {
                if !body(DirectoryEntry(name: Array(".".utf8), attributes: own, cookie: Self.dotCookie)) { return }
            }
            if cookie < Self.dotDotCookie {
                if !body(DirectoryEntry(name: Array("..".utf8), attributes: own, cookie: Self.dotDotCookie)) { return }
            }
            let isFollowing = inode == .root && following != nil
            switch isFollowing ? destination(slot: Int(clamping: handle.value), low: 1) : destination(inode) {
            case .above(let node):
                let children = try directory?.children(of: node) ?? []
                for (index, child) in children.enumerated() {
                    let next = Self.firstChildCookie + UInt64(index)
                    if next <= cookie { continue }
                    let entry = DirectoryEntry(
                        name: child.name.bytes, attributes: try attributes(child.node), cookie: next)
                    if !body(entry) { return }
                }
            case .inside(let view, let slot, let rank):
                let from = cookie >= Self.firstChildCookie ? cookie - Self.firstChildCookie + 1 : nil
                try view.forEachChild(of: rank, from: from) { found, name in
                    var attributes = FileAttributes(
                        found.located.entry, inode: self.inode(slot: slot, rank: found.rank))
                    // Names that a root which moves hands out are kept by lookup only.
                    attributes.isFleeting = isFollowing
                    let isTaken = body(
                        DirectoryEntry(
                            name: name.bytes, attributes: attributes, cookie: Self.firstChildCookie + found.rank))
                    if isTaken, countsAsLookup { self.countLookup(slot: slot) }
                    return isTaken
                }
            }
        }
    }

    // MARK: Files

    package func open(_ inode: InodeNumber, forWriting: Bool, truncating: Requester?) throws(VFSError) -> HandleNumber {
        if forWriting || truncating != nil { throw .readOnly }
        return .none
    }

    package func release(_ inode: InodeNumber, _ handle: HandleNumber) {}

    package func read(
        _ inode: InodeNumber, at offset: FileOffset, into buffer: UnsafeMutableRawBufferPointer
    ) throws(VFSError) -> Int {
        guard case .inside(let view, _, let rank) = destination(inode) else { throw .isADirectory }
        return try reportingFailures(logger, "reading \(name(of: inode))") {
            let count = try view.read(rank, at: offset.value, into: buffer)
            recorder?.note(rank, from: offset.value, count: count)
            readPlanFetcher?.noteRead(rank, from: offset.value, count: count)
            return count
        }
    }

    package func hostFile(_ inode: InodeNumber) -> HostFile? {
        guard case .inside(let view, _, let rank) = destination(inode) else { return nil }
        // What is wrong with the file its reader is told.
        let file = (try? view.wholeFile(rank)).map(HostFile.init)
        // Its reader is not heard of again.
        if file != nil { readPlanFetcher?.noteRead(rank, from: 0, count: .max) }
        return file
    }

    package func sampleHostFile() -> HostFile? { database.cache?.sampleFile().map(HostFile.init) }

    package func seek(
        _ inode: InodeNumber, from offset: FileOffset, to target: SeekTarget
    ) throws(VFSError) -> UInt64 {
        guard case .inside(let view, _, let rank) = destination(inode) else { throw .isADirectory }
        return try reportingFailures(logger, "seeking in \(name(of: inode))") {
            try view.seek(rank, from: offset.value, to: target)
        }
    }

    /// The files of the mounted commit that were read so far, in the order of tree keys.
    package func forEachFileRead(_ body: (FileRead) throws -> Void) throws {
        guard let recorder, case .inside(let view, _, _) = destination(.root) else { return }
        for (rank, ranges) in recorder.ranks() {
            let found = try view.entry(rank)
            guard let content = found.located.entry.file else { continue }
            try body(
                FileRead(path: found.path, contentID: content.contentID, sizeBytes: content.sizeBytes, ranges: ranges))
        }
    }

    /// For log lines.
    private func name(of inode: InodeNumber) -> String {
        guard case .inside(let view, _, let rank) = destination(inode), let found = try? view.entry(rank) else {
            return "inode \(inode.value)"
        }
        return "\(found.path) of commit \(view.commitID)"
    }

    // MARK: Extended attributes

    package func attributeNames(_ inode: InodeNumber) throws(VFSError) -> [[UInt8]] {
        guard case .inside(let view, _, let rank) = destination(inode) else { return [] }
        return try reportingFailures(logger, "attributes of inode \(inode.value)") {
            shownNames(try view.entry(rank).located.entry.attributes)
        }
    }

    package func attribute(_ inode: InodeNumber, _ name: [UInt8]) throws(VFSError) -> [UInt8] {
        if let value = mountAttributes[name] { return value }
        guard case .inside(let view, _, let rank) = destination(inode) else { throw .noAttribute }
        return try reportingFailures(logger, "attributes of inode \(inode.value)") {
            if name.elementsEqual(TarnAttribute.commit.utf8) { return Array(view.commitID.hex.utf8) }
            return try entryAttribute(view.entry(rank).located.entry, name)
        }
    }

    package func statistics() throws(VFSError) -> VolumeStatistics {
        var counts = Commit.Counts()
        if case .inside(let view, _, _) = destination(.root) { counts = view.commit.counts }
        return VolumeStatistics(
            totalBytes: counts.bytes, freeBytes: 0, files: counts.files.addingClamped(counts.directories), freeFiles: 0)
    }
}
