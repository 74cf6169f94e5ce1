import Glibc
import Logging
import ProllyTree
import Repository
import Staging
import Synchronization
import Versioning

// Reading, writing and attributes of single files.

extension WorkspaceFileSystem {
    package func open(_ inode: InodeNumber, forWriting: Bool, truncating: Bool) throws(VFSError) -> HandleNumber {
        try reportingFailures(logger, "opening inode \(inode.value)") {
            let file = try table.withLock { try current(&$0, inode) }
            if file.backing.isDirectory { throw VFSError.isADirectory }
            file.state.withLock { $0.openCount += 1 }
        }
        if truncating {
            var changes = AttributeChanges()
            changes.sizeBytes = 0
            do {
                _ = try setAttributes(inode, changes)
            } catch {
                release(inode, .none)
                throw error
            }
        }
        return .none
    }

    package func release(_ inode: InodeNumber, _ handle: HandleNumber) {
        gate.pass {
            // The last close of a file whose flush failed has told so already; here there is nobody to tell.
            try? flushFile(inode)
            table.withLock { table in
                guard let file = try? table.inode(inode) else { return }
                let isLast = file.state.withLock { state in
                    state.openCount = max(0, state.openCount - 1)
                    if state.openCount == 0 { state.descriptors = [:] }
                    return state.openCount == 0
                }
                guard isLast else { return }
                if table[file].isUnlinked, let node = file.backing.node {
                    do {
                        try transaction { try $0.remove(node.id) }
                    } catch {
                        logger.warning(
                            "an unlinked file stays in the workspace until the next mount: \(describeFailure(error))")
                    }
                }
                table.removeIfUnused(file)
            }
        }
    }

    package func read(
        _ inode: InodeNumber, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
    ) throws(VFSError) -> Int {
        try reportingFailures(logger, "reading inode \(inode.value)") {
            let file = try table.withLock { try current(&$0, inode) }
            switch file.backing {
            case .base(let located, _):
                return try baseFile(file, located).read(at: offset, into: buffer)
            case .staged(let node):
                guard let content = node.content else { throw VFSError.isADirectory }
                return try read(file, content, at: offset, into: buffer)
            }
        }
    }

