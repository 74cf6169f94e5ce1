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
    package var movements = 0
    package var commits = 0
    package var findings: [AuditFinding] = []
    /// Movements that no chain holds: usually a compare-and-swap that lost a race.
    package var unreferenced: [MovementID] = []
}

extension Repository {
    /// Verifies every ref's chain of movements and the commits they name: each object has the SHA-256 that names it,
    /// each movement begins where the one before ended, times do not run backwards, the first creates, and the ref
    /// agrees with the last. Deleted refs are included. Reads commits and movements only; needs nothing but the bucket
    /// or a copy of it.
    package func verifyAudit() throws -> AuditReport {
        var report = AuditReport()
        var commits: Set<CommitID> = []
        var seen: Set<MovementID> = []
        for kind in RefName.Kind.allCases {
            for name in try listKeys(ObjectKeys.refs(kind)).compactMap({ ObjectKeys.refName(kind, key: $0.key) }) {
                report.refs += 1
                do {
                    guard let ref = try readRef(name) else { continue }
                    try verifyChain(ref, &report, &commits, &seen)
                } catch {
                    report.findings.append(finding(name, error))
                }
            }
        }
        for commit in commits.sorted() {
            do {
                _ = try self.commit(commit)
                report.commits += 1
            } catch {
                report.findings.append(
                    AuditFinding(ref: "", object: ObjectKeys.commit(commit), reason: "\(Self.reason(error))"))
            }
        }
        for object in try listKeys(ObjectKeys.movements) {
            guard let id = MovementID(hex: object.key.dropFirst(ObjectKeys.movements.count)) else {
                report.findings.append(AuditFinding(ref: "", object: object.key, reason: "no movement has such a name"))
                continue
            }
            if !seen.contains(id) { report.unreferenced.append(id) }
        }
        return report
    }

    private func verifyChain(
        _ ref: RefSnapshot, _ report: inout AuditReport, _ commits: inout Set<CommitID>, _ seen: inout Set<MovementID>
    ) throws {
        var later: (id: MovementID, movement: Movement)?
        try forEachMovement(of: ref) { id, movement in
            report.movements += 1
            seen.insert(id)
            if let commit = movement.new { commits.insert(commit) }
            func note(_ reason: String) {
                report.findings.append(
                    AuditFinding(ref: ref.name.qualified, object: ObjectKeys.movement(id), reason: reason))
            }
            if movement.ref != ref.name.qualified { note("it is a movement of \(movement.ref)") }
            if let later {
                if later.movement.old != movement.new { note("the next movement does not begin where it ends") }
                if later.movement.when < movement.when { note("it is later than the next movement") }
            }
            if movement.previous == nil, movement.operation != .create || movement.old != nil {
                note("the chain begins with it, but it creates nothing")
            }
            later = (id, movement)
            return true
        }
    }

    private func finding(_ name: RefName, _ error: any Error) -> AuditFinding {
        switch error {
        case RepositoryError.corrupt(let object, let reason):
            AuditFinding(ref: name.qualified, object: object, reason: reason)
        case RepositoryError.missingObject(let object, _):
            AuditFinding(ref: name.qualified, object: object, reason: "it is missing")
        default: AuditFinding(ref: name.qualified, object: ObjectKeys.ref(name), reason: Self.reason(error))
        }
    }

    /// What is wrong with the object that the error is about.
    static func reason(_ error: any Error) -> String {
        switch error {
        case RepositoryError.corrupt(_, let reason): reason
        case RepositoryError.missingObject, StoreError.notFound: "it is missing"
        case StoreError.unavailable(_, let key, _, let reason):
            "the store did not answer for \(key): \(reason)"
        default: "\(error)"
        }
    }

    /// The movements of all refs (also deleted ones), newest first.
    package func auditLog(ref: RefName?) throws -> [(id: MovementID, movement: Movement)] {
        let names =
            try ref.map { [$0] }
            ?? RefName.Kind.allCases.flatMap { kind in
                try listKeys(ObjectKeys.refs(kind)).compactMap { ObjectKeys.refName(kind, key: $0.key) }
            }
        var log: [(id: MovementID, movement: Movement)] = []
        for name in names {
            guard let snapshot = try readRef(name) else {
                throw RepositoryError.refNotFound(name)
            }
            try forEachMovement(of: snapshot) { id, movement in
                log.append((id, movement))
                return true
            }
        }
        return log.sorted { $0.movement.when > $1.movement.when }
    }
}
