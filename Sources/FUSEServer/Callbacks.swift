import BlockingIO
import CFUSE
import Glibc
import VFS
import Versioning

// libfuse's callbacks: each takes the C arguments apart, asks the file system, and answers. They run on libfuse's
// threads and are plain functions: a closure could inherit an actor's isolation and trap on a foreign thread.

typealias Request = fuse_req_t?
typealias FileInfo = UnsafeMutablePointer<fuse_file_info>?
typealias Name = UnsafePointer<CChar>?

func onInit(_ userData: UnsafeMutableRawPointer?, _ connection: UnsafeMutablePointer<fuse_conn_info>?) {
    let context = ServerContext.context(userData)
    if let connection {
        func want(_ capability: Int32) {
            let bit = UInt32(bitPattern: capability)
            if connection.pointee.capable & bit != 0 { connection.pointee.want |= bit }
        }
        want(Int32(FUSE_CAP_PARALLEL_DIROPS))
        want(Int32(FUSE_CAP_ASYNC_READ))
        func refuse(_ capability: Int32) { connection.pointee.want &= ~UInt32(bitPattern: capability) }
        // Bytes change through this kernel, or it is told (`SessionCache`). libfuse asks for the other by itself, and with both
        // the kernel would take that: it then drops pages whenever a stat tells a new time, also those of a write on its way
        // here, which readers fill again with what was before (docs/explanation/design/020-pages-of-a-writable-mount.md).
        refuse(Int32(FUSE_CAP_AUTO_INVAL_DATA))
        want(Int32(FUSE_CAP_EXPLICIT_INVAL_DATA))
        if context.traits.isReadOnly {
            want(Int32(FUSE_CAP_CACHE_SYMLINKS))
        } else {
            // Behind an asynchronous direct write the kernel drops no page that a reader filled meanwhile.
            refuse(Int32(FUSE_CAP_ASYNC_DIO))
        }
        connection.pointee.max_write = 1 << 20
        connection.pointee.max_background = 64
        connection.pointee.congestion_threshold = 48
    }
    context.onReady()
}

func onLookup(_ request: Request, _ parent: fuse_ino_t, _ name: Name) {
    serve(.lookup, request) { fileSystem, context throws(VFSError) in
        .entry(
            try fileSystem.lookup(InodeNumber(parent), entryName(name)),
            entryTimeout: fileSystem.entryTimeoutSeconds(in: InodeNumber(parent)))
    }
}

func onForget(_ request: Request, _ inode: fuse_ino_t, _ count: UInt64) {
    ServerContext.of(request).messages.count(.forget)
    ServerContext.of(request).fileSystem.forget(InodeNumber(inode), count: count)
    fuse_reply_none(request)
}

func onForgetMulti(_ request: Request, _ count: Int, _ forgets: UnsafeMutablePointer<fuse_forget_data>?) {
    ServerContext.of(request).messages.count(.forget)
    let fileSystem = ServerContext.of(request).fileSystem
    for forget in UnsafeBufferPointer(start: forgets, count: count) {
        fileSystem.forget(InodeNumber(forget.ino), count: forget.nlookup)
    }
    fuse_reply_none(request)
}

func onGetAttributes(_ request: Request, _ inode: fuse_ino_t, _ info: FileInfo) {
    serve(.getAttributes, request) { fileSystem, _ throws(VFSError) in
        .attributes(try fileSystem.attributes(InodeNumber(inode)))
    }
}

func onReadLink(_ request: Request, _ inode: fuse_ino_t) {
    serve(.readLink, request) { fileSystem, _ throws(VFSError) in .link(try fileSystem.readLink(InodeNumber(inode))) }
}

func onOpen(_ request: Request, _ inode: fuse_ino_t, _ info: FileInfo) {
    serve(.open, request, info) { fileSystem, context throws(VFSError) in
        let flags = info?.pointee.flags ?? 0
        let handle = try fileSystem.open(
            InodeNumber(inode), forWriting: flags & O_ACCMODE != O_RDONLY,
            truncating: flags & O_TRUNC != 0 ? requester(request) : nil)
        switch context.passthrough?.open(InodeNumber(inode), of: fileSystem) ?? .unavailable {
        case .backed(let number): return .openedBacked(number)
        case .unavailable where context.traits.needsNoOpen: return .notImplemented
        case .unavailable, .served: return .opened(handle, keepsCache: true)
        }
    }
}

func onRelease(_ request: Request, _ inode: fuse_ino_t, _ info: FileInfo) {
    serve(.release, request) { fileSystem, context throws(VFSError) in
        context.passthrough?.release(InodeNumber(inode))
        fileSystem.release(InodeNumber(inode), HandleNumber(info?.pointee.fh ?? 0))
        return .done
    }
}

