import ObjectDatabase
import Operations
import ProllyTree
import TestSupport
import Testing
import Versioning

/// A file of the model; a reference, as a name and open handles share it.
final class ModelFile {
    var bytes: [UInt8]
    var mode: UInt16

    init(bytes: [UInt8] = [], mode: UInt16) {
        self.bytes = bytes
        self.mode = mode
    }
}

enum ModelEntry {
    case file(ModelFile)
    case directory(mode: UInt16)
    case link(String)

    var isDirectory: Bool {
        if case .directory = self { return true }
        return false
    }

    /// What two equal entries have in common.
    var summary: ModelSummary {
        switch self {
        case .file(let file): .file(file.bytes, file.mode)
        case .directory(let mode): .directory(mode)
        case .link(let target): .link(target)
        }
    }
}

enum ModelSummary: Hashable, CustomStringConvertible {
    case file([UInt8], UInt16)
    case directory(UInt16)
    case link(String)

    var description: String {
        switch self {
        case .file(let bytes, let mode): "file of \(bytes.count) bytes \(bytes.prefix(6)), mode \(mode)"
        case .directory(let mode): "directory, mode \(mode)"
        case .link(let target): "link to \(target)"
        }
    }
}

/// What a file system should hold: entries by path, the root left out.
struct ModelTree {
    private(set) var entries: [String: ModelEntry] = [:]

    subscript(_ path: String) -> ModelEntry? {
        get { entries[path] }
        set { entries[path] = newValue }
    }

    func isDirectory(_ path: String) -> Bool { path.isEmpty || entries[path]?.isDirectory == true }

    func hasChildren(_ path: String) -> Bool { entries.keys.contains { $0.hasPrefix(path + "/") } }

    var directories: [String] { [""] + entries.filter { $0.value.isDirectory }.keys.sorted() }

    var files: [String] {
        entries.filter { if case .file = $0.value { true } else { false } }.keys.sorted()
    }

    var paths: [String] { entries.keys.sorted() }

    /// Moves a path with everything below it over whatever was there.
    mutating func rename(_ old: String, to new: String) {
        let moved = entries.filter { $0.key == old || $0.key.hasPrefix(old + "/") }
        for key in moved.keys { entries[key] = nil }
        for (key, entry) in moved { entries[new + key.dropFirst(old.count)] = entry }
    }

    /// What the tree holds now, as values.
    var snapshot: [String: ModelSummary] { entries.mapValues(\.summary) }
}

/// What a commit holds, as the model says it, and whether its counts are right.
func summarize(_ repository: Repository, _ id: CommitID) throws -> [String: ModelSummary] {
    var found: [String: ModelSummary] = [:]
    var counts = Commit.Counts(directories: 1)
    let commit = try repository.database.commit(id)
    try repository.database.tree(commit.tree).forEachDescendant(of: .root) { path, located in
        counts.add(located.entry, sign: 1)
        switch located.entry.kind {
        case .directory: found["\(path)"] = .directory(located.entry.mode)
        case .symlink(let target): found["\(path)"] = .link(String(decoding: target, as: UTF8.self))
        case .file: found["\(path)"] = .file(try repository.contents(of: located), located.entry.mode)
        }
        return true
    }
    #expect(counts == commit.counts, "the counts of commit \(id)")
    return found
}

/// The paths at which two trees differ, in words.
func differences(_ found: [String: ModelSummary], _ wanted: [String: ModelSummary]) -> [String] {
    Set(found.keys).union(wanted.keys).sorted().compactMap { path in
        if found[path] == wanted[path] { return nil }
        return "\(path): found \(found[path]?.description ?? "nothing"), not \(wanted[path]?.description ?? "nothing")"
    }
}
