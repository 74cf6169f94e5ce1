import ArgumentParser
import BlockingIO
import ErrorMessages
import ObjectDatabase
import Operations
import ProllyTree
import Versioning

struct DiskUsageCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "du",
        abstract: "What each branch and tag takes, and how much of it is its own.",
        discussion: """
            FILES is the sum of the sizes of the files at the head of the branch, STORED what their bytes take in the store (each \
            block once, compressed), OWN what of that no other branch or tag refers to: what its deletion could free once \
            its history has expired. Older commits are not counted ('tarn gc' tells what they hold).
            """)

    @Argument(help: "Branches and tags, as patterns ('*' is anything but '/'); all when none is given.")
    var patterns: [String] = []
    @OptionGroup var repository: RepositoryArguments
    @OptionGroup var json: JSONArguments

    func run() throws {
        let repository = try repository.open()
        let refs = try RefName.Kind.allCases.flatMap { try repository.database.listRefs($0) }
        let line = Monitor(ProgressLine())
        defer { line.update { $0.clear() } }
        var report = try repository.diskUsage(of: refs) { text in line.update { $0.show("\(text)") } }
        line.update { $0.clear() }
        if !patterns.isEmpty {
            report.refs.removeAll { usage in !patterns.contains { Glob($0).matches(usage.ref.name) } }
            if report.refs.isEmpty {
                throw CommandFailure(
                    message: "no branch or tag is called \(patterns.joined(separator: ", "))",
                    hint: "'tarn branch list' shows what there is", kind: .notFound)
            }
        }
        struct RefJSON: Encodable {
            let ref: String
            let commit: String
            let files: UInt64
            let logicalBytes: UInt64
            let storedBytes: UInt64
            let uniqueStoredBytes: UInt64
            let uniqueLogicalBytes: UInt64
        }
        struct Result: Encodable {
            let refs: [RefJSON]
            let storedBytes: UInt64
            let sharedStoredBytes: UInt64
        }
        let result = Result(
            refs: report.refs.map {
                RefJSON(
                    ref: $0.ref.qualified, commit: $0.commit.hex, files: $0.files, logicalBytes: $0.logicalBytes,
                    storedBytes: $0.storedBytes, uniqueStoredBytes: $0.uniqueStoredBytes,
                    uniqueLogicalBytes: $0.uniqueLogicalBytes)
            }, storedBytes: report.storedBytes, sharedStoredBytes: report.sharedStoredBytes)
        let output = json.output
        try output.show(result) {
            let rows = report.refs.map { usage in
                [
                    "\(humanSize(usage.logicalBytes))", "\(humanSize(usage.storedBytes))",
                    "\(humanSize(usage.uniqueStoredBytes))",
                    "\(humanSize(usage.storedBytes - usage.uniqueStoredBytes))",
                    output.paint("\(usage.ref.kind == .tag ? "tag " : "")\(usage.ref.name)", .yellow),
                ] as [TerminalText]
            }
            return table([["FILES", "STORED", "OWN", "SHARED", ""]] + rows)
                + "\nAll heads together: \(humanSize(report.storedBytes)) stored, \(humanSize(report.sharedStoredBytes)) of it shared."
        }
    }
}
