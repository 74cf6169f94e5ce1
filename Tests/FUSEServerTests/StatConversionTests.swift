import FUSEServer
import Glibc
import Testing
import VFS
import Versioning

@Suite struct StatConversionTests {
    private func attributes(_ kind: FileKind = .file, size: UInt64 = 0) -> FileAttributes {
        FileAttributes(
            inode: InodeNumber(7), kind: kind, mode: 0o640, sizeBytes: size,
            modified: Timestamp(seconds: 11, nanoseconds: 12), owner: nil)
    }

    @Test func fieldsComeThrough() {
        var file = attributes(size: 513)
        file.number = 99
        file.links = 3
        file.accessed = Timestamp(seconds: -5, nanoseconds: 1)
        file.changed = Timestamp(seconds: 13, nanoseconds: 14)
        let status = stat(file, userID: 1000, groupID: 1001)
        #expect(status.st_ino == 99 && status.st_nlink == 3 && status.st_mode == S_IFREG | 0o640)
        #expect(status.st_size == 513 && status.st_blocks == 2)
        #expect(status.st_uid == 1000 && status.st_gid == 1001)
        #expect(status.st_mtim.tv_sec == 11 && status.st_mtim.tv_nsec == 12)
        #expect(status.st_atim.tv_sec == -5 && status.st_ctim.tv_sec == 13)
    }

    @Test func recordedOwnerComesBeforeTheMountsOwn() {
        var file = attributes()
        file.owner = Owner(userID: 5, groupID: 6)
        let status = stat(file, userID: 1000, groupID: 1001)
        #expect(status.st_uid == 5 && status.st_gid == 6)
    }

    @Test(arguments: [
        (FileKind.file, S_IFREG), (.directory, S_IFDIR), (.symlink, S_IFLNK), (.pipe, S_IFIFO), (.socket, S_IFSOCK),
        (.characterDevice, S_IFCHR), (.blockDevice, S_IFBLK),
    ])
    func kindIsInTheMode(kind: FileKind, bits: mode_t) {
        #expect(stat(attributes(kind), userID: 0, groupID: 0).st_mode & S_IFMT == bits)
    }

    /// Sizes and times come from whoever wrote the tree: none of them ends the mount.
    @Test(arguments: [UInt64(Int64.max) - 1, UInt64(Int64.max), UInt64(Int64.max) + 1, .max])
    func sizeBeyondTheKernelsNumbersIsTheLargestOne(size: UInt64) {
        var file = attributes(size: size)
        file.modified = Timestamp(seconds: .max, nanoseconds: 999_999_999)
        file.accessed = Timestamp(seconds: .min, nanoseconds: 0)
        let status = stat(file, userID: 0, groupID: 0)
        #expect(status.st_size == Int(clamping: size) && status.st_blocks >= 0)
        #expect(status.st_mtim.tv_sec == .max && status.st_atim.tv_sec == .min)
    }

    @Test(arguments: [UInt64(0), 1, 4096, .max - 1, .max])
    func volumeOfAnySizeIsTold(bytes: UInt64) {
        let volume = statvfs(VolumeStatistics(totalBytes: bytes, freeBytes: bytes, files: .max, freeFiles: .max))
        #expect(volume.f_blocks >= volume.f_bfree && volume.f_bavail == volume.f_bfree && volume.f_namemax == 255)
        #expect(UInt64(volume.f_blocks) == bytes / 4096 + (bytes % 4096 == 0 ? 0 : 1))
    }
}
