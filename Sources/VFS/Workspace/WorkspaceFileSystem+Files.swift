import BlockingIO
import ErrorMessages
import Glibc
import Logging
import ObjectDatabase
import ProllyTree
import Staging
import Synchronization
import Versioning

// Opening, reading and writing single files.

extension WorkspaceFileSystem {
    package func open(_ inode: InodeNumber, forWriting: Bool, truncating: Requester?) throws(VFSError) -> HandleNumber {
        try reportingFailures(logger, "opening inode \(inode.value)") {
            let file = try table.withLock { try current(&$0, inode) }
            if file.backing.isDirectory { throw VFSError.isADirectory }
            file.state.withLock { $0.openCount += 1 }
        }
        if let truncating {
            var changes = AttributeChanges()
            changes.size = .zero
            do {
                _ = try setAttributes(inode, changes, by: truncating)
            } catch {
                release(inode, .none)
                throw error
            }
        }
        return forWriting ? .writing : .none
    }

    package func release(_ inode: InodeNumber, _ handle: HandleNumber) {
        barrier.pass {
            guard let file = table.withLock({ $0.inodes[inode] }) else { return }
            // The last close of a file whose flush failed has told so already; here there is nobody to tell.
            if file.state.withLock({ $0.isDirty }) { try? flushFile(inode) }
            table.withLock { table in
                file.state.withLock { state in
                    state.openCount = max(0, state.openCount - 1)
                    // What could not be saved is synced when it is.
                    if state.openCount == 0, !state.isDirty {
                        dataFiles.forget(state.dataInUse)
                        state.dataInUse = []
                    }
                }
                letGo(&table, file)
            }
        }
    }

    /// Forgets an inode that nobody refers to any more. If it has no name either, its entry and its room are given back.
    func letGo(_ table: inout InodeTable, _ file: WorkspaceInode) {
        guard !table.isHeld(file) else { return }
        if table[file].names.isEmpty, let node = file.backing.node, !node.isDirectory, node.links == 0 {
            file.state.withLock { $0.isDirty = false }
            reclaimer.add(removed: node)
        }
        table.removeIfUnused(file)
    }

    package func read(
        _ inode: InodeNumber, at offset: FileOffset, into buffer: UnsafeMutableRawBufferPointer
    ) throws(VFSError) -> Int {
        try reportingFailures(logger, "reading inode \(inode.value)") {
            var attempt = 1
            while true {
                let (file, readAhead) = try table.withLock { (try current(&$0, inode), $0.readAhead) }
                do {
                    switch file.backing {
                    case .base(let located, let origin):
                        let open = try baseFile(file, located)
                        if open.isSmall, offset == .zero { readAhead.willRead(open.map, at: origin) }
                        return try open.read(at: offset.value, into: buffer)
                    case .staged(let node):
                        guard let content = node.content else { throw VFSError.isADirectory }
                        return try read(file, content, at: offset.value, into: buffer)
                    }
                } catch WorkspaceError.localIO(_, errno: ENOENT) where attempt < Self.maximumReadAttempts {
                    // A commit has taken the data file away just now: the bytes are the base's.
                    attempt += 1
                }
            }
        }
    }

    private static let maximumReadAttempts = 100

