import ArgumentParser
import BlockingIO
import ErrorMessages
import Glibc
import ObjectDatabase
import ObjectStorage
import Operations
import ProllyTree
import Versioning

struct GarbageCollection: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gc",
        abstract: "Find storage that nothing needs any more, and delete it.",
        discussion: """
            Without --delete it only says what would go, how much that is, and why. What stays:

              - everything that branches and tags reach, and ever reached, unless a rule of 'tarn retention' lets it go
              - whatever is younger than --grace (7 days), also the commits that a branch was moved away from
              - what live mounts show and running commits, imports and mirrors use (their leases)

            Without rules only leftovers go: of commits that lost a race or were broken off. Commits, ref updates and refs are never \
            deleted: 'tarn log' and 'tarn audit verify' work for ever, and a commit whose data is gone says so.

            It is safe beside running commits and mounts, and may be broken off at any time; run again, it goes on. --repack \
            also rewrites packs of which at least half (or --repack-share) is dead; the old ones go with a later run, when \
            --grace has passed. Exit codes: 0 done, 4 refused because a mirror is being written.
            """)

    @Flag(help: "Delete; without it nothing is changed.") var delete = false
    @Option(
        help: ArgumentHelp(
            "What is younger stays: 7d, 12h, 0. (On S3 at least a minute: its servers have clocks of their own.)",
            valueName: "time")) var grace: String = "7d"
    @Flag(help: "Rewrite packs that are mostly dead (with --delete).") var repack = false
    @Option(
        name: .customLong("repack-share"),
        help: ArgumentHelp("How much of a pack must be dead for --repack, in percent.", valueName: "percent"))
    var repackPercent = 50
    @Flag(help: "Name every commit that goes, not only the newest 20.") var all = false
    @OptionGroup var repository: RepositoryArguments
    @OptionGroup var json: JSONArguments

    func run() throws {
        var options = GarbageOptions()
        options.deletes = delete
        options.grace = .seconds(try parseDuration(grace))
        guard (1...99).contains(repackPercent) else {
            throw CommandFailure(message: "--repack-share is a number from 1 to 99", kind: .usage)
        }
        if repack || !delete { options.repackShare = Double(repackPercent) / 100 }
        let repository = try repository.open()
        // Servers of one S3 store have clocks of their own.
        options.clockSlack = repository.database.store.location.hasPrefix("s3://") ? .seconds(60) : .zero
        let line = Monitor(ProgressLine())
        defer { line.update { $0.clear() } }
        let report = try repository.collectGarbage(options) { text in line.update { $0.show("\(text)") } }
        line.update { $0.clear() }
        let output = json.output
        try output.show(GarbageJSON(report, isDryRun: !delete)) { text(report, output) }
    }

    private func text(_ report: GarbageReport, _ output: Output) -> TerminalText {
        let dead = report.dead.total
        var lines: [TerminalText] = [
            "Needed: \(count(report.keptCommits, "commit")), \(amount(report.live.total, "object"))."
                + (report.collectedBefore > 0
                    ? " \(count(report.collectedBefore, "commit")) went with earlier runs." : "")
        ]
        if !report.leases.isEmpty { lines.append("Leases respected: \(leases(report)).") }
        let shown = all ? report.expired[...] : report.expired.prefix(20)
        if !shown.isEmpty {
            lines.append("\(delete ? "Expired" : "Would expire"): \(count(report.expired.count, "commit"))")
            lines.append(
                table(
                    shown.map {
                        [
                            "  " + output.paint("\($0.commit.hex.prefix(12))", .yellow),
                            "\(Timestamp(seconds: $0.seconds, nanoseconds: 0).rfc3339)",
                            .firstLine(of: $0.message), "(\($0.reason))",
                        ]
                    }))
            if shown.count < report.expired.count { lines.append("  … --all names the others") }
        }
        lines.append(
            "\(delete ? "Dead" : "Would be deleted"): \(amount(dead, "object")) "
                + "(\(amount(report.dead.packs, "pack")), \(amount(report.dead.nodes, "tree node")), \(amount(report.dead.lists, "block list")))."
        )
        if report.young.total.objects > 0 {
            lines.append(
                "Unused, but younger than \(grace) or than a running upload: \(amount(report.young.total, "object")).")
        }
        if report.partlyDead.objects > 0 {
            lines.append(
                "Dead bytes in packs that are in use: \(humanSize(report.partlyDead.bytes)) in \(count(report.partlyDead.objects, "pack"))"
                    + (report.repackable.objects > 0 && !repack
                        ? "; --repack would free \(humanSize(report.repackable.bytes)) of \(count(report.repackable.objects, "pack"))."
                        : "."))
        }
        if delete {
            lines.append("Deleted \(amount(report.deleted, "object")).")
            if report.repacked.objects > 0 {
                lines.append(
                    "Rewrote \(count(report.repacked.objects, "pack")), copying \(humanSize(report.repacked.bytes)); the old ones go after \(grace)."
                )
            }
        } else {
            lines.append(dead.objects > 0 ? "Nothing was changed; --delete deletes." : "There is nothing to delete.")
        }
        return lines.joined(separator: "\n")
    }

    private func amount(_ amount: GarbageReport.Amount, _ noun: String) -> String {
        "\(count(amount.objects, noun)) of \(humanSize(amount.bytes))"
    }

    private func leases(_ report: GarbageReport) -> String {
        let kinds = Dictionary(grouping: report.leases, by: \.purpose.rawValue)
        return kinds.sorted { $0.key < $1.key }.map { "\($0.value.count) \($0.key)" }.joined(separator: ", ")
    }
}

