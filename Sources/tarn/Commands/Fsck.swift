import ArgumentParser
import BlockCache
import BlockingIO
import Glibc
import ObjectDatabase
import Operations
import ProllyTree
import Versioning

struct Fsck: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check that everything the branches and tags reach is there and right; fetch again what is not.",
        discussion: """
            Refs, their chains of updates, commits, tree nodes, block lists and packs are checked; with --read-data every block is read and \
            hashed. Each damaged object is named with every path that needs it. An object that the store does not give is named too, and \
            the check goes on. So is a lease, a queue or a note of 'tarn gc' that cannot be read. Commits whose data 'tarn gc' took are no damage.

            --repair --from REPO fetches damaged or missing objects again from a mirror ('tarn mirror'), or from what this is a mirror of. \
            They are verified before they are written. --repair alone only empties this host's block cache, which fills again by itself.

              tarn fsck --read-data                               is all well?
              tarn fsck --read-data --repair --from s3://backup/lake

            Exit code 1 when anything is (still) damaged.
            """)

    @Flag(help: "Read and hash every block.") var readData = false
    @Flag(help: "Fetch what is damaged again (with --from).") var repair = false
    @Option(help: ArgumentHelp("A mirror of this repository.", valueName: "repo")) var from: String?
    @Option(
        name: .customLong("from-endpoint"),
        help: ArgumentHelp("S3 endpoint of the mirror, if it is another one.", valueName: "url"))
    var fromEndpoint: String?
    @Option(
        name: .customLong("from-region"),
        help: ArgumentHelp("S3 region of the mirror, if it is another one.", valueName: "name"))
    var fromRegion: String?
    @OptionGroup var repository: RepositoryArguments
    @OptionGroup var json: JSONArguments

    func validate() throws {
        if from != nil, !repair { throw ValidationError("--from goes with --repair.") }
    }

    func run() throws {
        let line = Monitor(ProgressLine())
        defer { line.update { $0.clear() } }
        let progress: @Sendable (String) -> Void = { text in line.update { $0.show("\(text)") } }
        let opened = try repository.open()
        let report: RepairReport
        if let mirror = try mirror() {
            report = try opened.repair(from: mirror, data: readData, progress: progress)
        } else {
            if repair { try opened.database.cache?.clear() }
            report = RepairReport(check: try opened.fsck(data: readData, progress: progress))
        }
        line.update { $0.clear() }
        let output = json.output
        try output.show(CheckJSON(report)) { text(report, output) }
        if !report.check.damage.isEmpty { throw ExitCode(Code.failed.rawValue) }
    }

    private func mirror() throws -> Repository? {
        guard let from else { return nil }
        var arguments = repository.store
        arguments.endpoint = fromEndpoint ?? arguments.endpoint
        arguments.region = fromRegion ?? arguments.region
        return try arguments.openRepository(from, usesCache: false)
    }

    private func text(_ repair: RepairReport, _ output: Output) -> TerminalText {
        let report = repair.check
        var text: [TerminalText] = [
            "Checked \(count(report.commits, "commit")), \(count(report.nodes, "tree node")), \(count(report.files, "file")), "
                + "\(count(report.blocks, "block")) in \(count(report.packs, "pack"))"
                + (readData
                    ? "; read and hashed \(humanSize(report.bytesVerified))."
                    : "; data was not read (--read-data does).")
        ]
        if report.collected > 0 { text.append("\(count(report.collected, "commit")) without data, which gc took.") }
        text += repair.repaired.map { "fetched again: \($0)" }
        text += repair.failed.map { output.paint("could not be fetched: \($0.object): \($0.reason)", .red) }
        for damage in report.damage {
            text.append(output.paint("\(damage.object): \(damage.reason)", .red))
            if damage.isRange {
                text.append(
                    "  affects paths from \(damage.paths.first.map { "\($0)" } ?? "the first") to \(damage.paths.dropFirst().first.map { "\($0)" } ?? "the last")"
                )
            } else {
                text += damage.versions.map { path, count in
                    count == 1 ? "  affects \(path)" : "  affects \(path) (\(count) versions of it)"
                }
            }
        }
        text.append(
            report.damage.isEmpty
                ? "No damage \(repair.repaired.isEmpty ? "found" : "left")."
                : "\(count(report.damage.count, "damaged object")).")
        return text.joined(separator: "\n")
    }
}

private struct CheckJSON: Encodable {
    struct DamageJSON: Encodable {
        let object: String
        let reason: String
        let paths: [JSONPath]
        let isRange: Bool
        let commit: String?
    }

    struct FailedJSON: Encodable {
        let object: String
        let reason: String
    }

    let commits: Int
    let collected: Int
    let nodes: Int
    let files: Int
    let packs: Int
    let blocks: Int
    let bytesVerified: UInt64
    let damage: [DamageJSON]
    let repaired: [String]
    let failed: [FailedJSON]

    init(_ repair: RepairReport) {
        let report = repair.check
        commits = report.commits
        collected = report.collected
        nodes = report.nodes
        files = report.files
        packs = report.packs
        blocks = report.blocks
        bytesVerified = report.bytesVerified
        damage = report.damage.map {
            DamageJSON(
                object: $0.object, reason: $0.reason,
                paths: ($0.isRange ? $0.paths : $0.versions.map(\.path)).map(JSONPath.init), isRange: $0.isRange,
                commit: $0.commit?.hex)
        }
        repaired = repair.repaired
        failed = repair.failed.map { FailedJSON(object: $0.object, reason: $0.reason) }
    }
}
