import ObjectDatabase
import ProllyTree
package import Versioning

/// The lines for changes between two trees. A file that went and one of the same content that came are one rename, and a
/// directory whose files all went to one that came is one line. A directory of which only the time moved (because names
/// in it came or went) is not listed.
///
/// Cost: proportional to the changes.
package func summarize(_ changes: [PathChange]) -> [ChangeLine] {
    var lines: [ChangeLine] = []
    var renames = RenameDetection()
    for change in changes {
        switch (change.old?.entry, change.new?.entry) {
        case (nil, .some): renames.added.append(change)
        case (.some, nil): renames.deleted[change.path] = change
        case (.some(let old), .some(let new)):
            if old.isDirectory, old.differsOnlyInTime(from: new) { continue }
            lines.append(ChangeLine(change.isAttributesOnly ? .attributes : .modified, change))
        case (nil, nil): continue
        }
    }
    return (lines + renames.lines()).sorted { $0.path < $1.path }
}

/// Pairs what went with what came.
private struct RenameDetection {
    var added: [PathChange] = []
    var deleted: [TreePath: PathChange] = [:]
    /// Where the files of a directory that came were before.
    private var sources: [TreePath: TreePath] = [:]
    private var renamed: [(change: PathChange, from: TreePath)] = []

    mutating func lines() -> [ChangeLine] {
        added.sort { $0.path < $1.path }
        let wholeAdded = added
        // Twice: files that tell nothing by themselves (empty ones) go by what their neighbours told.
        for _ in 0..<2 { pairFiles() }
        let directories = pairDirectories(wholeAdded)
        var lines = directories.compactMap { to, pair -> ChangeLine? in
            isTold(pair.from, to, directories) ? nil : ChangeLine(.renamed, pair.change, from: pair.from)
        }
        for (change, from) in renamed where !isTold(from, change.path, directories) {
            lines.append(ChangeLine(.renamed, change, from: from))
        }
        for directory in directories.values { deleted[directory.from] = nil }
        lines += added.filter { directories[$0.path] == nil }.map { ChangeLine(.added, $0) }
        return lines + deleted.values.map { ChangeLine(.deleted, $0) }
    }

    /// Whether the rename is one of a directory's own, with the name kept.
    private func isTold(
        _ from: TreePath, _ to: TreePath, _ directories: [TreePath: (change: PathChange, from: TreePath)]
    ) -> Bool {
        guard let parent = to.parent, from.name == to.name, let pair = directories[parent] else { return false }
        return pair.from == from.parent
    }

    private mutating func pairFiles() {
        var byContent: [Clue: [TreePath]] = [:]
        for (path, change) in deleted {
            guard let file = change.old?.entry.file, file.sizeBytes > 0 else { continue }
            byContent[Clue(content: file.contentID, name: nil), default: []].append(path)
            byContent[Clue(content: file.contentID, name: path.name), default: []].append(path)
        }
        var unpaired: [PathChange] = []
        for change in added {
            if let file = change.new?.entry.file, let from = source(of: change, file, &byContent) {
                deleted[from] = nil
                renamed.append((change, from))
                learn(from.parent, change.path.parent)
            } else {
                unpaired.append(change)
            }
        }
        added = unpaired
    }

    /// The deleted file of the same content: that of the same name in the directory where the neighbours came from, else
    /// one of the same name, else any. An empty file says nothing by itself.
    private func source(of change: PathChange, _ file: FileContent, _ byContent: inout [Clue: [TreePath]]) -> TreePath?
    {
        if let directory = change.path.parent.flatMap(source(ofDirectory:)) {
            let neighbour = directory.appending(change.path.name)
            if deleted[neighbour]?.old?.entry.file?.contentID == file.contentID { return neighbour }
        }
        for name in [change.path.name, nil] {
            let clue = Clue(content: file.contentID, name: name)
            while let candidate = byContent[clue]?.popLast() {
                if deleted[candidate] != nil { return candidate }
            }
        }
        return nil
    }

    private struct Clue: Hashable {
        let content: ContentID
        let name: EntryName?
    }

    /// Where a directory's files came from, as far as it is known of it or of one above.
    private func source(ofDirectory path: TreePath) -> TreePath? {
        var next: TreePath? = path
        while let directory = next {
            if let known = sources[directory] { return path.relative(to: directory).map(known.appending(path:)) }
            next = directory.parent
        }
        return nil
    }

    /// Notes where a directory's files came from, and by their names the directories above.
    private mutating func learn(_ from: TreePath?, _ to: TreePath?) {
        var pair = (from, to)
        while case (let from?, let to?) = pair, sources[to] == nil {
            sources[to] = from
            guard from.name == to.name, !to.isRoot else { return }
            pair = (from.parent, to.parent)
        }
    }

    /// Directories that came, by the ones that went of which they hold the files.
    private func pairDirectories(_ added: [PathChange]) -> [TreePath: (change: PathChange, from: TreePath)] {
        var pairs: [TreePath: (change: PathChange, from: TreePath)] = [:]
        for change in added where change.new?.entry.isDirectory == true {
            guard let from = source(ofDirectory: change.path), deleted[from]?.old?.entry.isDirectory == true else {
                continue
            }
            pairs[change.path] = (change, from)
        }
        return pairs
    }
}
