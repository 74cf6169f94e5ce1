import BlockCache
import BlockingIO
import ErrorMessages
import FUSEServer
import Foundation
import Glibc
import ObjectDatabase
import ObjectStorage
import Operations
import ProllyTree
import Staging
import Testing
import VFS
import Versioning

@testable import tarn

/// No raw value of Swift reaches a user: not in a message, and not where an error is put into a log line or a reason.
@Suite struct ErrorTextTests {
    private static let node = NodeID(hashing: [1])
    private static let commit = CommitID(hashing: [1])

    /// How the compiler prints a value, and what its library says.
    nonisolated(unsafe) private static let dump =
        #/Swift\.|Optional\(|Error Domain=|odingPath|CodingKey|debugDescription|[A-Z]\w+(Error|Fault|Failure)\b|Cannot initialize|Index \d|\b[a-z]+[A-Za-z]*\([a-z]\w*: /#

    private func expectWords(_ text: String, _ name: String) {
        #expect(text.firstMatch(of: Self.dump) == nil && !text.isEmpty, "\(name): \(text)")
    }

    private static func collected() throws -> CollectedTree {
        let text = #"{"format":1,"commits":["\#(commit.hex)"],"when":"2026-01-01T00:00:00Z","rule":"r","runs":["x"]}"#
        return try decodeObject(Array(text.utf8), key: "collected/x")
    }

    /// Every error type of the sources, with some values. Types that never leave their file or target are named with `[]`.
    private static func samples() throws -> [String: [any Error]] {
        let main = try RefName.branch("main")
        let inner: any Error = ObjectDatabaseError.missingObject(object: "trees/00/11", neededBy: "x")
        let record = try collected()
        return [
            "StoreError": [
                StoreError.notFound(key: "k"), StoreError.tooLarge(key: "leases/k", limitBytes: 5),
                StoreError.refused(key: "k", status: 400, code: "c", message: "m"),
                StoreError.unavailable(location: "l", key: "k", attempts: 2, reason: "r"),
            ],
            "ObjectDatabaseError": [
                inner, ObjectDatabaseError.newerFormat(object: "collected/x", found: 99, supported: 1),
                ObjectDatabaseError.store(.tooLarge(key: "gc/sweeps.json", limitBytes: 1)),
                ObjectDatabaseError.collected(tree: node, record: record), ObjectDatabaseError.refNotFound(main),
            ],
            "TreeError": [TreeError.missing(node), TreeError.unreadable(node, reason: inner)],
            "VersioningError": [
                VersioningError.tree(.unreadable(node, reason: inner)),
                VersioningError.badEntry(key: [0, 9], reason: "r"),
            ],
            "WorkspaceError": [
                WorkspaceError.corrupt(path: "p", reason: "r"), WorkspaceError.newerFormat(directory: "d", found: 9),
            ],
            "BlockCacheError": [BlockCacheError.lockTimedOut(path: "p")],
            "RepositoryError": [
                RepositoryError.collectionStopped(by: TreeError.unreadable(node, reason: inner), hasDeleted: false),
                RepositoryError.protected(main, by: ProtectionRule(pattern: "main", approvals: 0), .commit),
                RepositoryError.nothingToCommit,
            ],
            "MirrorFault": [
                MirrorFault.noRefMatches(["a"]),
                MirrorFault.otherRepository(location: "l", found: UUID(), wanted: UUID()),
            ],
            "RecordFault": [RecordFault.newerFormat(9), RecordFault.unreadable(reason: "r")],
            "FUSEServerError": [FUSEServerError.ended(status: EIO)],
            "PrefetchFault": [PrefetchFault.tooManyFiles(limit: 4)], "ReadPlanRefusal": [ReadPlanRefusal.noOneCommit],
            "SystemFailure": [SystemFailure(path: "p", errno: EIO)], "Errno": [Errno(code: EIO)],
            "NoThreadLeft": [NoThreadLeft()], "FileTooLong": [FileTooLong()],
            "DecodingFault": [DecodingFault(reason: "r", offset: 1)], "PathFault": [PathFault.tooLong([0xff])],
            "PatternFault": [
                try #require(throws: PatternFault.self) {
                    var exclusions = PathExclusions()
                    try exclusions.add(Array(repeating: 0xff, count: PathExclusions.maximumPatternBytes + 1))
                }
            ],
            "RevisionFault": [RevisionFault(text: "t", reason: "r")],
            "RefNameFault": [try #require(throws: RefNameFault.self) { try RefName.branch("..") }],
            "HookFault": [try #require(throws: HookFault.self) { try parseHooks("hooks: 5") }],
            "CommandFailure": [CommandFailure(message: "m")], "Unreadable": [ReceiptFile.Unreadable(reason: "r")],
            // Of others.
            "": [
                CancellationError(), NSError(domain: "d", code: 1),
                try #require(throws: (any Error).self) { try JSONDecoder().decode([Int].self, from: Data("{}".utf8)) },
            ],
            // They become an errno, another error, or nothing where they are caught.
            "VFSError": [], "WebhookFailure": [], "HTTPFailure": [], "CredentialProcessFailure": [],
            "OutputFailure": [],
            "RefUpdateFailure": [], "Stopped": [], "ContentFailure": [], "DiskFailure": [],
        ]
    }

    @Test func everyErrorHasWordsWhereverItIsShown() throws {
        for (name, errors) in try Self.samples() {
            for error in errors {
                expectWords(words(of: error).shown, name)
                expectWords(logLine(of: error).shown, name)
                if let hint = describe(error)?.hint { expectWords(hint.shown, name) }
                if !name.isEmpty { expectWords("\(error)", name) }
            }
        }
    }

    /// A new error type does not go without words.
    @Test func everyErrorTypeIsKnownHere() throws {
        let sources = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../Sources").standardized
        let declared = #/(?:enum|struct|class) +(\w+) *: *(?:\w+, *)*Error\b/#
        var found: Set<String> = []
        for case let file as URL in try #require(
            FileManager.default.enumerator(at: sources, includingPropertiesForKeys: nil))
        where file.pathExtension == "swift" {
            for match in try String(contentsOf: file, encoding: .utf8).matches(of: declared) {
                found.insert(String(match.1))
            }
        }
        #expect(try found == Set(Self.samples().keys).subtracting([""]))
    }

