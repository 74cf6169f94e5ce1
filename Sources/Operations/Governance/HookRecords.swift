import ObjectDatabase
import ObjectStorage
import ProllyTree
package import Versioning

/// What one hook did about one commit, kept under the SHA-256 of its JSON; the ref update that it let pass names it.
package struct HookRecord: Hashable, Sendable, Codable {
    package enum Verdict: String, Sendable, Codable {
        case passed, refused
        case timedOut = "timed out"
        /// It could not be run, or was ended by a signal.
        case crashed
        /// One that it comes after did not pass.
        case skipped
    }

    package var format = 1
    package var hook: String
    package var event: String
    package var ref: String
    /// The commit that was to be published; for a deletion, the one deleted.
    package var commit: CommitID
    /// The exact hooks file.
    package var file: ContentID
    /// The shell command, or the address.
    package var action: String
    package var who: String
    package var host: String
    package var started: Timestamp
    package var ended: Timestamp
    package var verdict: Verdict
    /// Exit code of the command, or HTTP status.
    package var code: Int?
    /// What it printed; only the end when it was more than 64 KiB.
    package var output: String
    package var isOutputCut: Bool

    package init(
        hook: String, event: String, ref: String, commit: CommitID, file: ContentID, action: String, who: String,
        host: String, started: Timestamp, ended: Timestamp, verdict: Verdict, code: Int?, output: String,
        isOutputCut: Bool
    ) {
        self.hook = hook
        self.event = event
        self.ref = ref
        self.commit = commit
        self.file = file
        self.action = action
        self.who = who
        self.host = host
        self.started = started
        self.ended = ended
        self.verdict = verdict
        self.code = code
        self.output = output
        self.isOutputCut = isOutputCut
    }
}

extension Repository {
    package func saveHookRecord(_ record: HookRecord) throws -> HookRecordID {
        let bytes = encodeRecord(record)
        let id = HookRecordID(hashing: bytes)
        _ = try database.store.put(ObjectKeys.hookRecord(record.commit, id), bytes, .none)
        return id
    }

    /// A record, checked against its id. Throws `.missingObject`, `.corrupt`.
    package func hookRecord(_ id: HookRecordID, of commit: CommitID) throws -> HookRecord {
        try hookRecord(ObjectKeys.hookRecord(commit, id), id)
    }

    private func hookRecord(_ key: String, _ id: HookRecordID) throws -> HookRecord {
        try database.record(key, id: id, neededBy: "the audit trail")
    }

    /// What hooks said about a commit, or (without one) about all, oldest first.
    package func hookRecords(of commit: CommitID?) throws -> [(id: HookRecordID, record: HookRecord)] {
        let prefix = ObjectKeys.hookRecords + (commit.map { "\($0.hex)/" } ?? "")
        return try database.listKeys(prefix).compactMap { object in
            guard let name = object.key.split(separator: "/").last, name.hasSuffix(".json"),
                let id = HookRecordID(hex: name.dropLast(".json".count))
            else { return nil }
            return (id, try hookRecord(object.key, id))
        }.sorted { $0.record.started < $1.record.started }
    }
}
