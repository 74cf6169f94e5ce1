import BlockingIO
import FoundationEssentials
import ObjectDatabase
import ProllyTree
import Versioning

@testable import Operations
@testable import Staging

/// JSON records: what decodes encodes to bytes that decode to the same.
let recordTargets: [FuzzTarget] = [
    record(
        "commit",
        Commit(
            tree: NodeID(hashing: []), parents: [someCommit], author: "A <a@b>", committer: "C", time: someTime,
            message: "m\n", metadata: ["k": "v"], generation: 2, counts: .init(files: 1, directories: 2, bytes: 3))),
    record("ref", RefState(commit: someCommit, refUpdate: someUpdate, writeID: "w")),
    record(
        "ref-update",
        RefUpdate(
            ref: "heads/main", old: nil, new: someCommit, who: "A", when: someTime, operation: .cherryPick, why: "w",
            previous: someUpdate, gates: [HookRecordID(hashing: [])], approvals: [someUpdate])),
    record(
        "lease",
        Lease(
            purpose: .mirror, tree: NodeID(hashing: []), lasting: .days(1), holder: "h", subject: "s",
            trees: [NodeID(hashing: [1])], began: 7)
    ) { _ = $0.allTrees },
    record(
        CollectedTree.self, "collected",
        #"{"commits":[],"format":1,"rule":"r","when":"2026-01-01T00:00:00Z"}"#),
    record("moved", PackForwardingRecord(when: someTime, blocks: [(offset: 0, extent: someExtents[0])])) {
        _ = try? $0.decoded(key: "moved/x")
    },
    record(SweepJournal.self, "sweeps", someJournal) { journal in
        var journal = journal
        journal.removeRuns { _ in true }
    },
    record(
        "hook-record",
        HookRecord(
            hook: "h", event: "e", ref: "main", commit: someCommit, file: ContentID(hashing: []), action: "a",
            who: "w", host: "h", started: someTime, ended: someTime, verdict: .timedOut, code: 1, output: "o",
            isOutputCut: true)),
    record(
        "retention",
        RetentionRules().adding(RetentionRule(branches: "*", days: 1, commits: 2, who: "w", when: someTime))
    ) { $0.rules.forEach { _ = $0.words } },
    record("protection", ProtectionRules([ProtectionRule(pattern: "rel/*", approvals: 2)])) { rules in
        if let main = try? RefName.branch("main") { _ = rules.covering(main) }
    },
    record("config", RepositoryConfig(id: UUID(), created: someTime, store: .init(quoteIfMatch: true))),
    record("workspace", WorkspaceInfo(repositoryID: UUID(), repositoryLocation: "/r", branch: "main")),
    record("unsynced", SyncFailures.Record(path: "p", errno: 5, data: [1], log: true)),
]

private let someTime = Timestamp(seconds: 1_800_000_000, nanoseconds: 500_000_000)
private let someCommit = CommitID(hashing: [1])
private let someUpdate = RefUpdateID(hashing: [2])
private let someJournal = """
    {"format":1,"lastEnded":"2026-01-01T00:00:00Z","runs":[{"alive":"2026-01-01T00:00:00Z",\
    "began":"2026-01-01T00:00:00Z","id":"i","deletes":true,"isSettled":false,"pulse":0}]}
    """

extension RetentionRules {
    fileprivate func adding(_ rule: RetentionRule) -> RetentionRules {
        var rules = self
        rules.rules.append(rule)
        return rules
    }
}

private let deepJSON: [UInt8] =
    Array(#"{"format":1,"x":"#.utf8) + Array(repeating: UInt8(ascii: "["), count: 4000)

private func record<Record: Codable & Sendable>(
    _ name: String, _ example: Record, _ body: @escaping @Sendable (Record) -> Void = { _ in }
) -> FuzzTarget {
    record(Record.self, name, String(decoding: encodeRecord(example), as: UTF8.self), body)
}

private func record<Record: Codable & Sendable>(
    _ type: Record.Type, _ name: String, _ example: String, _ body: @escaping @Sendable (Record) -> Void = { _ in }
) -> FuzzTarget {
    FuzzTarget(name: "json-\(name)", seeds: { [Array(example.utf8), deepJSON, Array(#"{"format":2}"#.utf8)] }) {
        input in
        guard let record = try? decodeRecord(type, from: input) else { return }
        let bytes = encodeRecord(record)
        guard let again = try? decodeRecord(type, from: bytes) else {
            fatalError("broken: what was decoded encodes to what decodes")
        }
        require(encodeRecord(again) == bytes, "a record has one encoding")
        body(record)
    }
}