    // MARK: Records

    /// Each field of each record is left out, and takes each kind of value: what is wrong is told in words.
    @Test func damagedRecordsAreToldInWords() throws {
        let id = RefUpdateID(hashing: [1])
        var state = RefState(commit: Self.commit, refUpdate: id, writeID: "w")
        state.format = 1
        var rules = RetentionRules()
        rules.rules = [RetentionRule(branches: "main", days: 1, commits: 2, who: "w", when: now())]
        var journal: SweepJournal = try decodeObject(Array(#"{"format":1,"runs":[]}"#.utf8), key: "gc/sweeps.json")
        journal.runs = [SweepJournal.Run(id: "r", began: now())]
        try damage(state)
        try damage(rules)
        try damage(journal)
        try damage(ProtectionRules([ProtectionRule(pattern: "main", approvals: 1)]))
        try damage(
            Lease(purpose: .mount, tree: Self.node, lasting: .hours(1), holder: "h", subject: "s", trees: [Self.node]))
        try damage(Self.collected())
        try damage(
            RefUpdate(
                ref: "heads/main", old: nil, new: Self.commit, who: "w", when: now(), operation: .commit, why: "",
                previous: id))
        try damage(
            Commit(
                tree: Self.node, parents: [Self.commit], author: "a", committer: "c", time: now(), message: "m",
                metadata: ["k": "v"], generation: 2, counts: .init()))
        try damage(RepositoryConfig(id: UUID(), created: now(), store: .init(quoteIfMatch: true)))
        try damage(PackForwardingRecord(when: now(), blocks: []))
    }

    private static var values: [Any] {
        [
            5, -1, 1.5, "odd", "", true, [], [5], ["odd"], [String: Any](), ["\u{1b}[31m": 1], NSNull(),
            NSDecimalNumber(string: "123456789012345678901234567890"), 1e300,
        ]
    }

    private func damage<Record: Codable>(_ record: Record) throws {
        let whole = try JSONSerialization.jsonObject(with: Data(encodeRecord(record)))
        var count = 0
        for changed in Self.changes(of: whole) {
            let bytes = [UInt8](try JSONSerialization.data(withJSONObject: changed, options: [.fragmentsAllowed]))
            do {
                _ = try decodeObject(bytes, key: "some/key") as Record
            } catch {
                count += 1
                expectWords(words(of: error).shown, String(decoding: bytes, as: UTF8.self))
                #expect(!"\(error)".contains("\u{1b}"))
            }
        }
        #expect(count > 5, "\(Record.self)")
    }

    /// Everything that differs from `value` in one place.
    private static func changes(of value: Any) -> [Any] {
        var all = values
        if let fields = value as? [String: Any] {
            for (name, field) in fields {
                var left = fields
                left[name] = nil
                all.append(left)
                for changed in changes(of: field) {
                    left[name] = changed
                    all.append(left)
                }
            }
        }
        if let items = value as? [Any] {
            for (index, item) in items.enumerated() {
                for changed in changes(of: item) {
                    var copy = items
                    copy[index] = changed
                    all.append(copy)
                }
            }
        }
        return all
    }
}
