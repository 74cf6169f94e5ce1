import ProllyTree
package import Versioning

extension Repository {
    /// Calls `body` with the commits behind `start`, itself first, newest generation first, until it answers false.
    package func forEachAncestor(of start: CommitID, _ body: (CommitID, Commit) throws -> Bool) throws {
        var queue = [(id: start, commit: try commit(start))]
        var seen: Set<CommitID> = [start]
        while !queue.isEmpty {
            let next = queue.removeFirst()
            if try !body(next.id, next.commit) { return }
            for id in next.commit.parents where seen.insert(id).inserted {
                let parent = try commit(id)
                let place = queue.firstIndex {
                    ($0.commit.generation, $0.commit.time) < (parent.generation, parent.time)
                }
                queue.insert((id, parent), at: place ?? queue.endIndex)
            }
        }
    }

    /// What a commit changed against its first parent (against nothing for a first commit).
    package func changes(in commit: Commit) throws -> [PathChange] {
        guard let parent = try commit.parents.first.map({ try self.commit($0) }) else {
            return try SnapshotTree.empty(in: nodes).pathChanges(to: tree(commit.tree))
        }
        return try tree(parent.tree).pathChanges(to: tree(commit.tree))
    }

    /// Whether a commit changed anything at or below `path` against its first parent.
    package func touches(_ path: TreePath, _ commit: Commit) throws -> Bool {
        guard let parent = try commit.parents.first.map({ try self.commit($0) }) else {
            return try tree(commit.tree).entry(at: path) != nil
        }
        var touched = false
        try tree(parent.tree).pathChanges(to: tree(commit.tree)) { change in
            touched = change.path == path || change.path.isInside(path)
            return !touched
        }
        return touched
    }
}
