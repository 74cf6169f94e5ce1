import CFUSE
import Glibc
import VFS
import Versioning

// The callbacks that change the tree. See Callbacks.swift.

/// Who asks, as the maker of a new file.
private func newFile(_ request: Request, _ kind: NewFile.Kind, _ mode: mode_t) -> NewFile {
    let context = fuse_req_ctx(request)
    let maker = Owner(userID: context?.pointee.uid ?? getuid(), groupID: context?.pointee.gid ?? getgid())
    return NewFile(kind, mode: UInt16(truncatingIfNeeded: mode) & 0o7777, maker: maker)
}

func onCreate(_ request: Request, _ parent: fuse_ino_t, _ name: Name, _ mode: mode_t, _ info: FileInfo) {
    serve(.create, request, info) { fileSystem, _ throws(VFSError) in
        let flags = info?.pointee.flags ?? 0
        let new = newFile(request, .file, mode)
        // Of a file that is new there is nothing to truncate.
        let existing: ExistingFile = flags & O_EXCL != 0 ? .refused : flags & O_TRUNC != 0 ? .truncated : .opened
        // See tarn_session_prepare: O_TMPFILE comes as the creation of "/".
        let (attributes, handle) =
            bytes(name) == [UInt8(ascii: "/")]
            ? try fileSystem.createUnnamed(InodeNumber(parent), new)
            : try fileSystem.create(InodeNumber(parent), entryName(name), new, existing: existing)
        return .created(attributes, handle, entryTimeout: fileSystem.entryTimeoutSeconds(in: InodeNumber(parent)))
    }
}

private func make(
    _ request: Request, _ parent: fuse_ino_t, _ name: Name, _ kind: NewFile.Kind, _ mode: mode_t
) {
    serve(.make, request) { fileSystem, _ throws(VFSError) in
        .entry(
            try fileSystem.make(InodeNumber(parent), entryName(name), newFile(request, kind, mode)),
            entryTimeout: fileSystem.entryTimeoutSeconds(in: InodeNumber(parent)))
    }
}

func onMakeNode(_ request: Request, _ parent: fuse_ino_t, _ name: Name, _ mode: mode_t, _ device: dev_t) {
    let number = UInt32(truncatingIfNeeded: device)
    switch mode & Glibc.S_IFMT {
    case Glibc.S_IFREG: make(request, parent, name, .file, mode)
    case Glibc.S_IFIFO: make(request, parent, name, .pipe, mode)
    case Glibc.S_IFSOCK: make(request, parent, name, .socket, mode)
    case Glibc.S_IFCHR: make(request, parent, name, .characterDevice(number), mode)
    case Glibc.S_IFBLK: make(request, parent, name, .blockDevice(number), mode)
    default: fuse_reply_err(request, EINVAL)
    }
}

func onMakeDirectory(_ request: Request, _ parent: fuse_ino_t, _ name: Name, _ mode: mode_t) {
    make(request, parent, name, .directory, mode)
}

func onMakeSymlink(_ request: Request, _ target: Name, _ parent: fuse_ino_t, _ name: Name) {
    make(request, parent, name, .symlink(target: bytes(target)), 0o777)
}

func onLink(_ request: Request, _ inode: fuse_ino_t, _ newParent: fuse_ino_t, _ newName: Name) {
    serve(.link, request) { fileSystem, _ throws(VFSError) in
        .entry(
            try fileSystem.link(InodeNumber(inode), to: InodeNumber(newParent), entryName(newName)),
            entryTimeout: fileSystem.entryTimeoutSeconds(in: InodeNumber(newParent)))
    }
}

func onUnlink(_ request: Request, _ parent: fuse_ino_t, _ name: Name) {
    serve(.unlink, request) { fileSystem, _ throws(VFSError) in
        try fileSystem.unlink(InodeNumber(parent), entryName(name))
        return .done
    }
}

func onRemoveDirectory(_ request: Request, _ parent: fuse_ino_t, _ name: Name) {
    serve(.removeDirectory, request) { fileSystem, _ throws(VFSError) in
        try fileSystem.removeDirectory(InodeNumber(parent), entryName(name))
        return .done
    }
}

func onRename(
    _ request: Request, _ parent: fuse_ino_t, _ name: Name, _ newParent: fuse_ino_t, _ newName: Name, _ flags: UInt32
) {
    serve(.rename, request) { fileSystem, _ throws(VFSError) in
        // RENAME_NOREPLACE is 1, RENAME_EXCHANGE 2 (rename(2)).
        let mode: RenameMode
        switch flags {
        case 0: mode = .replacing
        case 1: mode = .refusing
        case 2: mode = .exchanging
        default: throw .invalidArgument
        }
        try fileSystem.rename(
            InodeNumber(parent), entryName(name), to: InodeNumber(newParent), entryName(newName), mode)
        return .done
    }
}