    private func read(
        _ file: WorkspaceInode, _ content: StagedContent, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
    ) throws -> Int {
        guard offset < content.sizeBytes else { return 0 }
        let count = Int(min(UInt64(buffer.count), content.sizeBytes - offset))
        var done = 0
        while done < count {
            let (source, end) = content.source(at: offset + UInt64(done))
            let part = Int(min(UInt64(count - done), end - offset - UInt64(done)))
            let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + part])
            switch source {
            case .zeros: piece.initializeMemory(as: UInt8.self, repeating: 0)
            case .data(let data):
                let descriptor = try descriptor(file, data, create: false)
                try readFully(
                    descriptor.number, at: offset + UInt64(done), into: piece,
                    path: Array(workspace.dataPath(data).utf8))
            case .base:
                guard let base = content.base else { preconditionFailure("a base piece has a base") }
                _ = try baseFile(file, base).read(at: offset + UInt64(done), into: piece)
            }
            done += part
        }
        return count
    }

    private func baseFile(_ file: WorkspaceInode, _ located: LocatedEntry) throws -> OpenFile {
        guard located.entry.file != nil else { throw VFSError.isADirectory }
        if let open = file.state.withLock({ $0.baseFile }) { return open }
        let open = OpenFile(map: try repository.lists.map(of: located), fetcher: fetcher)
        file.state.withLock { $0.baseFile = open }
        return open
    }

    private func descriptor(_ file: WorkspaceInode, _ data: DataFileID, create: Bool) throws -> Descriptor {
        try file.state.withLock { state in
            if let open = state.descriptors[data] { return open }
            let open = Descriptor(try workspace.openData(data, create: create))
            if state.openCount > 0 { state.descriptors[data] = open }
            return open
        }
    }

    package func write(
        _ inode: InodeNumber, at offset: UInt64, _ bytes: UnsafeRawBufferPointer
    ) throws(VFSError) -> Int {
        try gate.pass { () throws(VFSError) in
            try reportingFailures(logger, "writing inode \(inode.value)") {
                let end = offset.addingReportingOverflow(UInt64(bytes.count))
                guard !end.overflow, end.partialValue <= UInt64(Int64.max) else { throw VFSError.fileTooLarge }
                let (file, data) = try writable(inode)
                let descriptor = try descriptor(file, data, create: true)
                let written = try writeFully(descriptor.number, at: offset, bytes, data)
                file.state.withLock { state in
                    guard case .staged(var node) = state.backing, var content = node.content else { return }
                    // Taken out first: the ranges are then changed in place instead of copied.
                    state.backing = .staged(StagedNode(kind: .directory, mode: 0, modified: node.modified))
                    node.kind = .directory
                    content.wrote(start: offset, end: offset + UInt64(written), data: data)
                    node.kind = .file(content)
                    node.modified = now()
                    state.backing = .staged(node)
                    state.isDirty = true
                }
                return written
            }
        }
    }

    /// The inode, staged and with a data file that takes writes.
    private func writable(_ inode: InodeNumber) throws -> (WorkspaceInode, DataFileID) {
        try table.withLock { table in
            let file = try current(&table, inode)
            if let target = file.backing.node?.content?.writeTarget { return (file, target) }
            return try transaction { overlay in
                let node = try stage(&table, overlay, file)
                guard node.content != nil else { throw VFSError.isADirectory }
                let target = try overlay.nextDataFile()
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
        var done = 0
        while done < bytes.count {
            let count = pwrite(
                descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done, off_t(offset) + off_t(done))
            if count > 0 {
                done += count
            } else if count < 0, errno == EINTR {
                continue
            } else if done > 0 {
                return done
            } else {
                throw WorkspaceError.localIO(path: workspace.dataPath(data), errno: errno)
            }
        }
        return done
    }

    package func setAttributes(
        _ inode: InodeNumber, _ changes: AttributeChanges
    ) throws(VFSError) -> FileAttributes {
        try gate.pass { () throws(VFSError) in
            try reportingFailures(logger, "changing attributes of inode \(inode.value)") {
                try table.withLock { table in
                    let file = try current(&table, inode)
                    try checkOwner(changes, file.attributes.owner)
                    return try transaction { overlay in
                        _ = try stage(&table, overlay, file)
                        return try file.state.withLock { state in
                            guard var node = state.backing.node else { throw VFSError.inputOutput }
                            try apply(changes, to: &node)
                            node.change = try overlay.nextChange()
                            try overlay.update(node)
                            state.backing = .staged(node)
                            state.isDirty = false
                            return state.backing.attributes(inode)
                        }
                    }
                }
            }
        }
    }

    private func apply(_ changes: AttributeChanges, to node: inout StagedNode) throws {
        if let mode = changes.mode { node.mode = mode }
        if let size = changes.sizeBytes {
            guard var content = node.content else { throw VFSError.isADirectory }
            guard size <= UInt64(Int64.max) else { throw VFSError.fileTooLarge }
            content.resize(to: size)
            node.kind = .file(content)
            node.modified = now()
        }
        if let modified = changes.modified { node.modified = modified }
    }

    /// Who owns a file is not recorded yet: asking for the present owner is granted, for another refused.
    private func checkOwner(_ changes: AttributeChanges, _ owner: Owner?) throws {
        if let user = changes.userID, user != owner?.userID ?? getuid() { throw VFSError.notPermitted }
        if let group = changes.groupID, group != owner?.groupID ?? getgid() { throw VFSError.notPermitted }
    }

    package func setAttribute(
        _ inode: InodeNumber, _ name: [UInt8], _ value: [UInt8], mustExist: Bool, mustNotExist: Bool
    ) throws(VFSError) {
        guard name.starts(with: "user.".utf8) else { throw .notSupported }
        guard !name.starts(with: TarnAttribute.prefix.utf8) else { throw .notPermitted }
        guard value.count <= 65_536 else { throw .noSpace }
        try changeAttributes(inode) { attributes in
            let known = attributes.firstIndex { $0.name == name }
            if mustExist, known == nil { throw VFSError.noAttribute }
            if mustNotExist, known != nil { throw VFSError.exists }
            if let known { attributes.remove(at: known) }
            attributes.append(ExtendedAttribute(name: name, value: value))
            attributes.sort { compareBytes($0.name, $1.name) < 0 }
        }
    }

    package func removeAttribute(_ inode: InodeNumber, _ name: [UInt8]) throws(VFSError) {
        try changeAttributes(inode) { attributes in
            guard let known = attributes.firstIndex(where: { $0.name == name }) else { throw VFSError.noAttribute }
            attributes.remove(at: known)
        }
    }

    private func changeAttributes(
        _ inode: InodeNumber, _ change: (inout [ExtendedAttribute]) throws -> Void
    ) throws(VFSError) {
        try gate.pass { () throws(VFSError) in
            try reportingFailures(logger, "changing attributes of inode \(inode.value)") {
                try table.withLock { table in
                    let file = try current(&table, inode)
                    try transaction { overlay in
                        _ = try stage(&table, overlay, file)
                        try file.state.withLock { state in
                            guard var node = state.backing.node else { throw VFSError.inputOutput }
                            try change(&node.attributes)
                            node.change = try overlay.nextChange()
                            try overlay.update(node)
                            state.backing = .staged(node)
                            state.isDirty = false
                        }
                    }
                }
            }
        }
    }

    // MARK: Durability

    package func flush(_ inode: InodeNumber) throws(VFSError) {
        try gate.pass { () throws(VFSError) in try flushFile(inode) }
    }

    private func flushFile(_ inode: InodeNumber) throws(VFSError) {
        try reportingFailures(logger, "flushing inode \(inode.value)") {
            guard let file = table.withLock({ $0.inodes[inode] }) else { return }
            try persist(file)
        }
    }

    /// Notes in the workspace what was written to a file.
    func persist(_ file: WorkspaceInode) throws {
        try file.state.withLock { state in
            guard state.isDirty, case .staged(var node) = state.backing else { return }
            // Over old content a range that reached the disk before its bytes would show zeros after power loss.
            if node.content?.base != nil { try syncData(state.descriptors) }
            node.change = try transaction { overlay in
                var node = node
                node.change = try overlay.nextChange()
                try overlay.update(node)
                return node.change
            }
            state.backing = .staged(node)
            state.isDirty = false
        }
    }

    package func sync(_ inode: InodeNumber) throws(VFSError) {
        try gate.pass { () throws(VFSError) in
            try reportingFailures(logger, "fsync of inode \(inode.value)") {
                let file = try table.withLock { try current(&$0, inode) }
                let descriptors = try openData(of: file)
                try syncData(descriptors)
                try persist(file)
                try workspace.makeDurable()
            }
        }
    }

    /// The data files that hold a file's staged bytes.
    private func openData(of file: WorkspaceInode) throws -> [DataFileID: Descriptor] {
        let used = Set(file.backing.node?.content?.ranges.ranges.map(\.data) ?? [])
        var open: [DataFileID: Descriptor] = [:]
        for data in used { open[data] = try descriptor(file, data, create: false) }
        return open
    }

    private func syncData(_ descriptors: [DataFileID: Descriptor]) throws {
        for (data, descriptor) in descriptors {
            guard fdatasync(descriptor.number) == 0 else {
                throw WorkspaceError.localIO(path: workspace.dataPath(data), errno: errno)
            }
        }
    }

    func transaction<Result>(_ body: (Overlay) throws -> Result) throws -> Result {
        try workspace.write(body)
    }
}
