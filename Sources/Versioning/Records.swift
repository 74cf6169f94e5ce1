import FoundationEssentials
package import ProllyTree

/// A commit: one tree, whole, with its history. Stored as canonical JSON (keys sorted, no white space) so that an
/// auditor needs no tool of ours; its id is the SHA-256 of exactly those bytes.
package struct Commit: Hashable, Sendable, Codable {
    package var format = 1
    package var tree: NodeID
    package var parents: [CommitID]
    /// `Name <email>`.
    package var author: String
    package var committer: String
    package var time: Timestamp
    package var message: String
    package var metadata: [String: String]
    /// 1 + the largest generation of the parents; 1 without parents.
    package var generation: UInt64
    package var counts: Counts

    package struct Counts: Hashable, Sendable, Codable {
        /// Files and symbolic links.
        package var files: UInt64
        package var directories: UInt64
        /// Sum of the files' sizes.
        package var bytes: UInt64

        package init(files: UInt64 = 0, directories: UInt64 = 0, bytes: UInt64 = 0) {
            self.files = files
            self.directories = directories
            self.bytes = bytes
        }
    }

    package init(
        tree: NodeID, parents: [CommitID], author: String, committer: String, time: Timestamp, message: String,
        metadata: [String: String], generation: UInt64, counts: Counts
    ) {
        self.tree = tree
        self.parents = parents
        self.author = author
        self.committer = committer
        self.time = time
        self.message = message
        self.metadata = metadata
        self.generation = generation
        self.counts = counts
    }
}

extension Commit.Counts {
    /// The counts after an entry came (+1) or went (-1).
    package mutating func add(_ entry: Entry?, sign: Int64) {
        guard let entry else { return }
        func moved(_ value: UInt64, by amount: UInt64) -> UInt64 {
            sign > 0 ? value &+ amount : value >= amount ? value - amount : 0
        }
        if entry.isDirectory {
            directories = moved(directories, by: 1)
        } else {
            files = moved(files, by: 1)
            if case .file(let content) = entry.kind { bytes = moved(bytes, by: content.sizeBytes) }
        }
    }
}

/// What a ref object holds.
package struct RefState: Hashable, Sendable, Codable {
    package var format = 1
    /// Where the ref points; `nil` when it is deleted (a tombstone: ref objects are never removed).
    package var commit: CommitID?
    /// The newest ref update of this ref's chain.
    package var refUpdate: RefUpdateID
    /// Fresh and random in every write: tells a writer whose reply was lost that it was its own write that won, and
    /// makes every version of the object differ, so that a stale ETag never matches again.
    package var writeID: String

    private enum CodingKeys: String, CodingKey {
        case format, commit, writeID
        case refUpdate = "movement"
    }

    package init(commit: CommitID?, refUpdate: RefUpdateID, writeID: String) {
        self.commit = commit
        self.refUpdate = refUpdate
        self.writeID = writeID
    }
}

/// One recorded change of a ref. Each names the one before, so the newest proves the whole chain.
package struct RefUpdate: Hashable, Sendable, Codable {
    package enum Operation: String, Sendable, Codable {
        case create, commit, `import`, merge, fastForward = "fast-forward", delete, reset, revert, restore
        case cherryPick = "cherry-pick"
        case protect, retain, approve, withdraw
    }

    package var format = 1
    /// `heads/<branch>` or `tags/<tag>`.
    package var ref: String
    package var old: CommitID?
    package var new: CommitID?
    package var who: String
    package var when: Timestamp
    package var operation: Operation
    package var why: String
    package var previous: RefUpdateID?
    /// The records of the hooks that let it pass, in order of hooks; absent when none had to.
    package var gates: [HookRecordID]?
    /// The ref updates by which it was approved; absent when no approval was needed.
    package var approvals: [RefUpdateID]?

    package init(
        ref: String, old: CommitID?, new: CommitID?, who: String, when: Timestamp, operation: Operation, why: String,
        previous: RefUpdateID?, gates: [HookRecordID] = [], approvals: [RefUpdateID] = []
    ) {
        self.ref = ref
        self.old = old
        self.new = new
        self.who = who
        self.when = when
        self.operation = operation
        self.why = why
        self.previous = previous
        self.gates = gates.isEmpty ? nil : gates
        self.approvals = approvals.isEmpty ? nil : approvals
    }
}

