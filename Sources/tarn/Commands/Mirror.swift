import ArgumentParser
import BlockingIO
import ErrorMessages
import FoundationEssentials
import ObjectDatabase
import ObjectStorage
import Operations
import Versioning

struct Mirror: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Copy the repository to another store, or bring a copy up to date.",
        discussion: """
            TARGET becomes a repository of the same id with the same commits, ref updates and tags, so 'tarn audit verify', mounts and \
            exports work on it. Only what it lacks is copied, every id is computed again from the bytes, and every block is hashed. Run \
            it again after an interruption: it goes on.

            A mirror takes no commits of its own. 'tarn mirror --promote TARGET' makes it a repository of its own, for good: after \
            that, the two may diverge, and 'mirror' does not write to it any more. A branch or tag of TARGET that has moves which the \
            source lacks is left as it is, and named (exit code 3).

              tarn mirror s3://backup/lake                       everything: also deleted refs, rules and records
              tarn mirror /mnt/disk/lake --ref main --ref 'v*'   some branches and tags with their history
            """)

    @Argument(help: "Where: a directory, file://… or s3://bucket[/prefix].") var target: String
    @Option(
        name: .customLong("ref"),
        help: ArgumentHelp("Only these branches and tags ('*' is anything but '/').", valueName: "glob"))
    var refs: [String] = []
    @Flag(help: "Make TARGET, a mirror, a repository of its own.") var promote = false
    @Option(
        name: .customLong("target-endpoint"),
        help: ArgumentHelp("S3 endpoint of TARGET, if it is another one.", valueName: "url"))
    var targetEndpoint: String?
    @Option(
        name: .customLong("target-region"),
        help: ArgumentHelp("S3 region of TARGET, if it is another one.", valueName: "name"))
    var targetRegion: String?
    @OptionGroup var repository: RepositoryArguments
    @OptionGroup var json: JSONArguments

    func run() throws {
        if promote {
            try Repository.promote(openTarget(creating: false).store)
            struct Result: Encodable { let promoted: String }
            return try json.output.show(Result(promoted: target)) {
                "\(target) is a repository of its own now and takes commits."
            }
        }
        let source = try repository.open()
        let (store, quirks) = try openTarget(creating: true)
        let line = Monitor(ProgressLine())
        defer { line.update { $0.clear() } }
        let report = try source.mirror(to: store, targetQuirks: quirks, refs: refs) { text in
            line.update { $0.show("\(text)") }
        }
        line.update { $0.clear() }
        try show(report)
        guard report.diverged.isEmpty else {
            throw CommandFailure(
                message:
                    "\(report.diverged.map(\.name).joined(separator: ", ")) at \(target) has moves that the source lacks; left as it is",
                hint: "See 'tarn audit log --repo \(target)'; nothing was lost there", kind: .conflict)
        }
    }

    /// The target's store, with the quirks that its `tarn.json` says or a probe finds.
    private func openTarget(creating: Bool) throws -> (store: any ObjectStore, quirks: RepositoryConfig.StoreQuirks) {
        var arguments = repository.store
        arguments.endpoint = targetEndpoint ?? arguments.endpoint
        arguments.region = targetRegion ?? arguments.region
        let location = try StoreLocation.parse(target)
        let first = try openStore(location, options: arguments.storeOptions(quoteIfMatch: false, creating: creating))
        let quirks: RepositoryConfig.StoreQuirks
        do {
            quirks = try RepositoryConfig.load(from: first).store
        } catch ObjectDatabaseError.notARepository where creating {
            switch try probeCompareAndSwap(first, prefix: "") {
            case .safe(let found): quirks = .init(quoteIfMatch: found.quoteIfMatch)
            case .unsafe(let reason):
                throw ObjectDatabaseError.unsafeStore(location: first.location, reason: reason)
            }
        }
        guard quirks.quoteIfMatch else { return (first, quirks) }
        return (try openStore(location, options: arguments.storeOptions(quoteIfMatch: true)), quirks)
    }

    private func show(_ report: MirrorReport) throws {
        struct Result: Encodable {
            let refsMoved: [String]
            let refsUnchanged: Int
            let diverged: [String]
            let commits: Int
            let collectedCommits: Int
            let movements: Int
            let nodes: Int
            let lists: Int
            let packs: Int
            let packBytes: UInt64
            let packsPresent: Int
            let otherObjects: Int
        }
        let result = Result(
            refsMoved: report.refsMoved.map(\.qualified), refsUnchanged: report.refsUnchanged,
            diverged: report.diverged.map(\.qualified), commits: report.commits,
            collectedCommits: report.collectedCommits, movements: report.refUpdates, nodes: report.nodes,
            lists: report.lists, packs: report.packs, packBytes: report.packBytes, packsPresent: report.packsPresent,
            otherObjects: report.otherObjects)
        try json.output.show(result) {
            var lines: [TerminalText] = [
                "Moved \(count(result.refsMoved.count, "ref")) at \(target); \(result.refsUnchanged) up to date already.",
                "Copied \(count(result.commits, "commit")), \(count(result.movements, "ref update")), \(count(result.nodes, "tree node")), "
                    + "\(count(result.lists, "block list")) and \(count(result.packs, "pack")) (\(humanSize(result.packBytes))), all verified"
                    + (result.packsPresent > 0 ? "; \(count(result.packsPresent, "pack")) were there already." : "."),
            ]
            if result.collectedCommits > 0 {
                lines.append(
                    "\(count(result.collectedCommits, "commit")) of them without data, which gc took from the source.")
            }
            return lines.joined(separator: "\n")
        }
    }
}

func words(_ fault: MirrorFault) -> ErrorMessage {
    switch fault {
    case .otherRepository(let location, let found, let wanted):
        ErrorMessage(
            message:
                "\(location) is the repository \(found.uuidString.lowercased()), not a mirror of \(wanted.uuidString.lowercased())",
            hint: "Choose an empty directory or prefix", kind: .refused)
    case .notAMirror(let location):
        ErrorMessage(
            message: "\(location) is a repository of its own, not a mirror",
            hint: "It was made by 'tarn init' or promoted; choose another location", kind: .refused)
    case .noRefMatches(let patterns):
        ErrorMessage(
            message: "no branch or tag is called \(patterns.joined(separator: ", "))",
            hint: "'tarn branch list' and 'tarn tag list' show what there is", kind: .notFound)
    }
}
