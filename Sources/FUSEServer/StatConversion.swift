package import Glibc
package import VFS
import Versioning

/// `st_blksize`: what a program should read at once.
private let preferredTransferBytes: blksize_t = 128 << 10

extension stat {
    /// What stat(2) answers. Sizes come from whoever wrote the tree: what the kernel's numbers cannot hold is told as the
    /// most that they can.
    ///
    /// - Parameters: `userID` and `groupID` own what has no recorded owner.
    package init(_ attributes: FileAttributes, userID: uid_t, groupID: gid_t) {
        self.init()
        st_ino = UInt(attributes.number)
        let kind =
            switch attributes.kind {
            case .file: Glibc.S_IFREG
            case .directory: Glibc.S_IFDIR
            case .symlink: Glibc.S_IFLNK
            case .pipe: Glibc.S_IFIFO
            case .socket: Glibc.S_IFSOCK
            case .characterDevice: Glibc.S_IFCHR
            case .blockDevice: Glibc.S_IFBLK
            }
        st_mode = kind | mode_t(attributes.mode)
        // Directories of the base do not count their subdirectories: 1 says so (as btrfs does).
        st_nlink = nlink_t(attributes.links)
        st_uid = attributes.owner?.userID ?? userID
        st_gid = attributes.owner?.groupID ?? groupID
        st_rdev = dev_t(attributes.device)
        st_size = off_t(clamping: attributes.sizeBytes)
        st_blksize = preferredTransferBytes
        st_blocks = blkcnt_t(clamping: attributes.allocatedBytes.dividedRoundingUp(by: 512))
        st_mtim = timespec(attributes.modified)
        st_ctim = timespec(attributes.changed)
        st_atim = timespec(attributes.accessed)
    }
}

extension statvfs {
    /// What statvfs(3) answers.
    package init(_ statistics: VolumeStatistics) {
        self.init()
        let unit: UInt64 = 4096
        f_bsize = UInt(unit)
        f_frsize = UInt(unit)
        f_blocks = UInt(statistics.totalBytes.dividedRoundingUp(by: unit))
        f_bfree = UInt(statistics.freeBytes / unit)
        f_bavail = f_bfree
        f_files = UInt(statistics.files)
        f_ffree = UInt(statistics.freeFiles)
        f_favail = f_ffree
        f_namemax = 255
    }
}

extension UInt64 {
    /// Cannot overflow.
    fileprivate func dividedRoundingUp(by divisor: UInt64) -> UInt64 {
        let (quotient, rest) = quotientAndRemainder(dividingBy: divisor)
        return quotient + (rest == 0 ? 0 : 1)
    }
}

extension timespec {
    fileprivate init(_ time: Timestamp) {
        self.init(tv_sec: Int(time.seconds), tv_nsec: Int(time.nanoseconds))
    }
}
