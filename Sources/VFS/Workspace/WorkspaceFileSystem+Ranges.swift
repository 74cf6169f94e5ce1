import CLinux
import Glibc
import Logging
import ObjectDatabase
import ProllyTree
import Staging
import Synchronization
import Versioning

// Holes, reserved room and copies of byte ranges.

extension WorkspaceFileSystem {
    package func seek(
        _ inode: InodeNumber, from offset: FileOffset, to target: SeekTarget
    ) throws(VFSError) -> UInt64 {
        try reportingFailures(logger, "seeking in inode \(inode.value)") {
            let file = try table.withLock { try current(&$0, inode) }
            let content = try content(of: file)
            return try VFS.seek(from: offset.value, to: target, size: content.sizeBytes) { position in
                let piece = content.source(at: position)
                guard let map = try committedFile(file, content, piece.source)?.map else {
                    return (piece.source == .zeros, piece.end)
                }
                let (isHole, end) = map.hole(at: piece.from)
                return (isHole, min(piece.end, position + (end - piece.from)))
            }
        }
    }

    private func content(of file: WorkspaceInode) throws -> StagedContent {
        switch file.backing {
        case .base(let located, _):
            if located.entry.file != nil { return StagedContent(base: located) }
            throw located.entry.isDirectory ? VFSError.isADirectory : VFSError.invalidArgument
        case .staged(let node):
            guard let content = node.content else {
                throw node.isDirectory ? VFSError.isADirectory : VFSError.invalidArgument
            }
            return content
        }
    }

    package func allocate(
        _ inode: InodeNumber, _ range: FileRange, _ allocation: Allocation, keepsSize: Bool, by requester: Requester
    ) throws(VFSError) {
        try barrier.pass { () throws(VFSError) in
            try reportingFailures(logger, "allocating in inode \(inode.value)") {
                let (file, data) = try writable(inode)
                let descriptor = try descriptor(file, data, create: true)
                if allocation == .reserve {
                    file.state.withLock { $0.reservedIn = data }
                    try makingRoom { try reserve(descriptor, data, range) }
                }
                try table.withLock { table in
                    try makingRoom {
                        try transaction { change in
                            let number = try change.overlay.nextChange()
                            try update(change, file, content: true) { node in
                                guard var content = node.content else { throw VFSError.invalidArgument }
                                if !keepsSize, range.end > content.sizeBytes { content.resize(to: range.end) }
                                if allocation != .reserve {
                                    punch(descriptor, range)
                                    content.punch(start: range.start, end: range.end)
                                }
                                node.kind = .file(content)
                                node.dropPrivileges(by: requester, group: (node.owner ?? mounter).groupID)
                                // As ext4 has it, whatever the mode.
                                node.modified = now()
                                node.changed = node.modified
                                node.change = number
                            }
                        }
                    }
                }
            }
        }
    }

    private func reserve(_ descriptor: Descriptor, _ data: DataFileID, _ range: FileRange) throws {
        // The data file becomes as long: ext4 punches no hole behind the end.
        let failed = descriptor.withDescriptor { tarn_fallocate($0, off_t(range.start), off_t(range.count)) }
        guard failed == 0 else {
            // A file system that cannot reserve is no failure: the room is taken when bytes are written.
            if errno == EOPNOTSUPP { return }
            throw WorkspaceError.localIO(path: workspace.dataPath(data), errno: errno)
        }
    }

    /// Gives the room of bytes in the data file that takes writes back to the disk: nobody else shows them, and a byte lies
    /// where it lies in the file. (In other data files they may be shared.)
    private func punch(_ descriptor: Descriptor, _ range: FileRange) {
        // Only room is at stake: the range shows zeros whether or not this succeeds.
        descriptor.withDescriptor { _ = tarn_fallocate_punch($0, off_t(range.start), off_t(range.count)) }
    }

    /// What the disk has of a file beyond what was written to it, since room was reserved.
    func reservedBytes(_ file: WorkspaceInode) -> UInt64 {
        let state = file.state.withLock { $0 }
        guard let reserved = state.reservedIn, let content = state.backing.node?.content,
            content.writeTarget == reserved
        else { return 0 }
        var status = stat()
        guard stat(workspace.dataPath(reserved), &status) == 0 else { return 0 }
        let written = content.ranges.ranges.reduce(0) { sum, range in
            range.source == .data(reserved) ? sum + (range.end - range.start) : sum
        }
        let taken = UInt64(max(status.st_blocks, 0)) * 512
        return taken - min(taken, written)
    }

    package func copy(
        _ source: InodeNumber, _ range: FileRange, to target: InodeNumber, at targetOffset: FileOffset,
        by requester: Requester
    ) throws(VFSError) -> UInt64 {
        try barrier.pass { () throws(VFSError) in
            try reportingFailures(logger, "copying from inode \(source.value) to \(target.value)") {
                _ = try FileRange(from: targetOffset, count: range.count)
                return try table.withLock { table in
                    let (from, to) = (try current(&table, source), try current(&table, target))
                    let content = try content(of: from)
                    let covers = try self.content(of: to).sizeBytes > targetOffset.value
                    guard range.start < content.sizeBytes, !range.isEmpty else { return 0 }
                    let end = min(range.end, content.sizeBytes)
                    let clone = RangeClone(of: content, from: range.start, to: end, at: targetOffset.value)
                    // Bytes that are not on the disk yet must not hide others that may be.
                    if covers, clone.sharesData { try syncData(openData(of: from)) }
                    try makingRoom { try transaction { try copy(clone, table, $0, from, to, requester) } }
                    return clone.end - clone.start
                }
            }
        }
    }

    private func copy(
        _ clone: RangeClone, _ table: InodeTable, _ change: InodeTransaction, _ from: WorkspaceInode,
        _ to: WorkspaceInode, _ requester: Requester
    ) throws {
        if clone.sharesData, from.backing.node != nil {
            // Its next write begins a new data file: the bytes shared from here on stay as they are.
            try update(change, from) { node in
                guard var content = node.content else { return }
                content.writeTarget = nil
                node.kind = .file(content)
            }
        }
        _ = try stage(table, change, to)
        let number = try change.overlay.nextChange()
        try update(change, to, content: true) { node in
            guard var content = node.content else { return }
            try clone.apply(to: &content) { try change.overlay.insertCloned($0) }
            node.kind = .file(content)
            node.dropPrivileges(by: requester, group: (node.owner ?? mounter).groupID)
            node.modified = now()
            node.changed = node.modified
            node.change = number
        }
    }
}
