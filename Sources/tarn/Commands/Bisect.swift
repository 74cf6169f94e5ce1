import ArgumentParser
import ErrorMessages
import Glibc
import ObjectDatabase
import Operations
import ProllyTree
import Versioning

struct Bisect: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Find the commit that broke something, by trying half of what is left each time.",
        subcommands: [BisectRun.self], defaultSubcommand: BisectRun.self)

    struct BisectRun: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "run", abstract: "Run a command on mounts of commits between a good and a bad one.",
            discussion: """
                The command runs in a read-only mount of each commit it is tried on ($TARN_MOUNT, $TARN_COMMIT). Exit code 0 says good, \
                125 that it cannot tell (the commit is passed over), anything from 1 to 127 bad; more ends the search.

                  tarn bisect run --good v1 --bad main -- sh -c 'test $(wc -l < data.csv) -gt 1000'
                """)
        @Option(help: ArgumentHelp("A revision where all is well.", valueName: "rev")) var good: String
        @Option(help: ArgumentHelp("A revision where it is broken (default: main).", valueName: "rev")) var bad:
            String =
                Repository.defaultBranch
        @Argument(parsing: .captureForPassthrough, help: "The command.") var command: [String]
        @OptionGroup var repository: RepositoryArguments
        @OptionGroup var json: JSONArguments

        func run() throws {
            let opened = try repository.open()
            let words = command.first == "--" ? Array(command.dropFirst()) : command
            guard !words.isEmpty else { throw CommandFailure(message: "which command?", kind: .usage) }
            var search = try BisectSearch(
                opened, good: opened.database.resolve(good).commitID, bad: opened.database.resolve(bad).commitID)
            while let candidate = try search.next() {
                let code = try attempt(candidate, words, opened)
                writeError(
                    "tarn: \(candidate.hex.prefix(12)) is \(code == 0 ? "good" : code == 125 ? "passed over" : "bad")")
                guard (0...127).contains(code) else {
                    throw CommandFailure(message: "the command ended with \(code), which ends the search")
                }
                search.learn(candidate, code == 0 ? .good : code == 125 ? .unknown : .bad)
            }
            let found = search.result
            let commits = try found.map { CommitJSON(id: $0.hex, commit: try opened.database.commit($0)) }
            let output = json.output
            try output.show(commits) {
                let head: TerminalText =
                    commits.count == 1 ? "The first bad commit:" : "The first bad commit is one of these:"
                return ([head] + commits.map { commitText($0, output) }).joined(separator: "\n\n")
            }
        }

        /// Answers the exit code; 128 and more for a signal.
        private func attempt(_ commit: CommitID, _ words: [String], _ opened: Repository) throws -> Int32 {
            let mount = try TemporaryMount(commit, of: opened, repository.store)
            return try withExtendedLifetime(mount) {
                try runProgram(
                    words, directory: mount.directory,
                    environment: ["TARN_MOUNT": mount.directory, "TARN_COMMIT": commit.hex])
            }
        }
    }
}

/// Which commits of a history may be the first bad one.
struct BisectSearch {
    enum Verdict { case good, bad, unknown }

    /// Candidates with their parents among the candidates, each after its parents. The last is known to be bad.
    private var candidates: [(id: CommitID, parents: [CommitID])] = []
    private var unknown: Set<CommitID> = []

    /// Throws when the good commit does not lie behind the bad one.
    init(_ repository: Repository, good: CommitID, bad: CommitID) throws {
        guard try repository.database.isAncestor(good, of: bad), good != bad else {
            throw CommandFailure(message: "the good revision must lie behind the bad one", kind: .usage)
        }
        var known: Set<CommitID> = []
        try repository.forEachAncestor(of: good) { id, _ in
            known.insert(id)
            return true
        }
        try repository.forEachAncestor(of: bad) { id, commit in
            if !known.contains(id) { candidates.append((id, commit.parents.filter { !known.contains($0) })) }
            return true
        }
        candidates.reverse()
    }

    /// What is left: the first bad commit, and with it those that could not be told apart from it.
    var result: [CommitID] { candidates.map(\.id) }

    /// The commit to try next: the one that leaves the least whatever it turns out to be. `nil` when nothing can be
    /// learned any more.
    func next() throws -> CommitID? {
        let total = candidates.count
        let open = candidates.dropLast().filter { !unknown.contains($0.id) }
        // Counting what is behind each of very many takes longer than one try more.
        if open.count > Self.maximumCounted { return open[open.count / 2].id }
        return open.map { candidate in
            let count = behind(candidate.id).count
            return (id: candidate.id, least: min(count, total - count))
        }.max { $0.least < $1.least }?.id
    }

    private static let maximumCounted = 500

    mutating func learn(_ id: CommitID, _ verdict: Verdict) {
        let behind = behind(id)
        switch verdict {
        case .good: candidates.removeAll { behind.contains($0.id) }
        case .bad: candidates.removeAll { !behind.contains($0.id) }
        case .unknown: unknown.insert(id)
        }
        let left = Set(candidates.map(\.id))
        for index in candidates.indices { candidates[index].parents.removeAll { !left.contains($0) } }
    }

    /// The commit and the candidates behind it.
    private func behind(_ id: CommitID) -> Set<CommitID> {
        let parents = Dictionary(uniqueKeysWithValues: candidates.map { ($0.id, $0.parents) })
        var found: Set<CommitID> = [id]
        var queue = [id]
        while let next = queue.popLast() {
            for parent in parents[next] ?? [] where found.insert(parent).inserted { queue.append(parent) }
        }
        return found
    }
}
