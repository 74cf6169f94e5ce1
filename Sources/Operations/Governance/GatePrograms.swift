import ObjectDatabase
import ProllyTree
package import Versioning

/// The files of a tree that its gates run or load, and so what a user trusts together with the commands: all of `.tarn/`; what
/// the hooks file names as `programs`; each directory that a command names, and each file, with the directory that it lies in
/// (programs load what lies beside them).
///
/// Which files these are, and what is in them, is in the digest: whoever changes one must be trusted anew.
package struct GatePrograms: Hashable, Sendable {
    package struct File: Hashable, Sendable {
        package let path: TreePath
        package let content: ContentID
        fileprivate let isExecutable: Bool
    }

    /// Ascending by path.
    package let files: [File]
    /// The directories that were covered as a whole: where programs may load from.
    package let directories: [TreePath]
    /// SHA-256 over paths, content ids and execute bits.
    package let digest: ContentID

    static let none = GatePrograms([], [])
    private static let directory = ".tarn"
    /// Nobody reads more before trusting it.
    private static let maximumFiles = 10_000

    private init(_ files: some Sequence<File>, _ directories: [TreePath]) {
        self.directories = directories
        self.files = files.sorted { $0.path < $1.path }
        var bytes: [UInt8] = []
        for file in self.files {
            bytes += "\(file.content.hex) \(file.isExecutable ? "x" : "-") \(file.path.bytes.count) ".utf8
            bytes += file.path.bytes + [UInt8(ascii: "\n")]
        }
        digest = ContentID(hashing: bytes)
    }

    /// Throws `HookFault` when something that is named is not there, is no file or directory, or is too much to trust.
    init(of hooks: ParsedHooks, in tree: SnapshotTree) throws {
        var covered: Set<TreePath> = [try TreePath(parsing: Self.directory)]
        for path in hooks.programs {
            guard try Self.entry(path, in: tree) != nil else {
                throw HookFault(reason: "programs: there is no '\(path)' beside the hooks file")
            }
            covered.insert(path)
        }
        for hook in hooks.hooks {
            guard case .command(let command) = hook.action else { continue }
            covered.formUnion(try Self.named(by: command.text, in: tree))
        }
        var found: [TreePath: File] = [:]
        for path in covered {
            try Self.add(path, of: tree) { file in
                found[file.path] = file
                if found.count > Self.maximumFiles {
                    throw HookFault(
                        reason: "'\(path)' and other programs have more than \(Self.maximumFiles) files; "
                            + "name directories that hold programs only, and data as $TARN_MOUNT/\(path)")
                }
            }
        }
        self.init(
            found.values,
            try covered.filter { try tree.entry(at: $0)?.entry.isDirectory == true }.sorted { $0 < $1 })
    }

    /// What a shell command names in the tree that it starts in.
    private static func named(by command: String, in tree: SnapshotTree) throws -> [TreePath] {
        let words = command.split { !isPartOfPath($0) }.map(String.init)
        var paths: [TreePath] = []
        for word in words {
            let own = "TARN_GATE/"
            let text = word.hasPrefix(own) ? String(word.dropFirst(own.count)) : word
            // What leads out of the tree is the host's.
            guard let path = try? TreePath(parsing: text), !path.isRoot, let entry = try entry(path, in: tree) else {
                continue
            }
            if entry.entry.isDirectory {
                paths.append(path)
            } else {
                // Beside a file at the top lies everything.
                let directory = path.parent ?? .root
                paths.append(directory.isRoot ? path : directory)
            }
        }
        return paths
    }

    /// Letters, digits and signs that shells do not split words at.
    private static func isPartOfPath(_ character: Character) -> Bool {
        guard let byte = character.asciiValue else { return true }
        return byte > 0x20 && byte != 0x7f && !"\"'`$(){}[]<>|&;=:,*?!\\#~".contains(character)
    }

    /// The entry at a path; `nil` when there is none. A link on the way would lead to a file that nobody has looked at.
    private static func entry(_ path: TreePath, in tree: SnapshotTree) throws -> LocatedEntry? {
        var parent = TreePath.root
        var found: LocatedEntry?
        for name in path.components {
            parent = parent.appending(name)
            guard let next = try tree.entry(at: parent) else { return nil }
            if case .symlink = next.entry.kind {
                throw HookFault(
                    reason: "'\(parent)' is a symbolic link; programs of gates are files of the tree itself")
            }
            found = next
        }
        return found
    }

    private static func add(_ path: TreePath, of tree: SnapshotTree, _ body: (File) throws -> Void) throws {
        func visit(_ path: TreePath, _ entry: Entry) throws {
            if entry.isDirectory { return }
            guard let content = entry.file?.contentID else {
                throw HookFault(reason: "'\(path)' is no file, and what gates run must be files")
            }
            try body(File(path: path, content: content, isExecutable: entry.mode & 0o111 != 0))
        }
        guard let top = try tree.entry(at: path)?.entry else { return }
        guard top.isDirectory else { return try visit(path, top) }
        try tree.forEachDescendant(of: path) { path, located in
            try visit(path, located.entry)
            return true
        }
    }
}
