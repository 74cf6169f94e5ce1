import ObjectStorage
import ProllyTree
package import Versioning

/// A revision that was found: its commit, and the ref it was named by, if it was.
package struct ResolvedRevision: Sendable {
    package let commitID: CommitID
    package let commit: Commit
    package let ref: RefName?
}

extension ObjectDatabase {
    /// Finds what `text` names: a whole commit id, else a branch, else a tag, else a prefix of a commit id of at least six
    /// digits, then the steps behind it. Throws `.badRevision`, `.revisionNotFound`, `.ambiguousRevision`, `.noParent`.
    package func resolve(_ text: String) throws -> ResolvedRevision {
        let revision: Revision
        do {
            revision = try Revision(parsing: text)
        } catch {
            throw ObjectDatabaseError.badRevision(error)
        }
        var (id, ref) = try resolveBase(revision.base, text)
        for step in revision.steps {
            switch step {
            case .at(let date):
                guard let ref else {
                    throw ObjectDatabaseError.badRevision(
                        RevisionFault(text: text, reason: "only a branch or tag has a history of dates"))
                }
                guard let time = Timestamp(parsing: date, now: now()) else {
                    throw ObjectDatabaseError.badRevision(
                        RevisionFault(
                            text: text,
                            reason: "'\(date)' is no date; write 2026-01-31, 2026-01-31T12:00Z or '3 days ago'"))
                }
                id = try commit(of: ref, at: time, text)
            case .parent(0): break
            case .parent(let number): id = try parent(of: id, number)
            case .ancestor(let count):
                for _ in 0..<count { id = try parent(of: id, 1) }
            }
        }
        return ResolvedRevision(commitID: id, commit: try commit(id), ref: revision.steps.isEmpty ? ref : nil)
    }

    private func resolveBase(_ base: String, _ text: String) throws -> (CommitID, RefName?) {
        let digits = base.lowercased()
        // Before refs, so that an id that was written down can come to mean nothing else.
        if let id = CommitID(hex: digits), try hasCommit(id) { return (id, nil) }
        for kind in RefName.Kind.named {
            // Text that cannot be a ref's name may still be a commit.
            guard let name = try? RefName(kind, base) else { continue }
            if let commit = try head(of: name) { return (commit, name) }
        }
        guard digits.utf8.count >= 6, digits.utf8.count < 64, digits.allSatisfy(\.isHexDigit) else {
            throw ObjectDatabaseError.revisionNotFound(text)
        }
        let page = try store.list(prefix: ObjectKeys.commits + digits, after: nil, limit: 10)
        let matches = page.objects.compactMap { CommitID(hex: $0.key.dropFirst(ObjectKeys.commits.count)) }
        guard let match = matches.first else { throw ObjectDatabaseError.revisionNotFound(text) }
        if matches.count > 1 { throw ObjectDatabaseError.ambiguousRevision(text, candidates: matches.map(\.hex)) }
        return (match, nil)
    }

    private func hasCommit(_ id: CommitID) throws -> Bool {
        do {
            _ = try commit(id)
            return true
        } catch ObjectDatabaseError.missingObject {
            return false
        }
    }

    private static let witnesses = 16

    private func parent(of id: CommitID, _ number: Int) throws -> CommitID {
        let parents = try commit(id).parents
        guard number <= parents.count else { throw ObjectDatabaseError.noParent(id, number: number) }
        return parents[number - 1]
    }

    /// Where the ref pointed at `time`: the newest ref update that is not later, by the word of those before it too. A host whose
    /// clock is wrong gives a time that does not fit into the chain: it is outvoted by up to `witnesses` ref updates before it.
    private func commit(of ref: RefName, at time: Timestamp, _ text: String) throws -> CommitID {
        var first: Timestamp?
        /// The newest comes first. All of them are later by their own word or by most of those behind them.
        var waiting: [RefUpdate] = []
        var found: RefUpdate?
        let present = now()
        func decide(_ isEnd: Bool) {
            while found == nil, let candidate = waiting.first, isEnd || waiting.count > Self.witnesses {
                // What claims to be of the future has a wrong clock.
                let before = waiting.dropFirst().prefix(Self.witnesses).filter { $0.when <= max(present, time) }
                let agreeing = before.count { $0.when <= time }
                if candidate.when <= time, agreeing * 2 >= before.count { found = candidate }
                waiting.removeFirst()
            }
        }
        try forEachRefUpdate(of: liveRef(ref).snapshot) { _, refUpdate in
            first = refUpdate.when
            waiting.append(refUpdate)
            decide(false)
            return found == nil
        }
        decide(true)
        if let commit = found?.new { return commit }
        guard let first, first > time else { throw ObjectDatabaseError.revisionNotFound(text) }
        throw ObjectDatabaseError.notThereYet(ref, at: text, since: first)
    }

    /// The entry at a path of a commit. The root always exists. Throws `.collected` when the commit's data is gone,
    /// though a cache may hold some of it.
    package func entry(at path: TreePath, in commit: Commit, named revision: String) throws -> LocatedEntry {
        try refuseIfCollected(CommitID(hashing: encodeRecord(commit)), tree: commit.tree)
        guard let entry = try tree(commit.tree).entry(at: path) else {
            throw ObjectDatabaseError.pathNotFound(path: path, revision: revision)
        }
        return entry
    }
}
