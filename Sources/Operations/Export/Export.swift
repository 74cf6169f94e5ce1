import BlockingIO
import Glibc
import ObjectDatabase
import ProllyTree
package import Versioning

extension Repository {
    /// Writes the tree below `path` of a commit into the local directory `destination`, which must not exist or be
    /// empty; a single file becomes a file of that name. Contents are verified; modes, times, links, holes and
    /// attributes are restored.
    ///
    /// - Parameter report: called with each path when it is written; from several threads.
    package func export(
        _ commit: Commit, path: TreePath, named revision: String, to destination: String,
        report: @escaping @Sendable (TreePath, UInt64) -> Void = { _, _ in }
    ) throws {
        try database.refreshCacheTrust()
        let top = try database.entry(at: path, in: commit, named: revision)
        let target = Array(destination.utf8)
        guard top.entry.isDirectory else {
            try writeEntry(top, to: target)
            return report(path, top.entry.sizeBytes)
        }
        try makeEmptyDirectory(target)
        var directories: [(path: [UInt8], entry: Entry)] = [(target, top.entry)]
        var made: Set<TreePath> = [path]
        var files: [ExportedFile] = []
        func flushFiles() throws {
            try concurrently(neighbours(files), threads: database.ioThreads) { run in
                // What cannot be had together is asked for one by one, which also finds what has moved.
                let fetched = run.count > 1 ? try? self.database.blocks.fetch(run.compactMap(\.onlyBlock)) : nil
                for file in run {
                    try self.writeEntry(file.entry, to: file.path, having: fetched ?? [:])
                    report(path, file.entry.entry.sizeBytes)
                }
            }
            files.removeAll(keepingCapacity: true)
        }
        // Keys list a directory's children before anything deeper, so a parent always exists before its children.
        try database.tree(commit.tree).forEachDescendant(of: path) { child, located in
            guard let relative = child.relative(to: path) else { return true }
            // Else a damaged or hostile tree could write through a link, out of the target.
            guard let parent = child.parent, made.contains(parent) else {
                throw ObjectDatabaseError.corrupt(object: "the entry \(child)", reason: "its parent is no directory")
            }
            if located.entry.isDirectory { made.insert(child) }
            let local = target + [UInt8(ascii: "/")] + relative.bytes
            if located.entry.isDirectory {
                guard withCPath(local, { mkdir($0, 0o700) }) == 0 else { throw localFailure(printableName(local)) }
                directories.append((local, located.entry))
            } else {
                files.append(ExportedFile(path: local, entry: located))
                if files.count >= 1024 { try flushFiles() }
            }
            return true
        }
        try flushFiles()
        // Deepest first: setting a child's times would change its parent's.
        for directory in directories.reversed() { try applyAttributes(directory.entry, to: directory.path) }
    }

    private func makeEmptyDirectory(_ path: [UInt8]) throws {
        if withCPath(path, { mkdir($0, 0o700) }) == 0 { return }
        guard lastErrno() == EEXIST else { throw localFailure(printableName(path)) }
        var scanner = DirectoryScanner(root: path)
        guard try scanner.nextDirectory()?.isEmpty == true else {
            throw ObjectDatabaseError.sourceUnusable(path: printableName(path), reason: "it exists and is not empty")
        }
    }

    /// Runs of files of one block that lie near each other in a pack and not in the cache, at most `runBytes`; every other
    /// file by itself.
    private func neighbours(_ files: [ExportedFile]) -> [[ExportedFile]] {
        var others: [[ExportedFile]] = []
        var placed: [(file: ExportedFile, extent: Extent)] = []
        for file in files {
            if let block = file.onlyBlock, !database.blocks.isLocal(block) {
                placed.append((file, block.extent))
            } else {
                others.append([file])
            }
        }
        placed.sort { $0.extent.storageOrder < $1.extent.storageOrder }
        let runs = BlockReader.runs(placed, limitBytes: Self.runBytes) { $0.extent }
        return others + runs.map { $0.map(\.file) }
    }

    /// What one GET brings for an export.
    private static let runBytes = 2 << 20

    private func writeEntry(
        _ located: LocatedEntry, to path: [UInt8], having known: [BlockID: [UInt8]] = [:]
    ) throws {
        switch located.entry.kind {
        case .directory: preconditionFailure("directories are made by the walk")
        case .symlink(let target):
            let made = withCPath(target) { target in withCPath(path) { symlink(target, $0) } }
            guard made == 0 else { throw localFailure(printableName(path)) }
        case .file:
            let descriptor = withCPath(path) { open($0, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600) }
            guard descriptor >= 0 else { throw localFailure(printableName(path)) }
            defer { close(descriptor) }
            try writeContents(of: located, having: known, to: descriptor, path: path)
        }
        try applyAttributes(located.entry, to: path)
    }

    private func writeContents(
        of located: LocatedEntry, having known: [BlockID: [UInt8]], to descriptor: Int32, path: [UInt8]
    ) throws {
        try forEachBlock(of: located, having: known) { offset, bytes in
            guard let bytes else { return }  // zeros: left as a hole
            do {
                try bytes.withUnsafeBytes { try writeFully(descriptor, at: offset, $0) }
            } catch let failure as Errno {
                throw ObjectDatabaseError.localIO(path: printableName(path), errno: failure.code)
            }
        }
        guard ftruncate(descriptor, off_t(located.entry.sizeBytes)) == 0 else {
            throw localFailure(printableName(path))
        }
    }

    /// Calls `body` with a file's blocks in order, verified, from the host's cache where they are there; `nil` bytes stand
    /// for zeros.
    ///
    /// - Parameter known: blocks that were fetched already.
    package func forEachBlock(
        of located: LocatedEntry, having known: [BlockID: [UInt8]] = [:], _ body: (UInt64, [UInt8]?) throws -> Void
    ) throws {
        let map = try database.lists.map(of: located)
        for (placed, start) in zip(map.list.blocks, map.starts) {
            try body(start, placed.isZeros ? nil : known[placed.block.id] ?? database.blocks.whole(placed))
        }
    }

    private func applyAttributes(_ entry: Entry, to path: [UInt8]) throws {
        if let owner = entry.owner, geteuid() == 0 {
            guard withCPath(path, { lchown($0, owner.userID, owner.groupID) }) == 0 else {
                throw localFailure(printableName(path))
            }
        }
        if case .symlink = entry.kind {
        } else {
            try setUserAttributes(entry.attributes, on: path)
            guard withCPath(path, { chmod($0, mode_t(entry.mode)) }) == 0 else {
                throw localFailure(printableName(path))
            }
        }
        let time = entry.modified.timespec
        guard withCPath(path, { utimensat(AT_FDCWD, $0, [time, time], AT_SYMLINK_NOFOLLOW) }) == 0 else {
            throw localFailure(printableName(path))
        }
    }
}

/// A file or link that is to be written.
private struct ExportedFile: Sendable {
    let path: [UInt8]
    let entry: LocatedEntry

    /// The block of a file that has just one, inline, which is not all zeros.
    var onlyBlock: PlacedBlock? {
        guard let blocks = entry.inlineList?.blocks, blocks.count == 1, !blocks[0].isZeros else { return nil }
        return blocks[0]
    }
}