    private func read(
        _ file: WorkspaceInode, _ content: StagedContent, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
    ) throws -> Int {
        guard offset < content.sizeBytes else { return 0 }
        let count = Int(min(UInt64(buffer.count), content.sizeBytes - offset))
        var done = 0
        while done < count {
            let source = content.source(at: offset + UInt64(done))
            let part = Int(min(UInt64(count - done), source.end - offset - UInt64(done)))
            let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + part])
            switch source.source {
            case .zeros: piece.initializeMemory(as: UInt8.self, repeating: 0)
            case .data(let data):
                try descriptor(file, data, create: false).withDescriptor {
                    try readWhole($0, at: source.from, into: piece, path: Array(workspace.dataPath(data).utf8))
                }
            case .base, .cloned:
                guard let open = try committedFile(file, content, source.source) else {
                    preconditionFailure("a committed piece has its entry")
                }
                _ = try open.read(at: source.from, into: piece)
            }
            done += part
        }
        return count
    }

    /// The committed file that a piece shows; `nil` for other pieces.
    func committedFile(
        _ file: WorkspaceInode, _ content: StagedContent, _ source: StagedContent.Source
    ) throws -> OpenFile? {
        switch source {
        case .zeros, .data: return nil
        case .base: return try content.base.map { try baseFile(file, $0) }
        case .cloned(let id):
            guard let located = content.cloned[id] else { return nil }
            if let open = file.state.withLock({ $0.clonedFiles[id] }) { return open }
            let open = OpenFile(map: try database.lists.map(of: located), fetcher: fetcher)
            file.state.withLock { $0.clonedFiles[id] = open }
            return open
        }
    }

    func baseFile(_ file: WorkspaceInode, _ located: LocatedEntry) throws -> OpenFile {
        guard let content = located.entry.file else { throw VFSError.isADirectory }
        // A reader that was overtaken by a commit may have left that of the base before.
        if let known = file.state.withLock({ $0.baseFile }), known.content == content { return known.open }
        let open = OpenFile(map: try database.lists.map(of: located), fetcher: fetcher)
        file.state.withLock { $0.baseFile = (content, open) }
        return open
    }

    func descriptor(_ file: WorkspaceInode, _ data: DataFileID, create: Bool) throws -> Descriptor {
        let open = try dataFiles.descriptor(data, create: create)
        let isInUse = file.state.withLock { state in
            if state.openCount > 0 { state.dataInUse.insert(data) }
            return state.openCount > 0
        }
        if !isInUse { dataFiles.forget([data]) }
        return open
    }

    package func write(
        _ inode: InodeNumber, at offset: FileOffset, _ bytes: UnsafeRawBufferPointer, by requester: Requester
    ) throws(VFSError) -> Int {
        try barrier.pass { () throws(VFSError) in
            try reportingFailures(logger, "writing inode \(inode.value)") {
                let range = try FileRange(from: offset, count: UInt64(bytes.count))
                try workspace.checkWritable()
                // Rarely does a truncation or a copy take the data file away meanwhile: then the bytes go to the next.
                for _ in 0..<Self.maximumWriteAttempts {
                    let (file, data) = try writable(inode)
                    let descriptor = try descriptor(file, data, create: true)
                    let written = try makingRoom {
                        try descriptor.withDescriptor { try writeFully($0, at: range.start, bytes, data) }
                    }
                    if note(file, from: range.start, to: range.start + UInt64(written), in: data, by: requester) {
                        return written
                    }
                }
                throw VFSError.inputOutput
            }
        }
    }

    private static let maximumWriteAttempts = 1000

    /// Says that bytes of the file are in `data` now; false when that is no longer where its writes go.
    private func note(
        _ file: WorkspaceInode, from start: UInt64, to end: UInt64, in data: DataFileID, by requester: Requester
    ) -> Bool {
        file.state.withLock { state in
            guard case .staged(var node) = state.backing, var content = node.content, content.writeTarget == data,
                !state.isChangingContent
            else { return false }
            // Taken out first: the ranges are then changed in place instead of copied.
            state.backing = .staged(OverlayEntry(kind: .directory, mode: 0, modified: node.modified))
            node.kind = .directory
            content.wrote(start: start, end: end, data: data)
            node.kind = .file(content)
            node.dropPrivileges(by: requester, group: (node.owner ?? mounter).groupID)
            node.modified = now()
            node.changed = node.modified
            state.backing = .staged(node)
            state.isDirty = true
            return true
        }
    }

    /// The inode, staged and with a data file that takes writes.
    func writable(_ inode: InodeNumber) throws -> (WorkspaceInode, DataFileID) {
        try table.withLock { table in
            let file = try current(&table, inode)
            if let target = file.backing.node?.content?.writeTarget { return (file, target) }
            return try transaction { change in
                let node = try stage(table, change, file)
                guard node.content != nil else { throw VFSError.isADirectory }
                let target = try change.overlay.nextDataFile()
                // A number that was not kept is given out again, to another file.
                change.willChange(file)
                file.state.withLock { state in
                    guard case .staged(var node) = state.backing, var content = node.content else { return }
                    content.writeTarget = target
                    node.kind = .file(content)
                    state.backing = .staged(node)
                }
                return (file, target)
            }
        }
    }

    /// Writes everything; a disk that fills up half-way gives the count before it, or `.noSpace` for none.
    private func writeFully(
        _ descriptor: Int32, at offset: UInt64, _ bytes: UnsafeRawBufferPointer, _ data: DataFileID
    ) throws -> Int {
        do throws(Errno) {
            return try writeWhatFits(descriptor, at: offset, bytes)
        } catch {
            throw WorkspaceError.localIO(path: workspace.dataPath(data), errno: error.code)
        }
    }
}
