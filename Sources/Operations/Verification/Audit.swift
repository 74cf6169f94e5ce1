import FoundationEssentials
package import ObjectDatabase
import ObjectStorage
import ProllyTree
package import Versioning

/// Something that the audit trail does not explain.
package struct AuditFinding: Hashable, Sendable {
    package let ref: String
    package let object: String
    package let reason: String
}

package struct AuditReport: Sendable {
    package var refs = 0
    package var refUpdates = 0
    package var commits = 0
    package var hookRecords = 0
    /// Commits and ref updates with a good signature, and without any; counted when a verifier is there.
    package var signed = 0
    package var unsigned = 0
    package var findings: [AuditFinding] = []
    /// Ref updates that give an earlier time than the one before them in their chain. Their order is the chain's: hosts' clocks
    /// differ, and this is no finding.
    package var outOfOrder = 0
    /// The newest ref update of each ref, as it was verified.
    package var heads: [String: RefUpdateID] = [:]
    /// Ref updates of which cannot be told whether they were authorized: gc took the tree with their hooks, or a rule wanted
    /// signatures and there is no verifier.
    package var undecided = 0
    /// Ref updates that no chain holds: usually a compare-and-swap that lost a race.
    package var unreferenced: [RefUpdateID] = []
}

/// Where every chain of ref updates stood at one time. Kept apart from the repository it proves that nothing was cut off at
/// the end since: the chains themselves show what was changed, removed or inserted before it.
package struct AuditCheckpoint: Hashable, Sendable, Codable {
    package var format = 1
    package var repository: String
    package var time: Timestamp
    /// The newest ref update of each ref, by its qualified name.
    package var heads: [String: RefUpdateID]
}

extension Repository {
    /// Verifies every ref's chain of ref updates and the commits they name, with all that lie behind them: each object has
    /// the SHA-256 that names it, each ref update begins where the one before ended, the first creates, the ref agrees with the last, and the records of hooks and the approvals that a ref update names are there
    /// and say yes. Deleted refs are included. Reads commits, ref updates and hooks' records only; needs nothing but the
    /// bucket or a copy of it.
    ///
    /// - Parameters:
    ///   - checkpoint: where the chains were found before: they must go on from there.
    ///   - verifier: tells whose signatures are good; without one they are not looked at.
    ///   - requiresSignatures: every commit and ref update must be signed by whom it names.
    package func verifyAudit(
        since checkpoint: AuditCheckpoint? = nil, verifier: (any SignatureVerifier)? = nil,
        requiresSignatures: Bool = false
    ) throws -> AuditReport {
        var verification = AuditVerification(self, verifier, requiresSignatures: requiresSignatures)
        verification.prepareReplay()
        var expected = checkpoint?.heads ?? [:]
        for kind in RefName.Kind.allCases {
            for name in try database.refNames(kind) {
                try verification.verify(name, since: expected.removeValue(forKey: name.qualified))
            }
        }
        for (name, refUpdate) in expected.sorted(by: { $0.key < $1.key }) {
            verification.note(name, ObjectKeys.refUpdate(refUpdate), "the checkpoint has this ref, and it is gone")
        }
        try verification.verifyCommits()
        try verification.findUnreferenced()
        return verification.report
    }

    /// Where the chains stood when they were verified, and not where they stand now.
    package func auditCheckpoint(of report: AuditReport) -> AuditCheckpoint {
        AuditCheckpoint(repository: database.config.id.uuidString, time: now(), heads: report.heads)
    }

    /// What is wrong with the object that the error is about.
    static func reason(_ error: any Error) -> String {
        switch error {
        case ObjectDatabaseError.corrupt(_, let reason): reason
        case ObjectDatabaseError.missingObject, StoreError.notFound: "it is missing"
        case ObjectDatabaseError.newerFormat(_, let found, let supported):
            "it has format \(found), and this tarn knows formats up to \(supported)"
        case ObjectDatabaseError.store(let error): reason(error)
        case VersioningError.badEntry(_, let reason), VersioningError.tree(.corrupt(_, let reason)): reason
        case TreeError.corrupt(_, let reason): reason
        case TreeError.missing: "it is missing"
        case TreeError.unreadable(_, let cause), VersioningError.tree(.unreadable(_, let cause)): Self.reason(cause)
        case let fault as DecodingFault: fault.reason
        case let fault as PathFault: fault.reason
        case ObjectDatabaseError.collected(_, let record):
            "gc took it on \(record.when.rfc3339.prefix(19))Z under \(record.rule)"
        case StoreError.tooLarge(_, let limit): "it has more than \(limit) bytes"
        case StoreError.unavailable(_, let key, _, let reason):
            "the store did not answer for \(key): \(reason)"
        default: "\(error)"
        }
    }

