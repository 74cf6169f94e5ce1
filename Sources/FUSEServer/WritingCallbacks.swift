import CFUSE
import Glibc
import VFS
import Versioning

// The callbacks that change the tree. See Callbacks.swift.

func onCreate(_ request: Request, _ parent: fuse_ino_t, _ name: Name, _ mode: mode_t, _ info: FileInfo) {
    serve(request, info) { fileSystem, _ throws(VFSError) in
        let flags = info?.pointee.flags ?? 0
        let (attributes, handle) = try fileSystem.create(
            InodeNumber(parent), bytes(name), mode: UInt16(truncatingIfNeeded: mode) & 0o7777,
            exclusive: flags & O_EXCL != 0, truncating: flags & O_TRUNC != 0)
        return .created(attributes, handle, entryTimeout: fileSystem.entryTimeoutSeconds(in: InodeNumber(parent)))
    }
}

func onMakeNode(_ request: Request, _ parent: fuse_ino_t, _ name: Name, _ mode: mode_t, _ device: dev_t) {
    serve(request) { fileSystem, _ throws(VFSError) in
        guard mode & Glibc.S_IFMT == Glibc.S_IFREG else { throw .notPermitted }
        let (attributes, handle) = try fileSystem.create(
            InodeNumber(parent), bytes(name), mode: UInt16(truncatingIfNeeded: mode) & 0o7777, exclusive: true,
            truncating: false)
        fileSystem.release(attributes.inode, handle)
        return .entry(attributes, entryTimeout: fileSystem.entryTimeoutSeconds(in: InodeNumber(parent)))
    }
}

func onMakeDirectory(_ request: Request, _ parent: fuse_ino_t, _ name: Name, _ mode: mode_t) {
    serve(request) { fileSystem, _ throws(VFSError) in
        .entry(
            try fileSystem.makeDirectory(
                InodeNumber(parent), bytes(name), mode: UInt16(truncatingIfNeeded: mode) & 0o7777),
            entryTimeout: fileSystem.entryTimeoutSeconds(in: InodeNumber(parent)))
    }
}

func onMakeSymlink(_ request: Request, _ target: Name, _ parent: fuse_ino_t, _ name: Name) {
    serve(request) { fileSystem, _ throws(VFSError) in
        .entry(
            try fileSystem.makeSymlink(InodeNumber(parent), bytes(name), target: bytes(target)),
            entryTimeout: fileSystem.entryTimeoutSeconds(in: InodeNumber(parent)))
    }
}

/// Hard links come with the full POSIX surface; until then EPERM, as from a file system without them (link(2)).
func onLink(_ request: Request, _ inode: fuse_ino_t, _ newParent: fuse_ino_t, _ newName: Name) {
    serve(request) { _, _ throws(VFSError) in throw .notPermitted }
}

func onUnlink(_ request: Request, _ parent: fuse_ino_t, _ name: Name) {
    serve(request) { fileSystem, _ throws(VFSError) in
        try fileSystem.unlink(InodeNumber(parent), bytes(name))
        return .done
    }
}

func onRemoveDirectory(_ request: Request, _ parent: fuse_ino_t, _ name: Name) {
    serve(request) { fileSystem, _ throws(VFSError) in
        try fileSystem.removeDirectory(InodeNumber(parent), bytes(name))
        return .done
    }
}

func onRename(
    _ request: Request, _ parent: fuse_ino_t, _ name: Name, _ newParent: fuse_ino_t, _ newName: Name, _ flags: UInt32
) {
    serve(request) { fileSystem, _ throws(VFSError) in
        // RENAME_NOREPLACE is 1; RENAME_EXCHANGE (2) and RENAME_WHITEOUT (4) are not supported: EINVAL, as rename(2)
        // says.
        guard flags & ~1 == 0 else { throw .invalidArgument }
        try fileSystem.rename(
            InodeNumber(parent), bytes(name), to: InodeNumber(newParent), bytes(newName), replacing: flags & 1 == 0)
        return .done
    }
}

func onSetAttributes(
    _ request: Request, _ inode: fuse_ino_t, _ status: UnsafeMutablePointer<stat>?, _ valid: Int32, _ info: FileInfo
) {
    serve(request) { fileSystem, _ throws(VFSError) in
        guard let status = status?.pointee else { throw .invalidArgument }
        var changes = AttributeChanges()
        if valid & FUSE_SET_ATTR_MODE != 0 { changes.mode = UInt16(truncatingIfNeeded: status.st_mode) & 0o7777 }
        if valid & FUSE_SET_ATTR_UID != 0 { changes.userID = status.st_uid }
        if valid & FUSE_SET_ATTR_GID != 0 { changes.groupID = status.st_gid }
        if valid & FUSE_SET_ATTR_SIZE != 0 { changes.sizeBytes = UInt64(status.st_size) }
        if valid & FUSE_SET_ATTR_MTIME_NOW != 0 {
            var time = timespec()
            clock_gettime(CLOCK_REALTIME, &time)
            changes.modified = Timestamp(seconds: Int64(time.tv_sec), nanoseconds: UInt32(time.tv_nsec))
        } else if valid & FUSE_SET_ATTR_MTIME != 0 {
            changes.modified = Timestamp(
                seconds: Int64(status.st_mtim.tv_sec), nanoseconds: UInt32(status.st_mtim.tv_nsec))
        }
        return .attributes(try fileSystem.setAttributes(InodeNumber(inode), changes))
    }
}

func onWrite(
    _ request: Request, _ inode: fuse_ino_t, _ buffer: Name, _ size: Int, _ offset: off_t, _ info: FileInfo
) {
    serve(request) { fileSystem, _ throws(VFSError) in
        .written(
            try fileSystem.write(
                InodeNumber(inode), at: UInt64(offset), UnsafeRawBufferPointer(start: buffer, count: size)))
    }
}

func onFlush(_ request: Request, _ inode: fuse_ino_t, _ info: FileInfo) {
    serve(request) { fileSystem, _ throws(VFSError) in
        try fileSystem.flush(InodeNumber(inode))
        return .done
    }
}

func onSync(_ request: Request, _ inode: fuse_ino_t, _ dataOnly: Int32, _ info: FileInfo) {
    serve(request) { fileSystem, _ throws(VFSError) in
        try fileSystem.sync(InodeNumber(inode))
        return .done
    }
}

func onSetAttribute(
    _ request: Request, _ inode: fuse_ino_t, _ name: Name, _ value: Name, _ size: Int, _ flags: Int32
) {
    serve(request) { fileSystem, _ throws(VFSError) in
        // XATTR_CREATE is 1, XATTR_REPLACE 2 (setxattr(2)).
        try fileSystem.setAttribute(
            InodeNumber(inode), bytes(name), Array(UnsafeRawBufferPointer(start: value, count: size)),
            mustExist: flags & 2 != 0, mustNotExist: flags & 1 != 0)
        return .done
    }
}

func onRemoveAttribute(_ request: Request, _ inode: fuse_ino_t, _ name: Name) {
    serve(request) { fileSystem, _ throws(VFSError) in
        try fileSystem.removeAttribute(InodeNumber(inode), bytes(name))
        return .done
    }
}
