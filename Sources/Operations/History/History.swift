import ObjectDatabase
import ProllyTree
package import Versioning

extension Repository {
    /// Calls `body` with the commits behind `start`, itself first, newest generation first, until it answers false.
    package func forEachAncestor(of start: CommitID, _ body: (CommitID, Commit) throws -> Bool) throws {
        var queue = [(id: start, commit: try database.commit(start))]
        var seen: Set<CommitID> = [start]
        while !queue.isEmpty {
            let next = queue.removeFirst()
            if try !body(next.id, next.commit) { return }
            for id in next.commit.parents where seen.insert(id).inserted {
                let parent = try database.commit(id)
                let index = queue.firstIndex {
                    ($0.commit.generation, $0.commit.time) < (parent.generation, parent.time)
                }
                queue.insert((id, parent), at: index ?? queue.endIndex)
            }
        }
    }

    /// What a commit changed against its first parent (against nothing for a first commit).
    package func changes(in commit: Commit) throws -> [PathChange] {
        guard let parent = try commit.parents.first.map({ try self.database.commit($0) }) else {
            return try SnapshotTree.empty(in: database.nodes).pathChanges(to: database.tree(commit.tree))
        }
        return try database.tree(parent.tree).pathChanges(to: database.tree(commit.tree))
    }

    /// What differs between two commits; one that is not there has nothing.
    package func pathChanges(from old: CommitID?, to new: CommitID?) throws -> [PathChange] {
        func tree(of id: CommitID?) throws -> SnapshotTree {
            try id.map { database.tree(try database.commit($0).tree) } ?? SnapshotTree.empty(in: database.nodes)
        }
        return try tree(of: old).pathChanges(to: tree(of: new))
    }

    /// Whether a commit changed anything at or below `path` against each of its parents (a merge that took it from one
    /// parent as it was changed nothing). Loads only what differs around the path.
    package func touches(_ path: TreePath, _ commit: Commit) throws -> Bool {
        let own = database.tree(commit.tree)
        if commit.parents.isEmpty { return try own.entry(at: path) != nil }
        for parent in commit.parents {
            var isTouched = false
            try database.tree(self.database.commit(parent).tree).pathChanges(to: own, atOrBelow: path) { _ in
                isTouched = true
                return false
            }
            if !isTouched { return false }
        }
        return true
    }

    /// The commit that last changed each path at or below `path`, as seen from `start`; directories only with
    /// `directories`. A path that a merge took from a parent as it was is that parent's.
    ///
    /// Cost: proportional to the paths, and to the commits back to the oldest that is named. - Throws: `.pathNotFound`.
    package func blame(
        _ path: TreePath, from start: CommitID, named revision: String, directories: Bool = false
    ) throws -> [(path: TreePath, commitID: CommitID, commit: Commit)] {
        let newest = try database.commit(start)
        var open: Set<TreePath> = []
        func add(_ path: TreePath, _ entry: LocatedEntry) {
            if directories || !entry.entry.isDirectory { open.insert(path) }
        }
        let own = try database.entry(at: path, in: newest, named: revision)
        add(path, own)
        if own.entry.isDirectory {
            try database.tree(newest.tree).forEachDescendant(of: path) { child, entry in
                add(child, entry)
                return true
            }
        }
        var blamed: [(path: TreePath, commitID: CommitID, commit: Commit)] = []
        var waiting = [start: open]
        try forEachAncestor(of: start) { id, commit in
            guard var paths = waiting.removeValue(forKey: id) else { return !waiting.isEmpty }
            for parentID in commit.parents where !paths.isEmpty {
                var changed: Set<TreePath> = []
                try database.tree(self.database.commit(parentID).tree).pathChanges(
                    to: database.tree(commit.tree), atOrBelow: path
                ) { change in
                    changed.insert(change.path)
                    return true
                }
                waiting[parentID, default: []].formUnion(paths.subtracting(changed))
                paths.formIntersection(changed)
            }
            blamed += paths.map { ($0, id, commit) }
            return !waiting.isEmpty
        }
        return blamed.sorted { $0.path < $1.path }
    }
}