    /// The ref updates of all refs (also deleted ones), newest first. Those of one ref are in the order of its chain, whatever
    /// times they give.
    package func auditLog(ref: RefName?) throws -> [(id: RefUpdateID, refUpdate: RefUpdate)] {
        let names = try ref.map { [$0] } ?? RefName.Kind.allCases.flatMap(database.refNames)
        var log: [(id: RefUpdateID, refUpdate: RefUpdate, place: Timestamp)] = []
        for name in names {
            guard let snapshot = try database.readRef(name) else {
                throw ObjectDatabaseError.refNotFound(name)
            }
            let first = log.count
            try database.forEachRefUpdate(of: snapshot) { id, refUpdate in
                log.append((id, refUpdate, refUpdate.when))
                return true
            }
            // None has its place before the one that it follows.
            for index in log.indices.dropFirst(first).dropLast().reversed() {
                log[index].place = max(log[index].place, log[index + 1].place)
            }
        }
        let order = log.indices.sorted { left, right in
            log[left].place != log[right].place ? log[left].place > log[right].place : left < right
        }
        return order.map { (log[$0].id, log[$0].refUpdate) }
    }
}

/// One verification of the audit trail.
private struct AuditVerification {
    private let repository: Repository
    private(set) var report = AuditReport()
    private var commits: Set<CommitID> = []
    private var seen: Set<RefUpdateID> = []

    private let verifier: (any SignatureVerifier)?
    private let requiresSignatures: Bool
    private var replay: AuthorizationReplay?
    private var told: Set<ObjectFault> = []

    init(_ repository: Repository, _ verifier: (any SignatureVerifier)?, requiresSignatures: Bool) {
        self.repository = repository
        self.verifier = verifier
        self.requiresSignatures = requiresSignatures
    }

    /// Without the rules nothing can be replayed, and that is a finding.
    mutating func prepareReplay() {
        do {
            replay = try AuthorizationReplay(repository, verifier)
        } catch {
            noteUnreplayed("rules/\(ProtectionRules.name)", "refs/rules/\(ProtectionRules.name)", error)
        }
    }

    /// What is needed to tell whether something was authorized is named, once.
    private mutating func noteUnreplayed(_ ref: String, _ key: String, _ error: any Error) {
        if let object = ObjectFault.object(of: error) { return note(ref, object, Repository.reason(error)) }
        note(ref, key, "whether it was authorized cannot be told: \(Repository.reason(error))")
    }

    private mutating func verifySignature(_ key: String, id: String, who: String, _ ref: String) throws {
        guard let verifier else { return }
        switch try repository.database.signatureState(key, id: id, who: who, verifier) {
        case .good: report.signed += 1
        case .bad: note(ref, key, "it is signed, but not by \(who)")
        case .unsigned:
            report.unsigned += 1
            if requiresSignatures { note(ref, key, "it is not signed") }
        }
    }

    mutating func note(_ ref: String, _ object: String, _ reason: String) {
        // The same may be met on several ways.
        guard told.insert(ObjectFault(object: object, reason: reason)).inserted else { return }
        report.findings.append(AuditFinding(ref: ref, object: object, reason: reason))
    }

    /// The chain of one ref. What cannot be read is a finding, not the end.
    mutating func verify(_ name: RefName, since known: RefUpdateID?) throws {
        report.refs += 1
        do {
            guard let ref = try repository.database.readRef(name) else { return }
            report.heads[name.qualified] = ref.state.refUpdate
            try verifyChain(ref, since: known)
        } catch ObjectDatabaseError.corrupt(let object, let reason) {
            note(name.qualified, object, reason)
        } catch ObjectDatabaseError.missingObject(let object, _) {
            note(name.qualified, object, "it is missing")
        } catch {
            note(name.qualified, ObjectKeys.ref(name), Repository.reason(error))
        }
    }

