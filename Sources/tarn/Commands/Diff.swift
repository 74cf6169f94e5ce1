import ArgumentParser
import ErrorMessages
import ObjectDatabase
import Operations
import ProllyTree
import Versioning

struct Diff: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show which paths differ.",
        discussion: """
            Without a revision: what is staged in this mount. With one: it against the branch's head that the mount is based on, or \
            against main. With two, or A..B: from the first to the second. A...B: from where they parted to B.
            """)

    @Argument(help: "Up to two revisions, A..B or A...B.") var revisions: [String] = []
    @OptionGroup var arguments: WorkspaceArguments
    @OptionGroup var json: JSONArguments

    func run() throws {
        let lines: [ChangeLine]
        if revisions.isEmpty {
            let open = try OpenWorkspace(arguments)
            try open.flush()
            lines = try open.repository.stagedLines(open.workspace)
        } else {
            lines = try compare(arguments.repository.open())
        }
        let output = json.output
        try output.show(lines.map(ChangeJSON.init)) {
            lines.map { changeText($0, output) }.joined(separator: "\n")
        }
    }

    private func compare(_ repository: Repository) throws -> [ChangeLine] {
        let (old, new) = try sides(repository)
        return summarize(try repository.database.tree(old.tree).pathChanges(to: repository.database.tree(new.tree)))
    }

    private func sides(_ repository: Repository) throws -> (Commit, Commit) {
        guard revisions.count <= 2 else {
            throw CommandFailure(message: "diff takes at most two revisions", kind: .usage)
        }
        if revisions.count == 1, let parts = split(revisions[0], "...") {
            let (left, right) = (try repository.database.resolve(parts.0), try repository.database.resolve(parts.1))
            guard let base = try repository.database.mergeBase(left.commitID, right.commitID) else {
                throw RepositoryError.noCommonHistory(source: parts.1, destination: parts.0)
            }
            return (try repository.database.commit(base), right.commit)
        }
        if revisions.count == 1, let parts = split(revisions[0], "..") {
            return (try repository.database.resolve(parts.0).commit, try repository.database.resolve(parts.1).commit)
        }
        let second = revisions.count == 2 ? revisions[1] : arguments.repository.currentRevision()
        return (try repository.database.resolve(revisions[0]).commit, try repository.database.resolve(second).commit)
    }

    private func split(_ text: String, _ separator: String) -> (String, String)? {
        guard let range = text.firstRange(of: separator) else { return nil }
        let parts = (String(text[..<range.lowerBound]), String(text[range.upperBound...]))
        return parts.0.isEmpty || parts.1.isEmpty ? nil : parts
    }
}
