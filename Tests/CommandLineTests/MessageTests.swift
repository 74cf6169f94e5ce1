import BlockingIO
import ErrorMessages
import Glibc
import ObjectDatabase
import ObjectStorage
import Operations
import ProllyTree
import Staging
import Testing
import Versioning

@testable import tarn

@Suite struct MessageTests {
    private static let commit = CommitID(hashing: [1])

    /// Exit codes are a promise of the help: 1 failed, 2 usage, 3 conflict, 4 refused, 5 not found.
    @Test func errorsHaveTheExitCodesOfTheHelp() throws {
        let main = try RefName.branch("main")
        let cases: [(any Error, Int32)] = [
            (ObjectDatabaseError.corrupt(object: "trees/x", reason: "why"), 1),
            (ObjectDatabaseError.badRevision(RevisionFault(text: "x", reason: "why")), 2),
            (RepositoryError.conflicts([], head: Self.commit, seenFrom: .current), 3),
            (RepositoryError.protected(main, by: ProtectionRule(pattern: "main", approvals: 0), .commit), 4),
            (ObjectDatabaseError.refNotFound(main), 5),
            (ObjectDatabaseError.revisionNotFound("x"), 5),
            (WorkspaceError.inUse(directory: "/w", holder: "process 1"), 4),
            (CommandFailure(message: "no", kind: .usage), 2),
            (StoreError.notFound(key: "x"), 5),
            (TreeError.unreadable(NodeID(hashing: [1]), reason: ObjectDatabaseError.refNotFound(main)), 5),
            (SystemFailure(path: "/x", errno: ENOENT), 1),
        ]
        for (error, code) in cases {
            let message = try #require(describe(error), "\(error)")
            #expect(message.kind.exitCode.rawValue == code, "\(message.text)")
        }
    }

    /// No raw value of Swift reaches a user.
    @Test func messagesAreSentences() throws {
        let tag = try RefName.tag("v1")
        let errors: [any Error] = [
            ObjectDatabaseError.missingObject(object: "packs/aa/bb", neededBy: "the history"),
            ObjectDatabaseError.notThereYet(tag, at: "v1@{1999}", since: Timestamp(seconds: 0, nanoseconds: 0)),
            ObjectDatabaseError.noParent(Self.commit, number: 2), ObjectDatabaseError.leaseLost(after: .hours(2)),
            RepositoryError.contended(tag, attempts: 60, winner: "Ada"), RepositoryError.refExists(tag),
            RepositoryError.notApproved(tag, source: Self.commit, by: [], wanted: 2, for: .revert),
            WorkspaceError.alreadySealed, StoreError.badAnswer(key: "x", reason: "it is empty"),
            ObjectDatabaseError.interrupted, SystemFailure(path: "/x", errno: EACCES),
        ]
        for error in errors {
            let message = try #require(describe(error), "\(error)")
            #expect(!message.text.isEmpty)
            for raw in ["Optional(", "(Versioning", "RefName(", "Swift.", "Error.", "__C"] {
                #expect(
                    !message.text.shown.contains(raw) && message.hint?.shown.contains(raw) != true, "\(message.text)")
            }
        }
    }

    @Test func anEntryThatDoesNotDecodeIsNamed() {
        let error = VersioningError.badEntry(key: Array("a".utf8), reason: "why")
        #expect(describe(error)?.text == "the tree's entry 'a' does not decode: why")
    }

    /// The log of a mount says the same as the command line.
    @Test func logAndCommandLineShareTheirWords() throws {
        let error = ObjectDatabaseError.corrupt(object: "packs/aa/bb", reason: "it ends before byte 9")
        #expect(logLine(of: error) == describe(error)?.text)
        #expect(logLine(of: error).shown.contains("packs/aa/bb"))
    }

    @Test func conflictIsToldFromTheSideOfWhoReads() throws {
        let conflict = Conflict(
            path: try TreePath(parsing: "a"), base: nil, incoming: nil, current: nil, reason: .deletedByCurrent)
        let merge = describe(RepositoryError.conflicts([conflict], head: Self.commit, seenFrom: .current))
        #expect(merge?.text.shown.contains("a  (deleted here, changed there)") == true)
        let commit = describe(RepositoryError.conflicts([conflict], head: Self.commit, seenFrom: .incoming))
        #expect(commit?.text.shown.contains("a  (changed here, deleted there)") == true)
    }

    @Test func sizesAndCountsAreForPeople() {
        #expect(humanSize(0) == "0 B" && humanSize(1023) == "1023 B" && humanSize(1536) == "1.5 KiB")
        #expect(humanSize(.max).hasSuffix("EiB"))
        #expect(count(1, "file") == "1 file" && count(0, "file") == "0 files")
    }
}
