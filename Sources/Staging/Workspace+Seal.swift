import CLinux
import FoundationEssentials
import GRDB
import Glibc
import ProllyTree
package import Versioning

/// Sealing: a commit works on a copy of the overlay while writers go on in the current one.
///
/// A seal copies the tables (data files are not copied: they become read-only, because every file's next write begins a
/// new one). When the commit is published, `rebase` drops from the current overlay what the commit holds; when it
/// failed, `abandonSeal` drops the copy. Either way nothing written meanwhile is lost.
extension Workspace {
    /// What is sealed; `nil` when nothing is.
    package func sealState() throws -> SealState? {
        try read { overlay in
            guard let change = try overlay.metaNumber("sealed") else { return nil }
            return SealState(change: change, commit: try overlay.meta("sealed-commit").flatMap { CommitID(hex: $0) })
        }
    }

    /// Seals what is staged. The caller sees to it that everything written so far is in the overlay. The seal is
    /// durable when this returns. Throws `.alreadySealed`.
    package func seal() throws -> SealState {
        let state = try write { overlay in
            guard try overlay.metaNumber("sealed") == nil else { throw WorkspaceError.alreadySealed }
            try overlay.copyToSealed()
            let change = try overlay.lastChange()
            try overlay.setMeta("sealed", String(change))
            return SealState(change: change, commit: nil)
        }
        try makeDurable()
        return state
    }

    /// Notes, durably, which commit is about to be published from the seal, so that a crash just after the publication
    /// is recognised.
    package func recordSealedCommit(_ commit: CommitID) throws {
        try write { overlay in
            guard try overlay.metaNumber("sealed") != nil else { throw WorkspaceError.notSealed }
            try overlay.setMeta("sealed-commit", commit.hex)
        }
        try makeDurable()
    }

    /// Gives the seal up: everything staged stays staged.
    package func abandonSeal() throws {
        try write { try $0.dropSealed() }
        try removeUnusedData()
    }

    /// Deletes nodes that no name leads to (files that were unlinked while open when the process ended) and data files
    /// that nothing refers to. Call when nothing is open.
    package func removeOrphans() throws {
        try write { overlay in
            for id in try overlay.namelessNodes() { try overlay.remove(id) }
        }
        try removeUnusedData()
        try cutWriteTargets()
    }

    /// Gives back what was reserved behind the last byte that a file shows.
    private func cutWriteTargets() throws {
        let (targets, ends) = try read { overlay in
            (try overlay.writeTargets(), Dictionary(try overlay.dataEnds()) { max($0, $1) })
        }
        for target in targets.map(DataFileID.init) {
            let end = off_t(clamping: ends[target] ?? 0)
            var status = stat()
            if stat(dataPath(target), &status) == 0, status.st_size > end { truncate(dataPath(target), end) }
        }
    }

    func removeUnusedData() throws {
        try write { try $0.removeUnusedCloned() }
        let used = try read { try $0.usedData() }
        let newest = try read { try $0.metaNumber("data") ?? 0 }
        let root = directory + "/data"
        var unused: [String] = []
        for group in (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? [] {
            for name in (try? FileManager.default.contentsOfDirectory(atPath: "\(root)/\(group)")) ?? [] {
                guard let id = Int64(name), id <= newest, !used.contains(id) else { continue }
                unused.append("\(root)/\(group)/\(name)")
            }
        }
        if unused.isEmpty { return }
        // Else after power loss the log could still refer to what is deleted here.
        try makeDurable()
        for path in unused { unlink(path) }
    }
}

extension Overlay {
    fileprivate func copyToSealed() throws {
        for table in Schema.copiedTables {
            try execute("DELETE FROM sealed_\(table)")
            try execute("INSERT INTO sealed_\(table) SELECT * FROM \(table)")
        }
        // The next write to a file begins a new data file: the sealed ones stay as they are.
        try execute("UPDATE node SET data = NULL WHERE data IS NOT NULL")
    }

    func dropSealed() throws {
        for table in Schema.copiedTables { try execute("DELETE FROM sealed_\(table)") }
        try setMeta("sealed", nil)
        try setMeta("sealed-commit", nil)
    }

    /// Whether nodes are there that stay through commits: special files, and files and symbolic links with several names.
    func hasKeptNodes() throws -> Bool {
        try !rows("SELECT 1 FROM node WHERE kind >= 4 OR (kind <> 2 AND links > 1) LIMIT 1").isEmpty
    }

    /// Nothing is staged any more; nodes that no name led to (open, unlinked files) stay.
    func clear() throws {
        let named = "SELECT node FROM name WHERE node IS NOT NULL"
        try execute("DELETE FROM range WHERE node IN (\(named))")
        try execute("DELETE FROM node WHERE id IN (\(named))")
        try execute("DELETE FROM name")
        try resetRoot()
    }
}

extension Workspace {
    /// Begins at another commit. Only while nothing is staged.
    package func moveBase(to commit: CommitID) throws {
        try write { try $0.setMeta("base", commit.hex) }
    }
}
