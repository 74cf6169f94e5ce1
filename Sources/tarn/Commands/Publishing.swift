import ArgumentParser
import ErrorMessages
import ObjectDatabase
import Operations
import ProllyTree
import Versioning

/// What a command that publishes does when there is nothing to publish.
struct EmptyArguments: ParsableArguments {
    @Flag(help: "Exit code 6 when there is nothing to commit (default: 0).") var failIfEmpty = false

    /// Runs `body`, and prints the id of what it published; when there was nothing to publish, the id of the commit that has it.
    func publish(
        on branch: RefName, in repository: Repository, _ json: JSONArguments, _ body: () throws -> Published
    ) throws {
        guard let published = try orNothing(on: branch, in: repository, json, body) else { return }
        let result = PublishedJSON(
            commit: published.commitID.hex, previous: published.previous.hex, branch: branch.name, isEmpty: false)
        try json.output.show(result) { "\(published.commitID.hex)" }
    }

    /// What `body` published; `nil` when there was nothing to publish, which is told then. Throws exit code 6 if that is wanted.
    func orNothing<Result>(
        on branch: RefName, in repository: Repository, _ json: JSONArguments, _ body: () throws -> Result
    ) throws -> Result? {
        let commit: CommitID
        let words: TerminalText
        do {
            return try body()
        } catch RepositoryError.nothingToCommit {
            commit = try repository.database.liveRef(branch).commit
            words = "nothing to commit"
        } catch RepositoryError.nothingToMerge(let source, let destination, let found) {
            commit = found
            words = "nothing to commit: '\(destination)' has everything of '\(source)' already"
        }
        writeError("tarn: \(words)")
        let result = PublishedJSON(commit: commit.hex, previous: commit.hex, branch: branch.name, isEmpty: true)
        try json.output.show(result) { "\(commit.hex)" }
        if failIfEmpty { throw ExitCode(Code.empty.rawValue) }
        return nil
    }
}

private struct PublishedJSON: Encodable {
    let commit: String
    let previous: String
    let branch: String
    /// There was nothing to publish: the commit was there.
    let isEmpty: Bool
}
