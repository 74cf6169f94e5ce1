import ArgumentParser
import ErrorMessages
import ObjectDatabase
import Operations
import ProllyTree
import Staging
import Versioning

struct Update: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Put what is staged on top of the branch's present head.",
        discussion: """
            What others have committed since shows in the mount, and your changes stay staged. A path that both changed, in ways that \
            do not go together, is a conflict (exit code 3): the mount shows your version; decide with 'tarn resolve' (or edit the \
            file) before you commit.
            """)

    @OptionGroup var arguments: WorkspaceArguments
    @OptionGroup var json: JSONArguments

    func run() throws {
        let open = try OpenWorkspace(arguments)
        let lock = try CommitLock(open.workspace)
        let before = try open.workspace.base()
        let (head, conflicts) = try open.update()
        struct Result: Encodable {
            let commit: String
            let branch: String
            let conflicts: [JSONPath]
        }
        let branch = open.workspace.info.branch
        let shown = Set(conflicts)
        try open.telling({ shown.contains($0.path) }) {
            try json.output.show(
                Result(commit: head.hex, branch: branch, conflicts: conflicts.map(JSONPath.init))
            ) {
                let first: TerminalText =
                    before == head
                    ? "Already on the head of \(branch)" : "Now based on \(head.hex.prefix(12)), the head of \(branch)"
                return ([first] + conflicts.map { json.output.paint("C  \($0)", .red) }).joined(separator: "\n")
            }
        }
        withExtendedLifetime(lock) {}
        if !conflicts.isEmpty {
            throw CommandFailure(
                message: "\(count(conflicts.count, "path")) changed here and on the branch",
                hint: "Decide with tarn resolve PATH --ours|--theirs, or edit the file, then commit", kind: .conflict)
        }
    }
}