    private mutating func verifyChain(_ ref: RefSnapshot, since known: RefUpdateID?) throws {
        let name = ref.name.qualified
        var chain: [(id: RefUpdateID, refUpdate: RefUpdate)] = []
        var wasPassed = known == nil
        try repository.database.forEachRefUpdate(of: ref) { id, refUpdate in
            report.refUpdates += 1
            seen.insert(id)
            wasPassed = wasPassed || id == known
            if let commit = refUpdate.new { commits.insert(commit) }
            let key = ObjectKeys.refUpdate(id)
            if refUpdate.ref != name { note(name, key, "it is a ref update of \(refUpdate.ref)") }
            if let later = chain.last?.refUpdate {
                if later.old != refUpdate.new { note(name, key, "the next ref update does not begin where it ends") }
                if later.when < refUpdate.when { report.outOfOrder += 1 }
            }
            if refUpdate.previous == nil, refUpdate.old != nil || !Self.begins(refUpdate.operation) {
                note(name, key, "the chain begins with it, but it creates nothing")
            }
            try verifySignature(key, id: id.hex, who: refUpdate.who, name)
            chain.append((id, refUpdate))
            return true
        }
        if let known, !wasPassed {
            note(name, ObjectKeys.refUpdate(known), "the checkpoint has this ref update, and the chain does not")
        }
        var seconds = Int64.min
        for (id, refUpdate) in chain.reversed() {
            seconds = max(seconds, refUpdate.when.seconds)
            verifyAuthorization(refUpdate, of: ref.name, ObjectKeys.refUpdate(id), at: seconds)
        }
    }

    private static func begins(_ operation: RefUpdate.Operation) -> Bool {
        [.create, .protect, .retain, .approve].contains(operation)
    }

    /// What a ref update says it was let through by, and what it had to be.
    private mutating func verifyAuthorization(
        _ refUpdate: RefUpdate, of ref: RefName, _ key: String, at seconds: Int64
    ) {
        let records = verifyGates(refUpdate, ref.qualified, key)
        for approval in refUpdate.approvals ?? [] {
            do {
                let given = try repository.database.refUpdate(approval)
                if !given.ref.hasPrefix("\(RefName.Kind.approvals.rawValue)/") || given.operation == .withdraw {
                    note(ref.qualified, key, "it names the ref update \(approval) as an approval, which is none")
                }
            } catch {
                note(ref.qualified, ObjectKeys.refUpdate(approval), Repository.reason(error))
            }
        }
        defer { report.undecided = replay?.undecided ?? 0 }
        do {
            if let fault = try replay?.fault(of: refUpdate, on: ref, at: seconds, records) {
                note(ref.qualified, key, fault)
            }
        } catch {
            noteUnreplayed(ref.qualified, key, error)
        }
    }

    /// The records of hooks that it names, as far as they can be read.
    private mutating func verifyGates(_ refUpdate: RefUpdate, _ name: String, _ key: String) -> [HookRecord] {
        guard let subject = refUpdate.new ?? refUpdate.old else { return [] }
        var records: [HookRecord] = []
        for gate in refUpdate.gates ?? [] {
            do {
                let record = try repository.hookRecord(gate, of: subject)
                report.hookRecords += 1
                records.append(record)
                if record.verdict != .passed {
                    note(name, key, "it names the hook '\(record.hook)', which did not pass")
                }
                if record.ref != name { note(name, key, "it names a hook's record about \(record.ref)") }
                if record.commit != subject {
                    note(name, key, "it names a hook's record about commit \(record.commit)")
                }
            } catch {
                note(name, ObjectKeys.hookRecord(subject, gate), Repository.reason(error))
            }
        }
        return records
    }

    /// The commits that ref updates name, and every commit behind them.
    mutating func verifyCommits() throws {
        var queue = commits.sorted()
        while let id = queue.popLast() {
            do {
                let commit = try repository.database.commit(id)
                report.commits += 1
                try verifySignature(ObjectKeys.commit(id), id: id.hex, who: commit.committer, "")
                for parent in commit.parents where commits.insert(parent).inserted { queue.append(parent) }
            } catch {
                note("", ObjectKeys.commit(id), Repository.reason(error))
            }
        }
    }

    mutating func findUnreferenced() throws {
        for object in try repository.database.listKeys(ObjectKeys.refUpdates) {
            guard let id = RefUpdateID(hex: object.key.dropFirst(ObjectKeys.refUpdates.count)) else {
                note("", object.key, "no ref update has such a name")
                continue
            }
            if !seen.contains(id) { report.unreferenced.append(id) }
        }
    }
}
