import ArgumentParser
import BlockCache
import Glibc
import ProllyTree
import Repository
import Versioning

struct Audit: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Who moved which branch or tag, when and why; and proof of it.",
        subcommands: [AuditLog.self, AuditVerify.self], defaultSubcommand: AuditLog.self)

    struct AuditLog: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "log", abstract: "List the movements of all branches and tags, newest first; deleted ones too."
        )
        @Option(name: .customLong("ref"), help: ArgumentHelp("Only this branch or tag.", valueName: "name")) var ref:
            String?
        @OptionGroup var repository: RepositoryArguments
        @OptionGroup var json: JSONArguments

        func run() throws {
            let repository = try repository.open()
            struct MovementJSON: Encodable {
                let id: String
                let movement: Movement
            }
            let log = try repository.auditLog(ref: ref.map { try name($0, repository) })
            let output = json.output
            try output.show(log.map { MovementJSON(id: $0.id.hex, movement: $0.movement) }) {
                table(
                    log.map { _, movement in
                        [
                            movement.when.rfc3339.prefix(19) + "Z", movement.ref,
                            output.paint(movement.operation.rawValue, .yellow),
                            "\(short(movement.old)) → \(short(movement.new))", movement.who,
                            movement.why.split(separator: "\n").first.map(String.init) ?? "",
                        ]
                    })
            }
        }

        private func name(_ text: String, _ repository: Repository) throws -> RefName {
            let branch = try RefName.branch(text)
            return try repository.readRef(branch) != nil ? branch : RefName.tag(text)
        }

        private func short(_ id: CommitID?) -> String { id.map { String($0.hex.prefix(12)) } ?? "-" }
    }

    struct AuditVerify: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "verify", abstract: "Verify every chain of movements and the commits they name.",
            discussion: "Needs only the bucket or a copy of it. Exit code 1 when something does not fit.")
        @OptionGroup var repository: RepositoryArguments
        @OptionGroup var json: JSONArguments

        func run() throws {
            let report = try repository.open().verifyAudit()
            struct FindingJSON: Encodable {
                let ref: String
                let object: String
                let reason: String
            }
            struct Result: Encodable {
                let refs: Int
                let movements: Int
                let commits: Int
                let unreferencedMovements: [String]
                let findings: [FindingJSON]
            }
            let result = Result(
                refs: report.refs, movements: report.movements, commits: report.commits,
                unreferencedMovements: report.unreferenced.map(\.hex),
                findings: report.findings.map { FindingJSON(ref: $0.ref, object: $0.object, reason: $0.reason) })
            let output = json.output
            try output.show(result) {
                var text = [
                    "Verified \(count(result.movements, "movement")) of \(count(result.refs, "ref")) and \(count(result.commits, "commit"))."
                ]
                text += result.findings.map { output.paint("\($0.ref)  \($0.object): \($0.reason)", .red) }
                text.append(
                    result.findings.isEmpty ? "Everything fits." : "\(count(result.findings.count, "finding")).")
                return text.joined(separator: "\n")
            }
            if !result.findings.isEmpty { throw ExitCode(Code.failed.rawValue) }
        }
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
