import ArgumentParser
import ErrorMessages
import Foundation
import Glibc
import ObjectDatabase
import Operations
import ProllyTree
import Versioning

struct Audit: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Who moved which branch or tag, when and why; and proof of it.",
        subcommands: [AuditLog.self, AuditVerify.self], defaultSubcommand: AuditLog.self)

    struct AuditLog: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "log",
            abstract: "List the ref updates of all branches and tags, newest first; deleted ones too.",
            discussion: "Rules and approvals move as well: rules/protection, rules/retention, approvals/BRANCH/COMMIT.")
        @Option(name: .customLong("ref"), help: ArgumentHelp("Only this branch or tag.", valueName: "name")) var ref:
            String?
        @Option(help: ArgumentHelp("Only updates by people whose name or address holds this.", valueName: "text"))
        var who: String?
        @Option(help: ArgumentHelp("Only such moves: merge, commit, reset …", valueName: "operation"))
        var operation: String?
        @Option(help: ArgumentHelp("Not before: 2026-01-31, '3 days ago'.", valueName: "date")) var since: String?
        @Option(help: ArgumentHelp("Not after.", valueName: "date")) var until: String?
        @Flag(help: "Print CSV (RFC 4180), with a line of names.") var csv = false
        @OptionGroup var repository: RepositoryArguments
        @OptionGroup var json: JSONArguments

        func run() throws {
            let repository = try repository.open()
            let (earliest, latest) = (try since.map(date), try until.map(date))
            if let operation, RefUpdate.Operation(rawValue: operation) == nil {
                throw CommandFailure(message: "there is no operation '\(operation)'", kind: .usage)
            }
            let log = try repository.auditLog(ref: ref.map { try name($0, repository) }).filter { _, update in
                (who.map { update.who.lowercased().contains($0.lowercased()) } ?? true)
                    && (operation.map { update.operation.rawValue == $0 } ?? true)
                    && (earliest.map { update.when >= $0 } ?? true) && (latest.map { update.when <= $0 } ?? true)
            }
            if csv { return try printCSV(log) }
            struct RefUpdateJSON: Encodable {
                let id: String
                let movement: RefUpdate
            }
            let output = json.output
            try output.show(log.map { RefUpdateJSON(id: $0.id.hex, movement: $0.refUpdate) }) {
                table(
                    log.map { _, update in
                        [
                            "\(update.when.rfc3339.prefix(19))Z", "\(shortRef(update.ref))",
                            output.paint("\(update.operation.rawValue)", .yellow),
                            "\(short(update.old)) → \(short(update.new))", "\(update.who)",
                            .firstLine(of: update.why),
                        ]
                    })
            }
        }

        private func printCSV(_ log: [(id: RefUpdateID, refUpdate: RefUpdate)]) throws {
            try StandardStreams.write(csv: [
                "when", "ref", "operation", "old", "new", "who", "why", "gates", "approvals", "movement",
            ])
            for (id, update) in log {
                try StandardStreams.write(csv: [
                    update.when.rfc3339, update.ref, update.operation.rawValue, update.old?.hex ?? "",
                    update.new?.hex ?? "", update.who, update.why,
                    (update.gates ?? []).map(\.hex).joined(separator: " "),
                    (update.approvals ?? []).map(\.hex).joined(separator: " "), id.hex,
                ])
            }
        }

        private func date(_ text: String) throws -> Timestamp {
            guard let time = Timestamp(parsing: text, now: now()) else {
                throw CommandFailure(
                    message: "'\(text)' is no date", hint: "Write 2026-01-31 or '3 days ago'", kind: .usage)
            }
            return time
        }

        private func name(_ text: String, _ repository: Repository) throws -> RefName {
            for kind in RefName.Kind.allCases where text.hasPrefix("\(kind.rawValue)/") {
                let name = try RefName(kind, String(text.dropFirst(kind.rawValue.count + 1)))
                if try repository.database.readRef(name) != nil { return name }
            }
            let branch = try RefName.branch(text)
            return try repository.database.readRef(branch) != nil ? branch : RefName.tag(text)
        }

        /// A commit's id within the name of an approval is shortened.
        private func shortRef(_ ref: String) -> String {
            guard ref.hasPrefix("\(RefName.Kind.approvals.rawValue)/"), ref.count > 64 else { return ref }
            return String(ref.dropLast(52))
        }

        private func short(_ id: CommitID?) -> String { id.map { String($0.hex.prefix(12)) } ?? "-" }
    }

    struct AuditVerify: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "verify",
            abstract: "Verify every chain of ref updates, the commits they name and their gates.",
            discussion: """
                Needs only the bucket or a copy of it. Each ref update is authorized again, by the rules, the hooks and the approvals that \
                were in force when it was made: what had to be there and is not is a finding. What was changed, removed or inserted in a chain shows by itself; that the end of a \
                chain was cut off shows against a checkpoint: save one now and then, and keep it elsewhere. 'tarn fsck --read-data' verifies \
                the trees and bytes that the commits name. Exit code 1 when something does not fit.
                """)
        @Option(help: ArgumentHelp("Also check against this checkpoint.", valueName: "file")) var against: String?
        @Option(help: ArgumentHelp("Save a checkpoint when all fits.", valueName: "file")) var save: String?
        @Option(
            help: ArgumentHelp(
                "Verify signatures against this file (ssh-keygen's allowed signers).", valueName: "file"))
        var allowedSigners: String?
        @Flag(help: "Every commit and ref update must be signed by whom it names.") var requireSignatures = false
        @OptionGroup var repository: RepositoryArguments
        @OptionGroup var json: JSONArguments

        func run() throws {
            guard !requireSignatures || allowedSigners != nil else {
                throw CommandFailure(message: "--require-signatures needs --allowed-signers FILE", kind: .usage)
            }
            if let allowedSigners, access(allowedSigners, R_OK) != 0 {
                throw CommandFailure(
                    message: "\(allowedSigners) cannot be read: \(String(cString: strerror(errno)))", kind: .notFound)
            }
            let repository = try repository.open()
            let report = try repository.verifyAudit(
                since: against.map { try checkpoint($0, repository) },
                verifier: allowedSigners.map(AllowedSigners.init),
                requiresSignatures: requireSignatures)
            try show(report)
            if !report.findings.isEmpty { throw ExitCode(Code.failed.rawValue) }
            if let save {
                try Data(encodeRecord(repository.auditCheckpoint(of: report))).write(
                    to: URL(filePath: save), options: .atomic)
            }
        }

        private func checkpoint(_ path: String, _ repository: Repository) throws -> AuditCheckpoint {
            guard let data = FileManager.default.contents(atPath: path) else {
                throw CommandFailure(message: "there is no \(path)", kind: .notFound)
            }
            do {
                let checkpoint = try decodeRecord(AuditCheckpoint.self, from: [UInt8](data))
                guard checkpoint.repository == repository.database.config.id.uuidString else {
                    throw CommandFailure(message: "\(path) is a checkpoint of another repository")
                }
                return checkpoint
            } catch is RecordFault {
                throw CommandFailure(message: "\(path) is no checkpoint")
            }
        }

        private func show(_ report: AuditReport) throws {
            struct FindingJSON: Encodable {
                let ref: String
                let object: String
                let reason: String
            }
            struct Result: Encodable {
                let refs: Int
                let movements: Int
                let commits: Int
                let hookRecords: Int
                let signed: Int
                let unsigned: Int
                let unreferencedMovements: [String]
                let movementsOutOfOrder: Int
                let undecidedMovements: Int
                let findings: [FindingJSON]
            }
            let result = Result(
                refs: report.refs, movements: report.refUpdates, commits: report.commits,
                hookRecords: report.hookRecords, signed: report.signed, unsigned: report.unsigned,
                unreferencedMovements: report.unreferenced.map(\.hex), movementsOutOfOrder: report.outOfOrder,
                undecidedMovements: report.undecided,
                findings: report.findings.map { FindingJSON(ref: $0.ref, object: $0.object, reason: $0.reason) })
            let output = json.output
            try output.show(result) {
                var text: [TerminalText] = [
                    "Verified \(count(result.movements, "ref update")) of \(count(result.refs, "ref")), \(count(result.commits, "commit")) and \(count(result.hookRecords, "hook record"))."
                ]
                if allowedSigners != nil { text.append("\(result.signed) are signed, \(result.unsigned) are not.") }
                if !report.unreferenced.isEmpty {
                    text.append(
                        "\(count(report.unreferenced.count, "ref update")) that lost a race or were refused \(report.unreferenced.count == 1 ? "is" : "are") in no chain."
                    )
                }
                if report.outOfOrder > 0 {
                    text.append(
                        "\(count(report.outOfOrder, "ref update")) \(report.outOfOrder == 1 ? "gives" : "give") an earlier time than the one before: clocks differed. Their order is the chain's."
                    )
                }
                if report.undecided > 0 {
                    text.append(
                        "Of \(count(report.undecided, "ref update")) cannot be told whether it was authorized: gc took the tree with its hooks, or a rule wanted signatures (--allowed-signers verifies them)."
                    )
                }
                text += result.findings.map { output.paint("\($0.ref)  \($0.object): \($0.reason)", .red) }
                text.append(
                    result.findings.isEmpty
                        ? "Everything \(report.undecided > 0 ? "else " : "")fits."
                        : "\(count(result.findings.count, "finding")).")
                return text.joined(separator: "\n")
            }
        }
    }
}
