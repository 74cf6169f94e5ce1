import ErrorMessages
package import FUSEServer
import Glibc
package import Operations
import ProllyTree
import Staging
package import VFS
import Versioning

/// What to tell a person; `nil` for errors of the argument parser.
func describe(_ error: any Error) -> ErrorMessage? {
    switch error {
    case let failure as CommandFailure:
        ErrorMessage(message: failure.message, hint: failure.hint, kind: failure.kind)
    case let error as RepositoryError: words(error)
    case let error as ReceiptFile.Unreadable: ErrorMessage(message: "\(error.reason)")
    case WorkspaceError.inUse(let directory, let holder):
        message(of: WorkspaceError.inUse(directory: directory, holder: describeHolder(holder)))
    case let error as FUSEServerError: words(error)
    case let fault as MirrorFault: words(fault)
    case let fault as PrefetchFault: words(fault)
    case let refusal as ReadPlanRefusal: words(refusal)
    default: message(of: error)
    }
}

/// What failed, on what, in one text; for every error.
func words(of error: any Error) -> TerminalText { describe(error)?.text ?? logLine(of: error) }

// As in `ErrorDescriptions.swift` of ErrorMessages.

extension RepositoryError: CustomStringConvertible {
    package var description: String { words(self).text.shown }
}

extension MirrorFault: CustomStringConvertible {
    package var description: String { words(self).text.shown }
}

extension HookFault: CustomStringConvertible {
    package var description: String { reason }
}

extension PrefetchFault: CustomStringConvertible {
    package var description: String { words(self).text.shown }
}

extension ReadPlanRefusal: CustomStringConvertible {
    package var description: String { words(self).text.shown }
}

extension FUSEServerError: CustomStringConvertible {
    package var description: String { words(self).text.shown }
}

extension CommandFailure: CustomStringConvertible {
    var description: String { message.shown }
}

extension ReceiptFile.Unreadable: CustomStringConvertible {
    var description: String { reason }
}

private func words(_ error: RepositoryError) -> ErrorMessage {
    switch error {
    case .alreadyARepository(let location):
        ErrorMessage(message: "\(location) is a Tarn repository already")
    case .occupied(let location):
        ErrorMessage(
            message: "\(location) is not empty, and no repository",
            hint: "Choose an empty place, or a directory or prefix of its own", kind: .refused)
    case .refExists(let name):
        ErrorMessage(message: "the \(name.kind == .branch ? "branch" : "tag") '\(name.name)' exists already")
    case .notADirectory(let path): ErrorMessage(message: "'\(path)' is not a directory")
    case .isADirectory(let path): ErrorMessage(message: "'\(path)' is a directory")
    case .conflicts(let conflicts, let head, let side):
        ErrorMessage(
            message: conflictText(conflicts, head, side),
            hint: side == .incoming
                ? "Nothing was published. 'tarn status' lists them; 'tarn resolve PATH --ours|--theirs|--base' decides"
                : "Nothing was changed. Decide with --ours, --theirs or --resolve 'GLOB=ours'", kind: .conflict)
    case .contended(let name, let attempts, let winner):
        ErrorMessage(
            message: "'\(name.name)' was moved by \(winner) (and others) in each of \(attempts) attempts",
            hint: "Nothing was lost; try again")
    case .nothingToCommit: ErrorMessage(message: "there is nothing to commit")
    case .nothingToMerge(let source, let destination, _):
        ErrorMessage(message: "'\(destination)' has everything of '\(source)' already")
    case .noCommonHistory(let source, let destination):
        ErrorMessage(message: "'\(source)' and '\(destination)' share no commit")
    case .notFastForward(let source, let destination):
        ErrorMessage(
            message: "'\(destination)' has commits that '\(source)' lacks", hint: "Merge without --ff-only")
    case .protected(let ref, let rule, let operation):
        ErrorMessage(
            message:
                "\(ref.kind == .branch ? "the branch" : "the tag") '\(ref.name)' is protected by the rule '\(rule.pattern)', which refuses: \(operation.rawValue)",
            hint: ref.kind == .branch
                ? "Work on a branch of your own and merge it: tarn branch create NAME --from \(ref.name)"
                : "'tarn protect list' shows the rules",
            kind: .refused)
    case .notApproved(let ref, let source, let names, let wanted, let step):
        ErrorMessage(
            message:
                "'\(ref.name)' wants \(count(wanted, "approval")) of \(source.hex.prefix(12)), and it has \(names.isEmpty ? "none" : "\(names.count): \(names.joined(separator: ", "))") (an author's own does not count)",
            hint:
                "Somebody else runs: tarn approve \(source.hex.prefix(12)) --into \(ref.kind == .tag ? "tags/" : "")\(ref.name)\(step == .merge ? "" : step == .revert ? " --revert" : " --restore")",
            kind: .refused)
    case .notSigned(let ref, let commit, let who):
        ErrorMessage(
            message: "'\(ref.name)' wants signatures, and commit \(commit.hex.prefix(12)) has none by \(who)",
            hint: "Whoever commits sets TARN_SIGNING_KEY; the key stands in the file that TARN_ALLOWED_SIGNERS names",
            kind: .refused)
    case .noVerifier(let ref):
        ErrorMessage(
            message: "'\(ref.name)' wants signatures, and nothing tells whose are good",
            hint: "Set TARN_ALLOWED_SIGNERS to a file of allowed signers (see 'man ssh-keygen')", kind: .refused)
    case .hooksUnusable(let reason):
        ErrorMessage(
            message: "the hooks cannot be run, so nothing may pass them: \(reason)",
            hint: "A commit, import or merge that changes only \(Repository.hooksPath) there may mend it",
            kind: .refused)
    case .hooksBroken(let reason):
        ErrorMessage(
            message: "\(reason)", hint: "Mend it first: once it is published, nothing else may pass it", kind: .refused)
    case .hooksUntrusted(let origin, let programs):
        ErrorMessage(
            message:
                "the hooks in \(origin), with the programs that they run, are not trusted on this host as they are now; untrusted hooks are never skipped",
            hint:
                "Read them ('tarn hooks trust \(origin.split(separator: ":").first ?? "") --print' lists the files), then 'tarn hooks trust \(origin.split(separator: ":").first ?? "")'; in automation set TARN_TRUST_HOOKS=\(programs.hex)",
            kind: .refused)
    case .hooksRefused(let event, let records):
        ErrorMessage(
            message: "\(event) was refused:\n\(records.map { hookText($0) + "\n" }.joined())",
            hint: "Nothing was published. 'tarn hooks log' has all that they said", kind: .refused)
    case .retentionNotFound(let glob):
        ErrorMessage(
            message: "there is no retention rule for '\(glob)'", hint: "'tarn retention list' shows what there is",
            kind: .notFound)
    case .collectionRefused(let reason):
        ErrorMessage(message: "nothing was collected: \(reason)", kind: .refused)
    case .collectionStopped(let cause, let hasDeleted):
        ErrorMessage(
            message: hasDeleted
                ? "gc stopped: \(words(of: cause))"
                : "nothing was collected, for nothing tells what must stay: \(words(of: cause))",
            hint: describe(cause)?.hint, kind: .refused)
    }
}

