import FoundationEssentials
import GRDB
import ProllyTree
package import Versioning

/// A conflict that a commit ran into, and what was decided about it.
package struct StagedConflict: Hashable, Sendable {
    package let path: TreePath
    package let reason: ConflictReason
    /// The tree value of the branch's entry; `nil` when it deleted the path.
    package let current: [UInt8]?
    /// The last change when it was found.
    package let change: Int64
    /// The last change when the user had been told of it; `nil`: not yet. Only what is changed after that is changed by somebody
    /// who knew.
    package let told: Int64?
    package let resolution: Resolution?

    /// Found when a commit moved the base below later changes, not by a merge.
    package var isFromRebase: Bool { reason == .changedSinceSeal }
}

extension Workspace {
    package func conflicts() throws -> [StagedConflict] {
        try read { try $0.conflicts() }
    }

    /// Replaces what is recorded by these conflicts, keeping decisions about a path whose other side is still the same, and
    /// whether the user was told of it.
    ///
    /// - Parameter settled: paths with a conflict that was decided, which stay decided.
    package func record(_ conflicts: [Conflict], settled: Set<TreePath>) throws {
        try write { overlay in
            let known = Dictionary(uniqueKeysWithValues: try overlay.conflicts().map { ($0.path, $0) })
            let change = try overlay.newestChange()
            for path in known.keys where !settled.contains(path) {
                try overlay.execute("DELETE FROM conflict WHERE path = ?", [path.blob])
            }
            for conflict in conflicts {
                let current = conflict.current?.entry.encoded()
                let same = known[conflict.path].flatMap { $0.current == current ? $0 : nil }
                try overlay.insert(
                    StagedConflict(
                        path: conflict.path, reason: conflict.reason, current: current, change: change,
                        told: same?.told, resolution: same?.resolution))
            }
        }
        try makeDurable()
    }

    /// Notes that the user has been told of these conflicts, as `conflicts()` answered them before the telling: from now on an
    /// edit of such a path decides for it. What was written before must be in the overlay. A conflict that was found anew
    /// meanwhile, with another version on the other side, is still to be told.
    package func noteTold(_ conflicts: [StagedConflict]) throws {
        let new = conflicts.filter { $0.told == nil }
        if new.isEmpty { return }
        try write { overlay in
            let change = try overlay.newestChange()
            for conflict in new {
                try overlay.execute(
                    "UPDATE conflict SET told = ? WHERE path = ? AND change = ? AND theirs IS ? AND told IS NULL",
                    [change, conflict.path.blob, conflict.change, conflict.current.map { Data($0) }])
            }
        }
        try makeDurable()
    }

    /// Notes the decision for a conflicting path; false when the path has no conflict.
    package func resolve(_ path: TreePath, _ resolution: Resolution) throws -> Bool {
        let known = try write { overlay in
            guard let conflict = try overlay.conflicts().first(where: { $0.path == path }) else { return false }
            try overlay.insert(
                StagedConflict(
                    path: path, reason: conflict.reason, current: conflict.current, change: conflict.change,
                    told: conflict.told, resolution: resolution))
            return true
        }
        try makeDurable()
        return known
    }
}

extension Overlay {
    package func conflicts() throws -> [StagedConflict] {
        try rows("SELECT path, reason, theirs, change, told, resolution FROM conflict ORDER BY path").map { row in
            do {
                // What a later version found is in conflict all the same.
                let reason = ConflictReason(stored: row[1]) ?? .content
                return StagedConflict(
                    path: try TreePath(parsing: [UInt8](row[0] as Data)), reason: reason,
                    current: (row[2] as Data?).map { [UInt8]($0) }, change: row[3], told: row[4],
                    resolution: (row[5] as String?).flatMap(Resolution.init(stored:)))
            } catch let fault as PathFault {
                throw WorkspaceError.corrupt(path: "overlay", reason: fault.reason)
            }
        }
    }

    /// As the rows hold them: workspaces outlive versions of the program.
    package func storedConflictReasons() throws -> [String] {
        try rows("SELECT reason FROM conflict ORDER BY path").map { $0[0] }
    }

    fileprivate func insert(_ conflict: StagedConflict) throws {
        try execute(
            """
            INSERT OR REPLACE INTO conflict (path, reason, theirs, change, told, resolution) VALUES (?, ?, ?, ?, ?, ?)
            """,
            [
                conflict.path.blob, conflict.reason.stored, conflict.current.map { Data($0) }, conflict.change,
                conflict.told, conflict.resolution?.stored,
            ])
    }

    /// A path that was changed since the seal while others changed it in the new base.
    func addRebaseConflict(_ path: TreePath, current: LocatedEntry?) throws {
        try insert(
            StagedConflict(
                path: path, reason: .changedSinceSeal,
                current: current?.entry.encoded(), change: try newestChange(), told: nil,
                resolution: nil))
    }

    /// Forgets the conflicts that were found up to a change: a commit of that state was published, so they were
    /// settled.
    func dropConflicts(upTo change: Int64) throws {
        try execute("DELETE FROM conflict WHERE change <= ?", [change])
    }
}

extension TreePath {
    /// As the database holds it.
    var blob: Data { Data(bytes) }
}

extension Resolution {
    /// As the database holds it: seen from the workspace, whose version is the incoming one.
    fileprivate var stored: String {
        switch self {
        case .incoming: "ours"
        case .current: "theirs"
        case .base: "base"
        }
    }

    fileprivate init?(stored: String) {
        guard let found = Self.allCases.first(where: { $0.stored == stored }) else { return nil }
        self = found
    }
}

extension ConflictReason {
    /// As the database holds it: in the words of the workspace, whose version is the incoming one.
    fileprivate var stored: String { words(from: .incoming) }

    fileprivate init?(stored: String) {
        guard let found = Self.allCases.first(where: { $0.stored == stored }) else { return nil }
        self = found
    }
}
