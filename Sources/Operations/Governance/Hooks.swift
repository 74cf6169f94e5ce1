import Logging
import ObjectDatabase
import ProllyTree
package import Versioning

/// One hook of `.tarn/hooks.yaml`.
package struct Hook: Hashable, Sendable {
    package enum Action: Hashable, Sendable {
        case command(Command)
        /// An address that is told by a POST; the environment variable that holds the secret to sign it with.
        case webhook(url: String, secretVariable: String?, attempts: Int)
    }

    /// A shell command, and what it sees.
    package struct Command: Hashable, Sendable {
        package let text: String
        /// Variables of this host that it gets, besides the few that all get.
        package let variables: [String]
        /// Where it sees the result: an absolute path; `nil`: anywhere.
        package let place: String?
    }

    package let name: String
    /// `pre-merge`, `post-create-tag` …
    package let events: Set<String>
    /// Globs of names: of branches for events of branches, of tags for those of tags.
    package let branches: [String]
    package let tags: [String]
    package let action: Action
    package let timeoutSeconds: Double
    /// Hooks of the same event that must have passed before.
    package let after: [String]
}

extension Hook {
    package func covers(_ ref: RefName) -> Bool {
        (ref.kind == .tag ? tags : branches).contains { Glob($0).matches(ref.name) }
    }
}

/// A hooks file as it lies in a commit.
package struct HooksFile: Sendable {
    package let hooks: [Hook]
    /// The content id of the file.
    package let file: ContentID
    /// What a user trusts: see `GatePrograms`.
    package let programs: GatePrograms
}

/// The hooks of one event that apply to a move, with the exact file they come from.
package struct ApplicableHooks: Sendable {
    package let event: String
    package let hooks: [Hook]
    package let file: ContentID
    /// What a user trusts: see `GatePrograms`.
    package let programs: GatePrograms
    /// Where the file lies: `main:.tarn/hooks.yaml`.
    package let origin: String
    /// The commit that the file and its programs lie in; `nil` when there are no hooks.
    package let commit: CommitID?

    package var isEmpty: Bool { hooks.isEmpty }
}

/// Runs hooks: a mount and processes are needed for that, which the command line has.
package protocol HookRunner: Sendable {
    /// Runs the hooks and answers the ids of their records, in order of hooks. Throws `.hooksUntrusted` and `.hooksRefused`.
    func run(_ hooks: ApplicableHooks, for move: RefUpdateRequest, in repository: Repository) throws -> [HookRecordID]

    /// Tells that hooks after a move failed, which cannot undo it.
    func tellFailure(_ error: any Error, of event: String)
}

package enum HookMoment: String, Sendable {
    case before = "pre"
    case after = "post"
}

extension RefUpdateRequest {
    /// What happens, as hooks name it.
    package var event: String {
        let kind = ref.kind == .branch ? "branch" : "tag"
        return switch operation {
        case .commit, .import, .cherryPick: "commit"
        case .merge, .fastForward: "merge"
        case .revert: "revert"
        case .restore: "restore"
        case .reset: "reset"
        case .create: "create-\(kind)"
        case .delete: "delete-\(kind)"
        case .protect, .retain, .approve, .withdraw: operation.rawValue
        }
    }

    /// Nothing lies at the destination whose hooks could be asked.
    var isDecidedByMain: Bool { operation == .create || operation == .delete }

    /// A revert passes the gates of a merge, too, so does a restore, and so does the creation of a branch that is protected.
    fileprivate func isAsked(by events: Set<String>, _ moment: HookMoment, isProtected: Bool) -> Bool {
        let isLikeMerge =
            [.revert, .restore].contains(operation) || operation == .create && ref.kind == .branch && isProtected
        return events.contains("\(moment.rawValue)-\(event)")
            || isLikeMerge && events.contains("\(moment.rawValue)-merge")
    }
}

extension Repository {
    package static let hooksPath = ".tarn/hooks.yaml"
    private static let maximumHookFileBytes: UInt64 = 1 << 20

    /// The hooks in a commit's tree; `nil` when it has no such file. Throws `.hooksUnusable`.
    package func hookFile(in commitID: CommitID) throws -> HooksFile? {
        try database.retryingStale { try readHookFile(in: commitID) }
    }

