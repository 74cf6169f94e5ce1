import CFUSE
package import Glibc
package import VFS
package import Versioning

// The door: whatever a request carries was chosen by a program, and becomes a checked value of ours here and nowhere else.
// Behind it no argument can overflow, be negative or be no name. Numbers of inodes and handles need no check: each is looked
// for, and may not be found.

/// The longest answer that the kernel asks for (`max_pages` of INIT), and so the largest buffer that one gets.
private let longestReplyBytes = 1 << 20

/// How many bytes to answer at most.
package func replyLimit(_ size: Int) -> Int { min(max(size, 0), longestReplyBytes) }

/// A C string as bytes, without the NUL.
func bytes(_ text: UnsafePointer<CChar>?) -> [UInt8] {
    guard let text else { return [] }
    return UnsafeRawBufferPointer(start: text, count: strlen(text)).map { $0 }
}

/// A name as the kernel passed it on from a program. Throws `.nameTooLong`, and `.notFound` for what is no name of an entry.
package func entryName(_ text: UnsafePointer<CChar>?) throws(VFSError) -> EntryName {
    let bytes = bytes(text)
    if bytes.count > EntryName.maximumBytes { throw .nameTooLong }
    do throws(PathFault) {
        return try EntryName(checking: bytes)
    } catch {
        throw .notFound
    }
}

/// Who asks.
func requester(_ request: Request) -> Requester {
    let context = fuse_req_ctx(request)
    return Requester(userID: context?.pointee.uid ?? .max, groupID: context?.pointee.gid ?? .max) {
        otherGroups(of: request)
    }
}

/// The further groups of the thread that asks, as proc(5) tells them; none where it cannot be seen from here.
private func otherGroups(of request: Request) -> [UInt32] {
    var groups = [gid_t](repeating: 0, count: mostGroups)
    let count = Int(fuse_req_getgroups(request, Int32(mostGroups), &groups))
    return count > 0 ? Array(groups.prefix(count)) : []
}

/// NGROUPS_MAX of Linux.
private let mostGroups = 65_536

/// Who asks, as the maker of a new file.
func newFile(_ request: Request, _ kind: NewFile.Kind, _ mode: mode_t) -> NewFile {
    let context = fuse_req_ctx(request)
    let maker = Owner(userID: context?.pointee.uid ?? getuid(), groupID: context?.pointee.gid ?? getgid())
    return NewFile(kind, mode: permissions(mode), maker: maker)
}

private func permissions(_ mode: mode_t) -> UInt16 { UInt16(truncatingIfNeeded: mode) & 0o7777 }

/// What mknod(2) is to make.
package func nodeKind(_ mode: UInt32, _ device: UInt) throws(VFSError) -> NewFile.Kind {
    let number = UInt32(truncatingIfNeeded: device)
    switch mode & Glibc.S_IFMT {
    case Glibc.S_IFREG: return .file
    case Glibc.S_IFIFO: return .pipe
    case Glibc.S_IFSOCK: return .socket
    case Glibc.S_IFCHR: return .characterDevice(number)
    case Glibc.S_IFBLK: return .blockDevice(number)
    default: throw .invalidArgument
    }
}

/// RENAME_NOREPLACE is 1, RENAME_EXCHANGE 2 (rename(2)).
package func renameMode(_ flags: UInt32) throws(VFSError) -> RenameMode {
    switch flags {
    case 0: return .replacing
    case 1: return .refusing
    case 2: return .exchanging
    default: throw .invalidArgument
    }
}

/// SEEK_DATA is 3, SEEK_HOLE 4 (lseek(2)); the kernel asks about no other.
package func seekTarget(_ whence: Int32) throws(VFSError) -> SeekTarget {
    switch whence {
    case 3: return .data
    case 4: return .hole
    default: throw .invalidArgument
    }
}

/// Where a search begins. Before the file there is nothing to find, as ext4 answers it.
package func seekOffset(_ raw: Int) throws(VFSError) -> FileOffset {
    guard raw >= 0 else { throw .noSuchOffset }
    return try FileOffset(Int64(raw))
}

/// FALLOC_FL_KEEP_SIZE is 1, FALLOC_FL_PUNCH_HOLE 2, FALLOC_FL_ZERO_RANGE 16 (fallocate(2)).
package func allocation(_ mode: Int32) throws(VFSError) -> (Allocation, keepsSize: Bool) {
    let keepsSize = mode & 1 != 0
    switch mode & ~1 {
    case 0: return (.reserve, keepsSize)
    case 2: return (.punchHole, keepsSize)
    case 16: return (.zero, keepsSize)
    default: throw .notSupported
    }
}

/// The bytes that fallocate(2) is to act on: at least one.
package func allocatedRange(_ offset: Int, _ length: Int) throws(VFSError) -> FileRange {
    guard length > 0 else { throw .invalidArgument }
    return try FileRange(from: FileOffset(Int64(offset)), count: UInt64(length))
}

/// The bytes that copy_file_range(2) is to take: no more than an answer can tell of.
package func copiedRange(_ offset: Int, _ count: Int) throws(VFSError) -> FileRange {
    FileRange(from: try FileOffset(Int64(offset)), atMost: min(UInt64(clamping: count), longestCopyBytes))
}

/// The answer has 32 bits. (Linux takes less than 2 GiB at a time, in whole pages.)
private let longestCopyBytes: UInt64 = 0x7fff_f000

/// The value of an extended attribute.
func attributeValue(_ value: UnsafePointer<CChar>?, _ size: Int) throws(VFSError) -> [UInt8] {
    // XATTR_SIZE_MAX of the kernel.
    guard size >= 0, size <= 65_536 else { throw .noSpace }
    return Array(UnsafeRawBufferPointer(start: value, count: size))
}

extension AttributeChanges {
    package init(_ status: stat, _ valid: Int32) throws(VFSError) {
        self.init()
        if valid & FUSE_SET_ATTR_MODE != 0 { mode = permissions(status.st_mode) }
        if valid & FUSE_SET_ATTR_UID != 0 { userID = status.st_uid }
        if valid & FUSE_SET_ATTR_GID != 0 { groupID = status.st_gid }
        if valid & FUSE_SET_ATTR_SIZE != 0 { size = try FileOffset(Int64(status.st_size)) }
        modified = try time(valid, now: FUSE_SET_ATTR_MTIME_NOW, set: FUSE_SET_ATTR_MTIME, status.st_mtim)
        accessed = try time(valid, now: FUSE_SET_ATTR_ATIME_NOW, set: FUSE_SET_ATTR_ATIME, status.st_atim)
    }
}

private func time(_ valid: Int32, now: Int32, set: Int32, _ given: timespec) throws(VFSError) -> Timestamp? {
    guard valid & (now | set) != 0 else { return nil }
    var time = given
    if valid & now != 0 { clock_gettime(CLOCK_REALTIME, &time) }
    guard (0..<1_000_000_000).contains(time.tv_nsec) else { throw .invalidArgument }
    return Timestamp(seconds: Int64(time.tv_sec), nanoseconds: UInt32(time.tv_nsec))
}
