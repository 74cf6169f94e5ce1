import CFUSE
import Glibc
import VFS
import Versioning

// The callbacks that change the tree. See Callbacks.swift.

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
            : try fileSystem.create(
                InodeNumber(parent), entryName(name), new, existing: existing, by: requester(request))
        return .created(attributes, handle, entryTimeout: fileSystem.entryTimeoutSeconds(in: InodeNumber(parent)))
    }
}

private func make(
    _ request: Request, _ parent: fuse_ino_t, _ name: Name, _ mode: mode_t,
    _ kind: () throws(VFSError) -> NewFile.Kind
) {
    serve(.make, request) { fileSystem, _ throws(VFSError) in
        .entry(
            try fileSystem.make(InodeNumber(parent), entryName(name), newFile(request, kind(), mode)),
            entryTimeout: fileSystem.entryTimeoutSeconds(in: InodeNumber(parent)))
    }
}

func onMakeNode(_ request: Request, _ parent: fuse_ino_t, _ name: Name, _ mode: mode_t, _ device: dev_t) {
    make(request, parent, name, mode) { () throws(VFSError) in try nodeKind(mode, device) }
}

func onMakeDirectory(_ request: Request, _ parent: fuse_ino_t, _ name: Name, _ mode: mode_t) {
    make(request, parent, name, mode) { .directory }
}

func onMakeSymlink(_ request: Request, _ target: Name, _ parent: fuse_ino_t, _ name: Name) {
    make(request, parent, name, 0o777) { .symlink(target: bytes(target)) }
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
        let mode = try renameMode(flags)
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
        return .attributes(
            try fileSystem.setAttributes(InodeNumber(inode), AttributeChanges(status, valid), by: requester(request)))
    }
}

func onWrite(
    _ request: Request, _ inode: fuse_ino_t, _ buffer: Name, _ size: Int, _ offset: off_t, _ info: FileInfo
) {
    serve(.write, request) { fileSystem, _ throws(VFSError) in
        .written(
            try fileSystem.write(
                InodeNumber(inode), at: FileOffset(Int64(offset)),
                UnsafeRawBufferPointer(start: buffer, count: size), by: requester(request)))
    }
}

func onAllocate(
    _ request: Request, _ inode: fuse_ino_t, _ mode: Int32, _ offset: off_t, _ length: off_t, _ info: FileInfo
) {
    serve(.allocate, request) { fileSystem, _ throws(VFSError) in
        let (allocation, keepsSize) = try allocation(mode)
        try fileSystem.allocate(
            InodeNumber(inode), allocatedRange(offset, length), allocation, keepsSize: keepsSize,
            by: requester(request))
        return .done
    }
}

func onCopyRange(
    _ request: Request, _ inode: fuse_ino_t, _ offset: off_t, _ info: FileInfo, _ newInode: fuse_ino_t,
    _ newOffset: off_t, _ newInfo: FileInfo, _ count: Int, _ flags: Int32
) {
    serve(.copyRange, request) { fileSystem, _ throws(VFSError) in
        let copied = try fileSystem.copy(
            InodeNumber(inode), copiedRange(offset, count), to: InodeNumber(newInode), at: FileOffset(Int64(newOffset)),
            by: requester(request))
        return .written(Int(clamping: copied))
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
            InodeNumber(inode), bytes(name), attributeValue(value, size),
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