    private func readHookFile(in commitID: CommitID) throws -> HooksFile? {
        let tree = database.tree(try database.commit(commitID).tree)
        guard let entry = try tree.entry(at: TreePath(parsing: Self.hooksPath)) else { return nil }
        guard let content = entry.entry.file, content.sizeBytes <= Self.maximumHookFileBytes else {
            throw RepositoryError.hooksUnusable(reason: "\(Self.hooksPath) is no file of at most 1 MiB")
        }
        var bytes: [UInt8] = []
        try forEachBlock(of: entry) { offset, block in
            bytes += [UInt8](repeating: 0, count: Int(offset) - bytes.count) + (block ?? [])
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw RepositoryError.hooksUnusable(reason: "\(Self.hooksPath) is not valid UTF-8")
        }
        do {
            let parsed = try parseHooks(text)
            let programs = try GatePrograms(of: parsed, in: tree)
            return HooksFile(hooks: parsed.hooks, file: content.contentID, programs: programs)
        } catch let error as HookFault {
            // Of the file, or of the programs beside it.
            throw RepositoryError.hooksUnusable(reason: "\(Self.hooksPath): \(error.reason)")
        }
    }

    /// The hooks that a move meets, before it and after it. The destination's own version of the file decides, so that what is
    /// brought in cannot weaken the gate; for creating and deleting, `main`'s.
    ///
    /// - Parameter isProtected: a rule covers the ref.
    func hooks(
        for move: RefUpdateRequest, isProtected: Bool
    ) throws -> (before: ApplicableHooks, after: ApplicableHooks) {
        let holder =
            move.isDecidedByMain ? try move.main ?? database.head(of: .branch(Self.defaultBranch)) : move.old
        return try hooks(for: move, from: holder, isProtected: isProtected)
    }

    /// The same by the hooks file of the commit `holder`.
    func hooks(
        for move: RefUpdateRequest, from holder: CommitID?, isProtected: Bool
    ) throws -> (before: ApplicableHooks, after: ApplicableHooks) {
        let decides = move.isDecidedByMain ? Self.defaultBranch : move.ref.name
        let found: HooksFile?
        do {
            found = try holder.flatMap(hookFile)
        } catch RepositoryError.hooksUnusable(let reason) {
            // No gate is skipped: nobody can say what it would be. Else nothing could ever mend the file.
            guard !move.isDecidedByMain, try mendsOnlyHooks(move) else {
                throw RepositoryError.hooksUnusable(reason: "\(decides):\(reason)")
            }
            found = nil
        }
        func hooks(_ moment: HookMoment) -> ApplicableHooks {
            let hooks = found?.hooks.filter { hook in
                move.isAsked(by: hook.events, moment, isProtected: isProtected) && hook.covers(move.ref)
            }
            return ApplicableHooks(
                event: "\(moment.rawValue)-\(move.event)", hooks: hooks ?? [],
                file: found?.file ?? ContentID(hashing: []), programs: found?.programs ?? .none,
                origin: "\(decides):\(Self.hooksPath)", commit: holder)
        }
        return (hooks(.before), hooks(.after))
    }
}

extension Repository {
    /// Refuses a move that would publish a hooks file which nobody understands: everything after it would be refused.
    func refuseBrokenHooks(_ move: RefUpdateRequest) throws {
        guard move.isMadeOfNewContent, let new = move.new else { return }
        let found: HooksFile?
        do {
            found = try hookFile(in: new)
        } catch RepositoryError.hooksUnusable(let reason) {
            throw RepositoryError.hooksBroken(reason: reason)
        }
        // A file that is not understood is being mended.
        guard let old = move.old, let before = try? hookFile(in: old)?.programs.digest else { return }
        if found?.programs.digest != before {
            database.logger.notice(
                "this changes the gates of \(move.ref.name), by which what comes next is judged: see its \(Self.hooksPath)"
            )
        }
    }

    /// Whether a move changes the hooks file, its directory, and times of directories, and nothing else.
    private func mendsOnlyHooks(_ move: RefUpdateRequest) throws -> Bool {
        guard move.isMadeOfNewContent, let old = move.old, let new = move.new else { return false }
        let file = try TreePath(parsing: Self.hooksPath)
        var isOnlyThat = true
        try database.tree(database.commit(old).tree).pathChanges(to: database.tree(database.commit(new).tree)) {
            change in
            isOnlyThat = change.path == file || change.path == file.parent || change.isOnlyTimeOfDirectory
            return isOnlyThat
        }
        return isOnlyThat
    }
}

extension RefUpdateRequest {
    /// It shows a tree that the branch did not have. (A reset brings back what was.)
    fileprivate var isMadeOfNewContent: Bool {
        guard ref.kind == .branch else { return false }
        return switch operation {
        case .commit, .import, .cherryPick, .merge, .fastForward, .revert, .restore: true
        case .reset, .create, .delete, .protect, .retain, .approve, .withdraw: false
        }
    }
}
