import ArgumentParser
import BlockingIO
import ObjectDatabase
import Operations
import ProllyTree
import Staging
import Versioning

struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what is staged in a writable mount.",
        discussion:
            "A: added, M: modified, D: deleted, R: renamed, a: mode or attributes only. Conflicts are marked C; pipes, sockets and devices, which no commit takes, are marked -."
    )

    @OptionGroup var arguments: WorkspaceArguments
    @OptionGroup var json: JSONArguments

    func run() throws {
        let open = try OpenWorkspace(arguments)
        try open.flush()
        try open.telling { try show(open) }
    }

    private func show(_ open: OpenWorkspace) throws {
        let lines = try open.repository.stagedLines(open.workspace)
        let conflicts = try open.workspace.conflicts().filter { $0.resolution == nil }
        let base = try open.workspace.base()
        let special = try open.workspace.read { try $0.specialFiles() }
        struct Result: Encodable {
            let branch: String
            let base: String
            let workspace: String
            let changes: [ChangeJSON]
            let conflicts: [ConflictJSON]
            /// Pipes, sockets and devices: they stay in the workspace.
            let notCommitted: [JSONPath]
            /// The file whose sync failed: nothing is committed until the workspace is mounted again.
            let failedSync: String?
        }
        struct ConflictJSON: Encodable {
            let path: JSONPath
            let reason: String
        }
        let result = Result(
            branch: open.workspace.info.branch, base: base.hex, workspace: open.workspace.directory,
            changes: lines.map(ChangeJSON.init),
            conflicts: conflicts.map {
                ConflictJSON(path: JSONPath($0.path), reason: $0.reason.words(from: .incoming))
            },
            notCommitted: special.map { JSONPath($0.path) }, failedSync: open.workspace.failedSync?.path)
        let output = json.output
        try output.show(result) {
            var text: [TerminalText] = ["On branch \(result.branch), based on \(base.hex.prefix(12))"]
            if let failed = open.workspace.failedSync {
                text.append(
                    output.paint(
                        "The disk failed to keep what was written to \(failed.path) (\(Errno(code: failed.errno).text)).",
                        .red))
            }
            if lines.isEmpty { text.append("Nothing is staged.") }
            text += lines.map { changeText($0, output) }
            text += special.map { "-  \($0.path)  (\($0.kind.words): stays here, is not committed)" }
            if !conflicts.isEmpty {
                text.append(
                    "\nConflicts (tarn resolve PATH --ours|--theirs|--base, or edit the file, then commit):"
                )
                text += conflicts.map { output.paint("C  \($0.path)  (\($0.reason.words(from: .incoming)))", .red) }
            }
            return text.joined(separator: "\n")
        }
    }
}

extension SpecialKind {
    var words: String {
        switch self {
        case .pipe: "a pipe"
        case .socket: "a socket"
        case .characterDevice, .blockDevice: "a device"
        }
    }
}

struct ChangeJSON: Encodable {
    let change: String
    let path: JSONPath
    let from: JSONPath?
    let isDirectory: Bool
    let oldSizeBytes: UInt64?
    let newSizeBytes: UInt64?

    init(_ line: ChangeLine) {
        change = line.kind.rawValue
        path = JSONPath(line.path)
        from = line.from.map(JSONPath.init)
        isDirectory = line.isDirectory
        oldSizeBytes = line.oldSizeBytes
        newSizeBytes = line.newSizeBytes
    }
}

/// One change on one line: letter, path, size.
func changeText(_ line: ChangeLine, _ output: Output) -> TerminalText {
    let path: TerminalText = "\(line.path)\(line.isDirectory ? "/" : "")"
    let sizes: TerminalText =
        switch (line.oldSizeBytes, line.newSizeBytes) {
        case _ where line.isDirectory: ""
        case (nil, .some(let size)): "  \(humanSize(size))"
        case (.some(let old), .some(let new)) where old != new: "  \(humanSize(old)) → \(humanSize(new))"
        default: ""
        }
    return switch line.kind {
    case .added: output.paint("A  \(path)\(sizes)", .green)
    case .modified: output.paint("M  \(path)\(sizes)", .yellow)
    case .attributes: output.paint("a  \(path)", .yellow)
    case .deleted: output.paint("D  \(path)", .red)
    case .renamed: output.paint("R  \(line.from.map { "\($0)" } ?? "") → \(path)", .blue)
    }
}