/// What a hook did, and the last lines it printed.
private func hookText(_ record: HookRecord) -> TerminalText {
    let code: TerminalText = record.code.map { " (code \($0))" } ?? ""
    let said = TerminalText.lines(of: record.output).filter { !$0.isEmpty }.suffix(10).map { "      " + $0 }
    return (["  \(record.hook): \(record.verdict.rawValue)\(code)"] + said).joined(separator: "\n")
}

private func conflictText(_ conflicts: [Conflict], _ head: CommitID, _ side: MergeSide) -> TerminalText {
    let lines = conflicts.map { "  \($0.path)  (\($0.reason.words(from: side)))" as TerminalText }
        .joined(separator: "\n")
    let count = conflicts.count == 1 ? "one path was" : "\(conflicts.count) paths were"
    return "\(count) changed on both sides, also in \(head.hex.prefix(12)):\n\(lines)\n"
}

private func words(_ fault: PrefetchFault) -> ErrorMessage {
    switch fault {
    case .badPath(let line, let fault):
        ErrorMessage(
            message: "line \(line): '\(printableName(fault.path))' cannot be a path: \(fault.reason)",
            hint: "Nothing was fetched", kind: .usage)
    case .notFound(let line, let path):
        ErrorMessage(
            message: "line \(line): there is no '\(path)' in the commit", hint: "Nothing was fetched", kind: .notFound)
    case .notAFile(let line, let path, let isDirectory):
        ErrorMessage(
            message: "line \(line): '\(path)' is a \(isDirectory ? "directory" : "symbolic link"), not a file",
            hint: "Nothing was fetched")
    case .tooManyFiles(let limit): ErrorMessage(message: "these are more than \(limit) files")
    case .doesNotFit(let needed, let limit):
        ErrorMessage(
            message:
                "these files take \(humanSize(needed)), and the block cache has room for \(humanSize(limit)) of them",
            hint:
                "Nothing was fetched. Give it more with --cache-size, name less, or let a mount fetch ahead (--order, --at)"
        )
    case .notKept(let path):
        ErrorMessage(
            message: "what was fetched of '\(path)' is not in the block cache",
            hint: "Its disk may be full, or another program lowered its limit")
    }
}

private func words(_ refusal: ReadPlanRefusal) -> ErrorMessage {
    switch refusal {
    case .noOneCommit: ErrorMessage(message: "it does not show one commit, so it takes no order")
    case .anotherCommit(let id): ErrorMessage(message: "it shows commit \(id.hex.prefix(12))")
    case .noCache: ErrorMessage(message: "it has no block cache to fetch into")
    case .tooManyFiles(let limit): ErrorMessage(message: "an order has at most \(limit) files")
    }
}

private func words(_ error: FUSEServerError) -> ErrorMessage {
    switch error {
    case .cannotMount(let mountPoint):
        ErrorMessage(
            message: "cannot mount at \(mountPoint)",
            hint: "Is the package fuse3 installed ('apt install fuse3') and /dev/fuse there?")
    case .ended(let status): ErrorMessage(message: "the mount ended: \(String(cString: strerror(status)))")
    }
}