/// Why a JSON record was refused.
package enum RecordFault: Error, Hashable, Sendable {
    case unreadable(reason: String)
    /// Written by a newer Tarn.
    case newerFormat(Int)
}

/// The highest format of commits, refs and ref updates that this version reads.
package let recordFormat = 1

/// The record's canonical bytes.
package func encodeRecord(_ record: some Encodable) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    guard let data = try? encoder.encode(record) else {
        preconditionFailure("records hold only strings and numbers, which always encode")
    }
    return [UInt8](data)
}

/// A record whose fields have ranges that their types do not say.
package protocol RangedRecord {
    /// Which field is out of its range; `nil` when none is.
    var fault: String? { get }
}

extension Commit: RangedRecord {
    /// No count and no generation is larger: sums of some of them cannot overflow.
    package static let maximumCount: UInt64 = 1 << 60
    package static let maximumParents = 1024

    package var fault: String? {
        if Set(parents).count != parents.count { return "a parent is named twice" }
        if parents.count > Self.maximumParents { return "a commit has at most \(Self.maximumParents) parents" }
        if generation == 0 || generation > Self.maximumCount { return "its generation is \(generation)" }
        for (name, value) in [("files", counts.files), ("directories", counts.directories), ("bytes", counts.bytes)]
        where value > Self.maximumCount {
            return "its count of \(name) is \(value)"
        }
        return nil
    }
}

/// Decodes a record. What is out of its range is refused here, so that nobody need think of it.
package func decodeRecord<Record: Decodable>(
    _ type: Record.Type, from bytes: [UInt8]
) throws(RecordFault) -> Record {
    let data = Data(bytes)
    do {
        let format = try JSONDecoder().decode(Versioned.self, from: data).format
        if format < 1 { throw RecordFault.unreadable(reason: "its format is \(format)") }
        if format > recordFormat { throw RecordFault.newerFormat(format) }
        let record = try JSONDecoder().decode(type, from: data)
        if let fault = (record as? any RangedRecord)?.fault { throw RecordFault.unreadable(reason: fault) }
        return record
    } catch let fault as RecordFault {
        throw fault
    } catch {
        throw .unreadable(reason: describe(error))
    }
}

private struct Versioned: Decodable {
    let format: Int
}

/// One line that says what a JSON decoder disliked, and where. The decoder's own words are Swift's, and are not shown.
private func describe(_ error: any Error) -> String {
    guard let error = error as? DecodingError else { return "not valid JSON" }
    return switch error {
    case .keyNotFound(let key, let context): "the field '\(place(context.codingPath + [key]))' is missing"
    case .typeMismatch(_, let context), .valueNotFound(_, let context):
        "the field '\(place(context.codingPath))' has the wrong type"
    case .dataCorrupted(let context):
        if context.codingPath.isEmpty {
            "not valid JSON"
        } else if let fault = context.underlyingError as? DecodingFault {
            "the field '\(place(context.codingPath))': \(fault.reason)"
        } else {
            "the field '\(place(context.codingPath))' has a value that this tarn does not know"
        }
    @unknown default: "not valid JSON"
    }
}

/// As one writes it: `rules[0].days`. Names in a record are anybody's.
private func place(_ path: [any CodingKey]) -> String {
    var text = ""
    for key in path {
        if let index = key.intValue {
            text += "[\(index)]"
        } else {
            text += (text.isEmpty ? "" : ".") + key.stringValue
        }
    }
    return printableText(text)
}

extension DecodingError {
    /// A value of a record that is not what it must be; `reason` is for people.
    static func badValue(in container: any SingleValueDecodingContainer, _ reason: String) -> DecodingError {
        .dataCorrupted(
            Context(
                codingPath: container.codingPath, debugDescription: reason,
                underlyingError: DecodingFault(reason: reason, offset: 0)))
    }
}

extension Identifier: Codable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let id = Identifier(hex: text) else {
            throw DecodingError.badValue(in: container, "not a SHA-256 in hexadecimal")
        }
        self = id
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(hex)
    }
}
