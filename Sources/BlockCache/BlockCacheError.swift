import Glibc

/// Why a cache cannot be opened or cleared. Reading never throws these: a cache that cannot keep is passed by.
package enum BlockCacheError: Error, Equatable {
    /// A system call failed. `errno` as the kernel gave it.
    case system(operation: String, path: String, errno: Int32)
    /// The directory holds files and none of them says that it is a cache of ours; nothing in it was touched.
    case notACacheDirectory(path: String)
    /// Other processes have the directory open with an index that this version cannot read.
    case inUseWithUnreadableIndex(path: String)
    /// The limit that was asked for is more than the disk of the directory has in all.
    case limitBeyondDisk(path: String, limitBytes: UInt64, diskBytes: UInt64)
    /// Another process (stopped, perhaps) held the lock all the time.
    case lockTimedOut(path: String)
}

/// A failed system call, before it is known whether anybody has to hear of it.
struct DiskFailure: Error {
    let operation: String
    let errno: Int32

    /// Some reader holds the file as a whole.
    static let held = DiskFailure(operation: "change a file that is being read whole", errno: EBUSY)

    /// Room may be made, or another place on the disk may be sound.
    var mayPassAfterEviction: Bool { errno == ENOSPC || errno == EDQUOT || errno == EIO }

    func error(path: String) -> BlockCacheError { .system(operation: operation, path: path, errno: errno) }
}