func onOpenDirectory(_ request: Request, _ inode: fuse_ino_t, _ info: FileInfo) {
    serve(.openDirectory, request, info) { fileSystem, context throws(VFSError) in
        if context.traits.needsNoOpenDirectory { return .notImplemented }
        return .openedDirectory(try fileSystem.openDirectory(InodeNumber(inode)), cachesListing: false)
    }
}

func onReleaseDirectory(_ request: Request, _ inode: fuse_ino_t, _ info: FileInfo) {
    serve(.releaseDirectory, request) { fileSystem, _ throws(VFSError) in
        fileSystem.releaseDirectory(InodeNumber(inode), HandleNumber(info?.pointee.fh ?? 0))
        return .done
    }
}

func onRead(_ request: Request, _ inode: fuse_ino_t, _ size: Int, _ offset: off_t, _ info: FileInfo) {
    serve(.read, request) { fileSystem, _ throws(VFSError) in
        let size = replyLimit(size)
        guard let memory = tarn_reply_buffer(size) else { throw .inputOutput }
        let buffer = UnsafeMutableRawBufferPointer(start: memory, count: size)
        let count = try fileSystem.read(InodeNumber(inode), at: FileOffset(Int64(offset)), into: buffer)
        return .buffer(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
    }
}

func onSeek(_ request: Request, _ inode: fuse_ino_t, _ offset: off_t, _ whence: Int32, _ info: FileInfo) {
    serve(.seek, request) { fileSystem, _ throws(VFSError) in
        let target = try seekTarget(whence)
        return .offset(try fileSystem.seek(InodeNumber(inode), from: seekOffset(offset), to: target))
    }
}

func onReadDirectory(_ request: Request, _ inode: fuse_ino_t, _ size: Int, _ offset: off_t, _ info: FileInfo) {
    list(request, inode, size, offset, info, withAttributes: false)
}

func onReadDirectoryPlus(_ request: Request, _ inode: fuse_ino_t, _ size: Int, _ offset: off_t, _ info: FileInfo) {
    list(request, inode, size, offset, info, withAttributes: true)
}

private func list(
    _ request: Request, _ inode: fuse_ino_t, _ size: Int, _ offset: off_t, _ info: FileInfo, withAttributes: Bool
) {
    let size = replyLimit(size)
    let buffer = UnsafeMutablePointer<CChar>.allocate(capacity: size)
    defer { buffer.deallocate() }
    serve(withAttributes ? .readDirectoryPlus : .readDirectory, request) { fileSystem, context throws(VFSError) in
        var used = 0
        let timeout = fileSystem.entryTimeoutSeconds(in: InodeNumber(inode))
        try fileSystem.readDirectory(
            InodeNumber(inode), HandleNumber(info?.pointee.fh ?? 0), after: FileOffset(Int64(offset)),
            countsAsLookup: withAttributes
        ) { entry in
            let needed = withCPath(entry.name) { name -> Int in
                if withAttributes {
                    var parameters = context.entryParameters(entry.attributes, timeout)
                    return fuse_add_direntry_plus(
                        request, buffer + used, size - used, name, &parameters, off_t(truncatingIfNeeded: entry.cookie))
                }
                var status = context.status(entry.attributes)
                return fuse_add_direntry(
                    request, buffer + used, size - used, name, &status, off_t(truncatingIfNeeded: entry.cookie))
            }
            guard needed <= size - used else { return false }
            used += needed
            return true
        }
        return .buffer(UnsafeRawBufferPointer(start: buffer, count: used))
    }
}

func onStatistics(_ request: Request, _ inode: fuse_ino_t) {
    serve(.statistics, request) { fileSystem, _ throws(VFSError) in .statistics(try fileSystem.statistics()) }
}

func onGetAttribute(_ request: Request, _ inode: fuse_ino_t, _ name: Name, _ size: Int) {
    serve(.getAttribute, request) { fileSystem, context throws(VFSError) in
        let name = bytes(name)
        if name.elementsEqual(FUSEServer.statisticsAttribute.utf8) {
            return try sized(context.statistics(context.sessionStatistics), size)
        }
        return try sized(try fileSystem.attribute(InodeNumber(inode), name), size)
    }
}

func onListAttributes(_ request: Request, _ inode: fuse_ino_t, _ size: Int) {
    serve(.listAttributes, request) { fileSystem, _ throws(VFSError) in
        try sized(try fileSystem.attributeNames(InodeNumber(inode)).flatMap { $0 + [0] }, size)
    }
}

/// getxattr(2): a size of 0 asks how long the value is.
private func sized(_ value: [UInt8], _ size: Int) throws(VFSError) -> Reply {
    if size == 0 { return .attributeSize(value.count) }
    guard value.count <= size else { throw .attributeBufferTooSmall }
    return .bytes(value)
}