func onSetAttributes(
    _ request: Request, _ inode: fuse_ino_t, _ status: UnsafeMutablePointer<stat>?, _ valid: Int32, _ info: FileInfo
) {
    serve(.setAttributes, request) { fileSystem, _ throws(VFSError) in
        guard let status = status?.pointee else { throw .invalidArgument }
        var changes = AttributeChanges()
        if valid & FUSE_SET_ATTR_MODE != 0 { changes.mode = UInt16(truncatingIfNeeded: status.st_mode) & 0o7777 }
        if valid & FUSE_SET_ATTR_UID != 0 { changes.userID = status.st_uid }
        if valid & FUSE_SET_ATTR_GID != 0 { changes.groupID = status.st_gid }
        if valid & FUSE_SET_ATTR_SIZE != 0 { changes.sizeBytes = try fileOffset(status.st_size) }
        changes.modified = time(valid, now: FUSE_SET_ATTR_MTIME_NOW, set: FUSE_SET_ATTR_MTIME, status.st_mtim)
        changes.accessed = time(valid, now: FUSE_SET_ATTR_ATIME_NOW, set: FUSE_SET_ATTR_ATIME, status.st_atim)
        return .attributes(try fileSystem.setAttributes(InodeNumber(inode), changes))
    }
}

private func time(_ valid: Int32, now: Int32, set: Int32, _ given: timespec) -> Timestamp? {
    guard valid & (now | set) != 0 else { return nil }
    var time = given
    if valid & now != 0 { clock_gettime(CLOCK_REALTIME, &time) }
    return Timestamp(seconds: Int64(time.tv_sec), nanoseconds: UInt32(time.tv_nsec))
}

func onWrite(
    _ request: Request, _ inode: fuse_ino_t, _ buffer: Name, _ size: Int, _ offset: off_t, _ info: FileInfo
) {
    serve(.write, request) { fileSystem, _ throws(VFSError) in
        .written(
            try fileSystem.write(
                InodeNumber(inode), at: fileOffset(offset), UnsafeRawBufferPointer(start: buffer, count: size)))
    }
}

func onAllocate(
    _ request: Request, _ inode: fuse_ino_t, _ mode: Int32, _ offset: off_t, _ length: off_t, _ info: FileInfo
) {
    serve(.allocate, request) { fileSystem, _ throws(VFSError) in
        // FALLOC_FL_KEEP_SIZE is 1, FALLOC_FL_PUNCH_HOLE 2, FALLOC_FL_ZERO_RANGE 16 (fallocate(2)).
        let allocation: Allocation
        switch mode & ~1 {
        case 0: allocation = .reserve
        case 2: allocation = .punchHole
        case 16: allocation = .zero
        default: throw .notSupported
        }
        try fileSystem.allocate(
            InodeNumber(inode), at: fileOffset(offset), count: fileOffset(length), allocation, keepsSize: mode & 1 != 0)
        return .done
    }
}

func onCopyRange(
    _ request: Request, _ inode: fuse_ino_t, _ offset: off_t, _ info: FileInfo, _ newInode: fuse_ino_t,
    _ newOffset: off_t, _ newInfo: FileInfo, _ count: Int, _ flags: Int32
) {
    serve(.copyRange, request) { fileSystem, _ throws(VFSError) in
        let copied = try fileSystem.copy(
            InodeNumber(inode), at: fileOffset(offset), to: InodeNumber(newInode), at: fileOffset(newOffset),
            count: UInt64(clamping: count))
        return .written(Int(copied))
    }
}

func onFlush(_ request: Request, _ inode: fuse_ino_t, _ info: FileInfo) {
    serve(.flush, request) { fileSystem, _ throws(VFSError) in
        try fileSystem.flush(InodeNumber(inode), HandleNumber(info?.pointee.fh ?? 0))
        return .done
    }
}

func onSync(_ request: Request, _ inode: fuse_ino_t, _ dataOnly: Int32, _ info: FileInfo) {
    serve(.sync, request) { fileSystem, _ throws(VFSError) in
        try fileSystem.sync(InodeNumber(inode))
        return .done
    }
}

func onSetAttribute(
    _ request: Request, _ inode: fuse_ino_t, _ name: Name, _ value: Name, _ size: Int, _ flags: Int32
) {
    serve(.setAttribute, request) { fileSystem, _ throws(VFSError) in
        // XATTR_CREATE is 1, XATTR_REPLACE 2 (setxattr(2)).
        try fileSystem.setAttribute(
            InodeNumber(inode), bytes(name), Array(UnsafeRawBufferPointer(start: value, count: size)),
            mustExist: flags & 2 != 0, mustNotExist: flags & 1 != 0)
        return .done
    }
}

func onRemoveAttribute(_ request: Request, _ inode: fuse_ino_t, _ name: Name) {
    serve(.removeAttribute, request) { fileSystem, _ throws(VFSError) in
        try fileSystem.removeAttribute(InodeNumber(inode), bytes(name))
        return .done
    }
}
