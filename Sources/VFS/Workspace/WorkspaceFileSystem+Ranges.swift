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
        _ inode: InodeNumber, from offset: UInt64, to target: SeekTarget
    ) throws(VFSError) -> UInt64 {
        try reportingFailures(logger, "seeking in inode \(inode.value)") {
            let file = try table.withLock { try current(&$0, inode) }
            let content = try content(of: file)
            return try VFS.seek(from: offset, to: target, size: content.sizeBytes) { position in
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
        _ inode: InodeNumber, at offset: UInt64, count: UInt64, _ allocation: Allocation, keepsSize: Bool
    ) throws(VFSError) {
        try barrier.pass { () throws(VFSError) in
            try reportingFailures(logger, "allocating in inode \(inode.value)") {
                let (end, overflow) = offset.addingReportingOverflow(count)
                guard !overflow, end <= UInt64(Int64.max) else { throw VFSError.fileTooLarge }
                let (file, data) = try writable(inode)
                let descriptor = try descriptor(file, data, create: true)
                if allocation == .reserve { try makingRoom { try reserve(descriptor, data, offset, count) } }
                try table.withLock { table in
                    try makingRoom {
                        try transaction { change in
                            let number = try change.overlay.nextChange()
                            try update(change, file, content: true) { node in
                                guard var content = node.content else { throw VFSError.invalidArgument }
                                if !keepsSize, end > content.sizeBytes { content.resize(to: end) }
                                if allocation != .reserve {
                                    punch(content, target: data, descriptor, from: offset, to: end)
                                    content.punch(start: offset, end: end)
                                }
                                node.kind = .file(content)
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

    private func reserve(_ descriptor: Descriptor, _ data: DataFileID, _ offset: UInt64, _ count: UInt64) throws {
        let failed = descriptor.withDescriptor { tarn_fallocate_keep_size($0, off_t(offset), off_t(count)) }
        guard failed == 0 else {
            // A file system that cannot reserve is no failure: the room is taken when bytes are written.
            if errno == EOPNOTSUPP { return }
            if errno == EFBIG { throw VFSError.fileTooLarge }
            throw WorkspaceError.localIO(path: workspace.dataPath(data), errno: errno)
        }
    }

    /// Gives the room of bytes in the data file that takes writes back to the disk. (Others may be shared.)
    private func punch(
        _ content: StagedContent, target: DataFileID, _ descriptor: Descriptor, from start: UInt64, to end: UInt64
    ) {
        for range in content.ranges.ranges where range.source == .data(target) {
            guard let part = range.clipped(start, end) else { continue }
            // Only room is at stake: the range shows zeros whether or not this succeeds.
            descriptor.withDescriptor { _ = tarn_fallocate_punch($0, off_t(part.from), off_t(part.end - part.start)) }
        }
    }

    package func copy(
        _ source: InodeNumber, at sourceOffset: UInt64, to target: InodeNumber, at targetOffset: UInt64, count: UInt64
    ) throws(VFSError) -> UInt64 {
        try barrier.pass { () throws(VFSError) in
            try reportingFailures(logger, "copying from inode \(source.value) to \(target.value)") {
                guard targetOffset <= UInt64(Int64.max) - min(count, UInt64(Int64.max)) else {
                    throw VFSError.fileTooLarge
                }
                return try table.withLock { table in
                    let (from, to) = (try current(&table, source), try current(&table, target))
                    let content = try content(of: from)
                    let covers = try self.content(of: to).sizeBytes > targetOffset
                    guard sourceOffset < content.sizeBytes, count > 0 else { return 0 }
                    let end = sourceOffset + min(count, content.sizeBytes - sourceOffset)
                    let clone = RangeClone(of: content, from: sourceOffset, to: end, at: targetOffset)
                    // Bytes that are not on the disk yet must not hide others that may be.
                    if covers, clone.sharesData { try syncData(openData(of: from)) }
                    try makingRoom { try transaction { try copy(clone, table, $0, from, to) } }
                    return clone.end - clone.start
                }
            }
        }
    }

    private func copy(
        _ clone: RangeClone, _ table: InodeTable, _ change: InodeTransaction, _ from: WorkspaceInode,
        _ to: WorkspaceInode
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
            node.modified = now()
            node.changed = node.modified
            node.change = number
        }
    }
}
