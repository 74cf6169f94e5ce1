import BlockingIO
import Glibc
import ObjectDatabase
import ProllyTree
package import Versioning

package struct ExportOptions: Sendable {
    /// Restore set-user-ID, set-group-ID and sticky bits.
    package var restoresSpecialModes = false
    /// Restore attributes outside `user.*`, too: `security.*`, `trusted.*`, `system.*`. Tarn's own are never written.
    package var restoresAllAttributes = false

    package init() {}
}

extension Repository {
    /// Writes the tree below `path` of a commit into the local directory `destination`, which must not exist or be
    /// empty; a single file becomes a file of that name. Contents are verified; modes, times, links, holes and
    /// attributes are restored, but what gives privileges only if `options` say so. No link that somebody puts into the
    /// directory meanwhile is followed.
    ///
    /// - Parameter report: called with each path when it is written; from several threads.
    package func export(
        _ commit: Commit, path: TreePath, named revision: String, to destination: String,
        options: ExportOptions = ExportOptions(),
        report: @escaping @Sendable (TreePath, UInt64) -> Void = { _, _ in }
    ) throws {
        try database.refreshCacheTrust()
        let top = try database.entry(at: path, in: commit, named: revision)
        let name = unescapedBytes(destination)
        guard top.entry.isDirectory else {
            try write(top, ExportPlace(directory: AT_FDCWD, name: name, shown: printableName(name)), options)
            return report(path, top.entry.sizeBytes)
        }
        let target = try ExportTarget(name)
        var directories: [(path: [UInt8], entry: Entry)] = [([], top.entry)]
        var made: Set<TreePath> = [path]
        var files: [ExportedFile] = []
        func flushFiles() throws {
            try concurrently(neighbours(files), threads: database.ioThreads) { run in
                // What cannot be had together is asked for one by one, which also finds what has moved.
                let fetched = run.count > 1 ? try? self.database.blocks.fetch(run.compactMap(\.onlyBlock)) : nil
                for file in run {
                    try target.withPlace(of: file.path) {
                        try self.write(file.entry, $0, options, having: fetched ?? [:])
                    }
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
            if located.entry.isDirectory {
                made.insert(child)
                try target.withPlace(of: relative.bytes) { try $0.makeDirectory() }
                directories.append((relative.bytes, located.entry))
            } else {
                files.append(ExportedFile(path: relative.bytes, entry: located))
                if files.count >= 1024 { try flushFiles() }
            }
            return true
        }
        try flushFiles()
        // Deepest first: setting a child's times would change its parent's.
        for directory in directories.reversed() {
            try target.withDirectory(directory.path) { descriptor, place in
                try restore(directory.entry, descriptor, place, options)
            }
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

    private func write(
        _ located: LocatedEntry, _ place: ExportPlace, _ options: ExportOptions, having known: [BlockID: [UInt8]] = [:]
    ) throws {
        switch located.entry.kind {
        case .directory: preconditionFailure("directories are made by the walk")
        case .symlink(let target): try place.makeLink(to: target, located.entry)
        case .file:
            try place.withNewFile { descriptor in
                try writeContents(of: located, having: known, to: descriptor, place)
                try restore(located.entry, descriptor, place, options)
            }
        }
    }

    private func writeContents(
        of located: LocatedEntry, having known: [BlockID: [UInt8]], to descriptor: Int32, _ place: ExportPlace
    ) throws {
        try forEachBlock(of: located, having: known) { offset, bytes in
            guard let bytes else { return }  // zeros: left as a hole
            do {
                try bytes.withUnsafeBytes { try writeFully(descriptor, at: offset, $0) }
            } catch let failure as Errno {
                throw ObjectDatabaseError.localIO(path: place.shown, errno: failure.code)
            }
        }
        guard ftruncate(descriptor, off_t(located.entry.sizeBytes)) == 0 else { throw place.failure() }
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

    /// Owner, attributes, mode and time of an open file or directory.
    private func restore(_ entry: Entry, _ descriptor: Int32, _ place: ExportPlace, _ options: ExportOptions) throws {
        if let owner = entry.owner, geteuid() == 0 {
            guard fchown(descriptor, owner.userID, owner.groupID) == 0 else { throw place.failure() }
        }
        let attributes = entry.attributes.filter {
            options.restoresAllAttributes ? !ExtendedAttribute.isOwn($0.name) : ExtendedAttribute.isUsers($0.name)
        }
        do throws(Errno) {
            try setAttributes(attributes, of: descriptor)
        } catch {
            throw ObjectDatabaseError.localIO(path: place.shown, errno: error.code)
        }
        let mode = entry.mode & (options.restoresSpecialModes ? 0o7777 : 0o777)
        guard fchmod(descriptor, mode_t(mode)) == 0 else { throw place.failure() }
        let time = entry.modified.timespec
        guard futimens(descriptor, [time, time]) == 0 else { throw place.failure() }
    }
}

/// A file or link that is to be written.
private struct ExportedFile: Sendable {
    /// Below the target.
    let path: [UInt8]
    let entry: LocatedEntry

    /// The block of a file that has just one, inline, which is not all zeros.
    var onlyBlock: PlacedBlock? {
        guard let blocks = entry.inlineList?.blocks, blocks.count == 1, !blocks[0].isZeros else { return nil }
        return blocks[0]
    }
}