private struct GarbageJSON: Encodable {
    struct Amount: Encodable {
        let objects: Int
        let bytes: UInt64

        init(_ amount: GarbageReport.Amount) {
            objects = amount.objects
            bytes = amount.bytes
        }
    }

    struct Kinds: Encodable {
        let nodes: Amount
        let lists: Amount
        let packs: Amount

        init(_ kinds: GarbageReport.Kinds) {
            nodes = Amount(kinds.nodes)
            lists = Amount(kinds.lists)
            packs = Amount(kinds.packs)
        }
    }

    struct Expired: Encodable {
        let commit: String
        let time: String
        let reason: String
    }

    let dryRun: Bool
    let keptCommits: Int
    let expired: [Expired]
    let collectedBefore: Int
    let live: Kinds
    let dead: Kinds
    let young: Kinds
    let partlyDead: Amount
    let repackable: Amount
    let deleted: Amount
    let repacked: Amount
    let leases: [Lease]

    init(_ report: GarbageReport, isDryRun: Bool) {
        dryRun = isDryRun
        keptCommits = report.keptCommits
        expired = report.expired.map {
            Expired(
                commit: $0.commit.hex, time: Timestamp(seconds: $0.seconds, nanoseconds: 0).rfc3339, reason: $0.reason)
        }
        collectedBefore = report.collectedBefore
        live = Kinds(report.live)
        dead = Kinds(report.dead)
        young = Kinds(report.young)
        partlyDead = Amount(report.partlyDead)
        repackable = Amount(report.repackable)
        deleted = Amount(report.deleted)
        repacked = Amount(report.repacked)
        leases = report.leases
    }
}

/// `7d`, `12h`, `30m`, `90s`, or 0, in seconds.
func parseDuration(_ text: String) throws -> Int64 {
    let units: [Character: Int64] = ["d": 86_400, "h": 3600, "m": 60, "s": 1]
    if text == "0" { return 0 }
    guard let last = text.last, let unit = units[last], let value = Int64(text.dropLast()),
        (0...1_000_000).contains(value)
    else {
        throw CommandFailure(message: "'\(text)' is no length of time", hint: "Write 7d, 12h, 30m or 0", kind: .usage)
    }
    return value * unit
}
