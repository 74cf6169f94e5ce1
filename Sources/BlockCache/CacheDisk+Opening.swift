import Glibc
import Logging

/// A descriptor with a shared `flock`: tells other openers that somebody has the cache open.
final class OpenMark: Sendable {
    let descriptor: Int32

    init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    deinit {
        close(descriptor)
    }

    /// Holds it shared from now on; others must be able to open the cache too.
    func share() throws(DiskFailure) {
        for _ in 0..<Self.attempts {
            if flock(descriptor, LOCK_SH | LOCK_NB) == 0 { return }
            guard errno == EINTR || errno == EWOULDBLOCK else { break }
            usleep(Self.pauseMicroseconds)
        }
        throw DiskFailure(operation: "share the lock of", errno: errno)
    }

    private static let attempts = 100
    private static let pauseMicroseconds: UInt32 = 10_000
}

/// ```
/// CACHEDIR.TAG   says that it is a cache (bford.info/cachedir), and to us that we may remove what is in it
/// lock           flock: held while anything is changed, and all through opening
/// open           flock: shared by everybody who has the cache open
/// index          CacheIndex
/// data/xx/…      packs, sparse, plain bytes at plain offsets
/// objects/xx/…   whole objects
/// tables/xx/…    which blocks were written into a segment (BlockTables)
/// ```
///
/// Who is alone with the directory recovers it, or wipes it if the index is unreadable. There is never a second index
/// beside one in use: two processes that do not share generations would punch holes under each other's readers.
extension CacheDisk {
    /// Opens or creates the cache. Waits up to ten seconds for a process that is opening or writing.
    static func open(
        path: String, limitBytes: UInt64?, slotCapacity: Int, openFileLimit: Int, logger: Logger
    ) throws(BlockCacheError) -> CacheDisk {
        let result: Result<CacheDisk, BlockCacheError>?
        do throws(DiskFailure) {
            let root = try openRoot(path)
            defer { close(root) }
            guard try claim(root) else { throw DiskFailure(operation: "claim", errno: ENOTEMPTY) }
            let lock = ExclusiveLock(descriptor: try openFile(root, "lock"))
            let mark = OpenMark(descriptor: try openFile(root, "open"))
            result = try lock.tryWithLock(waitMilliseconds: 10_000) { () throws(DiskFailure) in
                // Nobody comes between: every opener holds `lock` all through.
                let isAlone = flock(mark.descriptor, LOCK_EX | LOCK_NB) == 0
                let packs = try KeyedDirectory<CacheKey>(parent: root, name: "data")
                let objects = try KeyedDirectory<CacheKey>(parent: root, name: "objects")
                let tables = BlockTables(
                    directory: try KeyedDirectory(parent: root, name: "tables"), limit: openFileLimit)
                var index = try mapIndex(root)
                if isAlone && index?.isPlausible != true {
                    if faccessat(root, "index", F_OK, 0) == 0 {
                        logger.warning("block cache \(path): the index is unreadable; beginning anew")
                    }
                    try packs.removeAll()
                    try objects.removeAll()
                    try tables.removeAll()
                    index = try createIndex(root, slotCapacity: slotCapacity)
                    index?.limitBytes = BlockCache.defaultLimitBytes
                }
                guard let index else { return .failure(.inUseWithUnreadableIndex(path: path)) }
                let disk = CacheDisk(
                    path: path, logger: logger, index: index, packs: packs, objects: objects,
                    tables: tables, files: OpenFiles(directory: packs, limit: openFileLimit), lock: lock, openMark: mark
                )
                if let limitBytes { index.limitBytes = limitBytes }
                if isAlone { try disk.lockedRecover() }
                _ = disk.lockedMakeRoom(for: 0)
                // Last: who fails before closes the mark, and with it what it holds.
                try mark.share()
                return .success(disk)
            }
        } catch {
            throw error.operation == "claim" ? .notACacheDirectory(path: path) : error.error(path: path)
        }
        guard let result else { throw .lockTimedOut(path: path) }
        return try result.get()
    }

    private static func openRoot(_ path: String) throws(DiskFailure) -> Int32 {
        if mkdir(path, 0o700) != 0 && errno != EEXIST { throw DiskFailure(operation: "mkdir", errno: errno) }
        let root = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if root < 0 { throw DiskFailure(operation: "open", errno: errno) }
        return root
    }

    private static func openFile(_ root: Int32, _ name: String) throws(DiskFailure) -> Int32 {
        let file = openat(root, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        if file < 0 { throw DiskFailure(operation: "open \(name)", errno: errno) }
        return file
    }

    /// True if the directory is a cache, or was empty and is one now. Somebody may have named a directory of theirs
    /// that has a `data` in it.
    private static func claim(_ root: Int32) throws(DiskFailure) -> Bool {
        let names = try DirectoryNames.names(in: root, ".")
        let isEmpty = names.allSatisfy { $0 == "lost+found" }
        // Asked after listing: another process may be creating the cache at this moment, and it begins with the tag.
        if faccessat(root, "CACHEDIR.TAG", F_OK, 0) == 0 { return true }
        guard isEmpty else { return false }
        let tag = "Signature: 8a477f597d28d172789f06886806bc55\n# Block cache of Tarn. It may be deleted at any time.\n"
        let file = try openFile(root, "CACHEDIR.TAG")
        defer { close(file) }
        var text = tag
        if let failure = text.withUTF8({ DiskIO.writeAll(file, UnsafeRawBufferPointer($0), at: 0) }) { throw failure }
        return true
    }

    /// nil if there is no index or it is none of this version.
    private static func mapIndex(_ root: Int32) throws(DiskFailure) -> CacheIndex? {
        let file = openat(root, "index", O_RDWR | O_CLOEXEC | O_NOFOLLOW)
        if file < 0 { return nil }
        defer { close(file) }
        guard let bucketCount = CacheIndex.bucketCount(descriptor: file) else { return nil }
        return try CacheIndex(mapping: file, bucketCount: bucketCount)
    }

    private static func createIndex(_ root: Int32, slotCapacity: Int) throws(DiskFailure) -> CacheIndex {
        let bucketCount = max(1, (slotCapacity + CacheIndex.slotsPerBucket - 1) / CacheIndex.slotsPerBucket)
        if unlinkat(root, "index", 0) != 0 && errno == EISDIR { unlinkat(root, "index", AT_REMOVEDIR) }
        let file = openat(root, "index", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        if file < 0 { throw DiskFailure(operation: "create index", errno: errno) }
        defer { close(file) }
        let failed = posix_fallocate(file, 0, off_t(CacheIndex.fileBytes(bucketCount)))
        if failed != 0 {
            unlinkat(root, "index", 0)
            throw DiskFailure(operation: "allocate index", errno: failed)
        }
        let index = try CacheIndex(mapping: file, bucketCount: bucketCount)
        index.writeHeader()
        return index
    }
}
