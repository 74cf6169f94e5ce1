import ArgumentParser
import BlockingIO
import Glibc
import ObjectDatabase
import Operations
import ProllyTree
import Versioning

/// `REV[:PATH]` on the command line, found in the repository.
private struct Located {
    let commit: Commit
    let commitID: CommitID
    let path: TreePath
    let entry: LocatedEntry

    init(_ text: String, _ repository: Repository) throws {
        let (revision, path) = try splitRevisionPath(text)
        let found = try repository.database.resolve(revision)
        commit = found.commit
        commitID = found.commitID
        self.path = path
        entry = try repository.database.entry(at: path, in: found.commit, named: revision)
    }
}

private struct EntryJSON: Encodable {
    let path: JSONPath
    /// The path for people, safe for a terminal.
    let text: String
    let kind: String
    let mode: String
    let sizeBytes: UInt64
    let modified: String
    let content: String?
    let target: String?

    private enum CodingKeys: CodingKey {
        case path, kind, mode, sizeBytes, modified, content, target
    }

    init(_ path: TreePath, _ entry: Entry) {
        self.path = JSONPath(path)
        text = "\(path)"
        mode = String(entry.mode, radix: 8)
        sizeBytes = entry.sizeBytes
        modified = entry.modified.rfc3339
        content = entry.file?.contentID.hex
        switch entry.kind {
        case .file: (kind, target) = ("file", nil)
        case .directory: (kind, target) = ("directory", nil)
        case .symlink(let bytes): (kind, target) = ("symlink", printableName(bytes))
        }
    }
}

struct List: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "ls", abstract: "List a directory of a revision.")

    @Argument(help: "REV[:PATH] (default: the mounted revision, else main).") var revisionPath: String?
    @Flag(name: .shortAndLong, help: "Mode, size and time too.") var long = false
    @Flag(name: .shortAndLong, help: "Everything below.") var recursive = false
    @OptionGroup var repository: RepositoryArguments
    @OptionGroup var json: JSONArguments

    func run() throws {
        let repository = try repository.open()
        let located = try Located(revisionPath ?? self.repository.currentRevision(), repository)
        var entries: [EntryJSON] = []
        let tree = repository.database.tree(located.commit.tree)
        func add(_ path: TreePath, _ entry: LocatedEntry) -> Bool {
            entries.append(EntryJSON(path.relative(to: located.path) ?? path, entry.entry))
            return true
        }
        if !located.entry.entry.isDirectory {
            entries.append(EntryJSON(located.path, located.entry.entry))
        } else if recursive {
            try tree.forEachDescendant(of: located.path, add)
        } else {
            try tree.forEachChild(of: located.path, add)
        }
        let output = json.output
        try output.show(entries) {
            if long { return table(entries.map { row($0, output) }) }
            return entries.map { name($0, output) }.joined(separator: "\n")
        }
    }

    private func row(_ entry: EntryJSON, _ output: Output) -> [TerminalText] {
        let letter: TerminalText = entry.kind == "directory" ? "d" : entry.kind == "symlink" ? "l" : "-"
        return [
            "\(letter)\(entry.mode)", "\(humanSize(entry.sizeBytes))", "\(entry.modified.prefix(19))",
            name(entry, output),
        ]
    }

    private func name(_ entry: EntryJSON, _ output: Output) -> TerminalText {
        switch entry.kind {
        case "directory": output.paint("\(entry.text)/", .blue)
        case "symlink": "\(entry.text) -> \(entry.target ?? "")"
        default: "\(entry.text)"
        }
    }
}

struct Cat: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Write a file of a revision to standard output.")

    @Argument(help: "REV:PATH.") var revisionPath: String
    @OptionGroup var repository: RepositoryArguments

    func run() throws {
        let repository = try repository.open()
        try repository.database.refreshCacheTrust()
        let located = try Located(revisionPath, repository)
        guard located.entry.entry.file != nil else { throw RepositoryError.isADirectory(path: located.path) }
        let map = try repository.database.lists.map(of: located.entry)
        try repository.forEachBlock(of: located.entry) { offset, bytes in
            let index = map.blockIndex(at: offset)
            try StandardStreams.write(
                bytes: bytes ?? [UInt8](repeating: 0, count: Int(map.list.blocks[index].block.length)))
        }
    }
}

struct StatCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "stat", abstract: "Show what is recorded of a path.")

    @Argument(help: "REV[:PATH].") var revisionPath: String
    @OptionGroup var repository: RepositoryArguments
    @OptionGroup var json: JSONArguments

    func run() throws {
        let repository = try repository.open()
        let located = try Located(revisionPath, repository)
        let entry = EntryJSON(located.path, located.entry.entry)
        struct Result: Encodable {
            let commit: String
            let entry: EntryJSON
            let blocks: Int
        }
        let blocks = try repository.database.lists.map(of: located.entry).list.blocks.count
        try json.output.show(Result(commit: located.commitID.hex, entry: entry, blocks: blocks)) {
            var rows: [[TerminalText]] = [
                ["Path:", "\(located.path)"], ["Commit:", "\(located.commitID)"], ["Kind:", "\(entry.kind)"],
                ["Mode:", "\(entry.mode)"], ["Size:", "\(humanSize(entry.sizeBytes)) (\(entry.sizeBytes) bytes)"],
                ["Modified:", "\(entry.modified)"],
            ]
            if let content = entry.content { rows.append(["Content:", "\(content)"]) }
            if located.entry.entry.file != nil { rows.append(["Blocks:", "\(blocks)"]) }
            if let target = entry.target { rows.append(["Target:", "\(target)"]) }
            return table(rows)
        }
    }
}

struct Export: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Copy a revision, or a path of it, into a local directory.",
        discussion: """
            DIR must not exist or be empty. Every byte is verified; permissions, times, links, holes and user.* attributes are restored. \
            What gives privileges is left out, also for root, unless you ask for it: use the two flags only for a repository whose \
            writers you trust as you trust this host's root.
            """)

    @Argument(help: "REV[:PATH].") var revisionPath: String
    @Argument(help: "The directory to make; of a single file, the file.") var directory: String
    @Flag(name: .customLong("special-modes"), help: "Restore set-user-ID, set-group-ID and sticky bits.")
    var restoresSpecialModes = false
    @Flag(
        name: .customLong("all-xattrs"),
        help: "Restore extended attributes outside user.*, too: security.*, trusted.*, system.*.")
    var restoresAllAttributes = false
    @OptionGroup var repository: RepositoryArguments
    @OptionGroup var json: JSONArguments

    func run() throws {
        let repository = try repository.open()
        let located = try Located(revisionPath, repository)
        let done = Monitor((files: 0, bytes: UInt64(0), line: ProgressLine()))
        var options = ExportOptions()
        options.restoresSpecialModes = restoresSpecialModes
        options.restoresAllAttributes = restoresAllAttributes
        try repository.export(
            located.commit, path: located.path, named: revisionPath, to: directory, options: options
        ) { _, size in
            done.update { done in
                done.files += 1
                done.bytes += size
                if done.files.isMultiple(of: 100) {
                    done.line.show("\(count(done.files, "file")), \(humanSize(done.bytes))")
                }
            }
        }
        struct Result: Encodable {
            let commit: String
            let files: Int
            let bytes: UInt64
        }
        let result = done.update { done in
            done.line.clear()
            return Result(commit: located.commitID.hex, files: done.files, bytes: done.bytes)
        }
        try json.output.show(result) {
            "Exported \(count(result.files, "file")) (\(humanSize(result.bytes))) of \(result.commit.prefix(12)) to \(directory)"
        }
    }
}
