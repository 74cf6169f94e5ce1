import ArgumentParser
import BlockCache
import Glibc
import ProllyTree
import Repository
import Versioning

struct Fsck: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check that everything the branches and tags reach is there and right.",
        discussion: """
            Refs, their chains of movements, commits, tree nodes, block lists and packs are checked; with --data every block is read and \
            hashed. Each damaged object is named with every path that needs it. Exit code 1 when anything is damaged.
            """)

    @Flag(help: "Read and hash every block.") var data = false
    @OptionGroup var repository: RepositoryArguments
    @OptionGroup var json: JSONArguments

    func run() throws {
        let line = Monitor(ProgressLine())
        let report = try repository.open().fsck(data: data) { text in line.update { $0.show(text) } }
        line.update { $0.clear() }
        struct DamageJSON: Encodable {
            let object: String
            let reason: String
            let paths: [JSONPath]
            let isRange: Bool
            let commit: String?
        }
        struct Result: Encodable {
            let commits: Int
            let nodes: Int
            let files: Int
            let packs: Int
            let blocks: Int
            let bytesVerified: UInt64
            let damage: [DamageJSON]
        }
        let result = Result(
            commits: report.commits, nodes: report.nodes, files: report.files, packs: report.packs,
            blocks: report.blocks, bytesVerified: report.bytesVerified,
            damage: report.damage.map {
                DamageJSON(
                    object: $0.object, reason: $0.reason, paths: $0.paths.map(JSONPath.init), isRange: $0.isRange,
                    commit: $0.commit?.hex)
            })
        let output = json.output
        try output.show(result) {
            var text = [
                "Checked \(count(result.commits, "commit")), \(count(result.nodes, "tree node")), \(count(result.files, "file")), "
                    + "\(count(result.blocks, "block")) in \(count(result.packs, "pack"))"
                    + (data
                        ? "; read and hashed \(humanSize(result.bytesVerified))."
                        : "; data was not read (--data does).")
            ]
            for damage in report.damage {
                text.append(output.paint("\(damage.object): \(damage.reason)", .red))
                if damage.isRange {
                    text.append(
                        "  affects paths from \(damage.paths.first.map { "\($0)" } ?? "the first") to \(damage.paths.dropFirst().first.map { "\($0)" } ?? "the last")"
                    )
                } else {
                    text += damage.paths.map { "  affects \($0)" }
                }
            }
            text.append(report.damage.isEmpty ? "No damage found." : "\(count(report.damage.count, "damaged object")).")
            return text.joined(separator: "\n")
        }
        if !report.damage.isEmpty { throw ExitCode(Code.failed.rawValue) }
    }
}

struct CacheCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cache", abstract: "The block cache of a repository on this host.",
        subcommands: [CacheStatusCommand.self, CacheClear.self], defaultSubcommand: CacheStatusCommand.self)

    struct CacheStatusCommand: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "status", abstract: "Show how full it is.")
        @OptionGroup var repository: RepositoryArguments
        @OptionGroup var json: JSONArguments

        func run() throws {
            let repository = try repository.open()
            struct Result: Encodable {
                let usedBytes: UInt64
                let limitBytes: UInt64
                let segments: Int
                let objects: Int
            }
            guard let status = repository.cache?.status() else { return }
            let result = Result(
                usedBytes: status.usedBytes, limitBytes: status.limitBytes, segments: status.segments,
                objects: status.objects)
            try json.output.show(result) { "\(humanSize(result.usedBytes)) of \(humanSize(result.limitBytes)) used" }
        }
    }

    struct CacheClear: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "clear", abstract: "Empty it; live mounts go on and fetch again.")
        @OptionGroup var repository: RepositoryArguments

        func run() throws { try repository.open().cache?.clear() }
    }
}
