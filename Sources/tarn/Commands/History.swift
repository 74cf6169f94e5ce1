import ArgumentParser
import ErrorMessages
import ObjectDatabase
import Operations
import ProllyTree
import Versioning

struct CommitJSON: Encodable {
    let id: String
    let commit: Commit
}

struct Log: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show the commits behind a revision, newest first.")

    @Argument(help: "Where to begin (default: the mounted revision, else main).") var revision: String?
    @Option(help: ArgumentHelp("Only commits that changed this path or something below it.", valueName: "path"))
    var path: String?
    @Option(help: ArgumentHelp("Only commits since then: 2026-01-31, '3 days ago'.", valueName: "date")) var since:
        String?
    @Option(help: ArgumentHelp("Only commits until then.", valueName: "date")) var until: String?
    @Option(help: ArgumentHelp("Only commits whose author has this in it, in any case.", valueName: "text")) var author:
        String?
    @Option(help: ArgumentHelp("Only commits whose message has this in it, in any case.", valueName: "text")) var grep:
        String?
    @Option(
        name: [.customShort("n"), .customLong("limit")], help: ArgumentHelp("At most so many.", valueName: "count"))
    var limit: Int?
    @Flag(help: "One line a commit.") var oneline = false
    @Flag(help: "Draw the lines of history, one line a commit.") var graph = false
    @OptionGroup var repository: RepositoryArguments
    @OptionGroup var json: JSONArguments

    func run() throws {
        let repository = try repository.open()
        let start = try repository.database.resolve(revision ?? self.repository.currentRevision()).commitID
        let filter = try path.map { try TreePath(parsing: $0) }
        let (earliest, latest) = (try since.map(date), try until.map(date))
        let (author, grep) = (author?.lowercased(), grep?.lowercased())
        var found: [CommitJSON] = []
        try repository.forEachAncestor(of: start) { id, commit in
            if let limit, found.count >= limit { return false }
            if let earliest, commit.time < earliest { return true }
            if let latest, latest < commit.time { return true }
            if let author, !commit.author.lowercased().contains(author) { return true }
            if let grep, !commit.message.lowercased().contains(grep) { return true }
            if let filter, try !repository.touches(filter, commit) { return true }
            found.append(CommitJSON(id: id.hex, commit: commit))
            return true
        }
        if let filter, found.isEmpty, earliest == nil, latest == nil, author == nil, grep == nil, limit != 0 {
            throw CommandFailure(
                message: "no commit behind \(start.hex.prefix(12)) has ever had '\(filter)'", kind: .notFound)
        }
        let output = json.output
        try output.show(found) {
            if graph { return graphText(found, output) }
            return found.map { oneline ? lineText($0, output) : commitText($0, output) }.joined(
                separator: oneline ? "\n" : "\n\n")
        }
    }

    private func date(_ text: String) throws -> Timestamp {
        guard let time = Timestamp(parsing: text, now: now()) else {
            throw CommandFailure(
                message: "'\(text)' is no date", hint: "Write 2026-01-31, '3 days ago' or 'last tuesday'", kind: .usage)
        }
        return time
    }

    /// A commit that is not listed hands its line on to nobody: with --path the lines may end early.
    private func graphText(_ found: [CommitJSON], _ output: Output) -> TerminalText {
        var graph = CommitGraph()
        let listed = Set(found.map(\.id))
        return found.flatMap { commit -> [TerminalText] in
            let parents = commit.commit.parents.map(\.hex).filter(listed.contains)
            let drawn = graph.next(commit.id, parents: parents)
            return ["\(drawn.head) \(lineText(commit, output))"] + drawn.after.map { "\($0)" }
        }.joined(separator: "\n")
    }

    private func lineText(_ found: CommitJSON, _ output: Output) -> TerminalText {
        let id = output.paint("\(found.id.prefix(12))", .yellow)
        return "\(id)  \(found.commit.time.rfc3339.prefix(10))  \(TerminalText.firstLine(of: found.commit.message))"
    }
}

func commitText(_ found: CommitJSON, _ output: Output) -> TerminalText {
    let commit = found.commit
    var lines = [output.paint("commit \(found.id)", .yellow)]
    if commit.parents.count > 1 {
        lines.append("Merge:   " + commit.parents.map { "\($0.hex.prefix(12))" }.joined(separator: " "))
    }
    lines.append("Author:  \(commit.author)")
    lines.append("Date:    \(commit.time.rfc3339)")
    lines.append("Tree:    \(commit.tree.hex)")
    let counts = commit.counts
    lines.append("Holds:   \(count(Int(counts.files), "file")), \(humanSize(counts.bytes))")
    for (key, value) in commit.metadata.sorted(by: { $0.key < $1.key }) { lines.append("Meta:    \(key)=\(value)") }
    lines.append("")
    lines.append(.block(commit.message, indent: "    "))
    return lines.joined(separator: "\n")
}

struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show a commit and what it changed.")

    @Argument(help: "The commit (default: what the mount here shows, else main's).") var revision: String?
    @OptionGroup var repository: RepositoryArguments
    @OptionGroup var json: JSONArguments

    func run() throws {
        let repository = try repository.open()
        let found = try repository.database.resolve(revision ?? self.repository.currentRevision())
        let lines = summarize(try repository.changes(in: found.commit))
        struct Result: Encodable {
            let id: String
            let commit: Commit
            let changes: [ChangeJSON]
        }
        let output = json.output
        try output.show(
            Result(id: found.commitID.hex, commit: found.commit, changes: lines.map(ChangeJSON.init))
        ) {
            commitText(CommitJSON(id: found.commitID.hex, commit: found.commit), output) + "\n\n"
                + lines.map { changeText($0, output) }.joined(separator: "\n")
        }
    }
}
