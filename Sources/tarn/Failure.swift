import BlockCache
import FUSEServer
import Glibc
import ObjectStorage
import ProllyTree
import Repository
import Staging
import VFS
import Versioning

/// Exit codes, as `tarn --help` documents them.
enum Code: Int32 {
    case done = 0
    case failed = 1
    case usage = 2
    case conflict = 3
    case refused = 4
    case notFound = 5
}

/// A failure of a command itself, in words.
struct CommandFailure: Error {
    let message: String
    var hint: String?
    var code: Code = .failed
}

struct FailureDescription {
    let message: String
    var hint: String?
    var code: Code = .failed
}

/// Writes to standard error as it is.
func printError(_ text: String) {
    let bytes = Array(text.utf8)
    _ = write(STDERR_FILENO, bytes, bytes.count)
}

func writeError(_ text: String) {
    printError(text + "\n")
}

/// Prints what failed and what to do, then ends the process.
func fail(_ message: String, hint: String? = nil, code: Code) -> Never {
    // A message that is a list ends with a line break, and one that asks or tells has its own end.
    let link = message.hasSuffix("\n") ? "" : message.hasSuffix("?") || message.hasSuffix(".") ? " " : ". "
    writeError("tarn: \(message)\(hint.map { link + $0 } ?? "")")
    fflush(nil)
    exit(code.rawValue)
}

/// What to tell a person; `nil` for errors of the argument parser.
func describe(_ error: any Error) -> FailureDescription? {
    switch error {
    case let failure as CommandFailure:
        FailureDescription(message: failure.message, hint: failure.hint, code: failure.code)
    case let error as RepositoryError: words(error)
    case let error as ReceiptFile.Unreadable: FailureDescription(message: error.reason)
    case let error as StoreError: words(error)
    case let error as TreeError: words(error)
    case let error as WorkspaceError: words(error)
    case let error as VersioningError: words(error)
    case let error as BlockCacheError:
        FailureDescription(message: "the block cache cannot be used: \(error)", hint: "Choose another with --cache-dir")
    case let error as FUSEServerError: words(error)
    case let fault as MirrorFault: words(fault)
    case let fault as PrefetchFault: words(fault)
    case let refusal as OrderRefusal: words(refusal)
    case let fault as RefNameFault:
        FailureDescription(message: "'\(fault.name)' cannot be a branch or tag: \(fault.reason)", code: .usage)
    case let fault as PathFault:
        FailureDescription(message: "'\(printableName(fault.path))' cannot be a path: \(fault.reason)", code: .usage)
    case let fault as DecodingFault: FailureDescription(message: "corrupt data: \(fault.reason)")
    default: nil
    }
}

private func words(_ error: RepositoryError) -> FailureDescription {
    switch error {
    case .notARepository(let location):
        FailureDescription(
            message: "there is no Tarn repository at \(location)", hint: "Make one with 'tarn init \(location)'",
            code: .notFound)
    case .alreadyARepository(let location):
        FailureDescription(message: "\(location) is a Tarn repository already")
    case .newerFormat(let object, let found, let supported):
        FailureDescription(
            message: "\(object) has format \(found), and this tarn knows formats up to \(supported)",
            hint: "Install a newer tarn")
    case .unsafeStore(let location, let reason):
        FailureDescription(
            message: "\(location) cannot hold a repository: \(reason)",
            hint:
                "Concurrent commits would be lost there; use a store with conditional writes (If-Match, If-None-Match)")
    case .refNotFound(let name):
        FailureDescription(
            message: "there is no \(name.kind == .branch ? "branch" : "tag") '\(name.name)'",
            hint: "'tarn \(name.kind == .branch ? "branch" : "tag") list' shows what there is", code: .notFound)
    case .refExists(let name):
        FailureDescription(message: "the \(name.kind == .branch ? "branch" : "tag") '\(name.name)' exists already")
    case .revisionNotFound(let text):
        FailureDescription(
            message: "'\(text)' is no branch, tag or commit here",
            hint: "See 'tarn branch list', 'tarn tag list' and 'tarn log'", code: .notFound)
    case .notThereYet(let ref, let text, let since):
        FailureDescription(
            message: "'\(text)' names no commit: '\(ref.name)' begins at \(since.rfc3339.prefix(19))Z",
            hint: "'tarn audit log \(ref.name)' shows where it was when", code: .notFound)
    case .ambiguousRevision(let text, let candidates):
        FailureDescription(
            message: "'\(text)' is the beginning of several commits: \(candidates.joined(separator: ", "))",
            hint: "Give more digits", code: .usage)
    case .badRevision(let fault):
        FailureDescription(message: "'\(fault.text)' is no revision: \(fault.reason)", code: .usage)
    case .noParent(let id, let number):
        FailureDescription(message: "commit \(id.hex.prefix(12)) has no parent \(number)", code: .notFound)
    case .pathNotFound(let path, let revision):
        FailureDescription(message: "there is no '\(path)' in \(revision)", code: .notFound)
    case .notADirectory(let path): FailureDescription(message: "'\(path)' is not a directory")
    case .isADirectory(let path): FailureDescription(message: "'\(path)' is a directory")
    case .corrupt(let object, let reason):
        FailureDescription(
            message: "\(object) is corrupt: \(reason)", hint: "'tarn fsck --data' names everything that it affects")
    case .missingObject(let object, let neededBy):
        FailureDescription(
            message: "\(object) is missing, needed by \(neededBy)", hint: "'tarn fsck' names everything that it affects"
        )
    case .conflicts(let conflicts, let head):
        FailureDescription(
            message: conflictText(conflicts, head),
            hint: "Nothing was changed", code: .conflict)
    case .contended(let name, let attempts, let winner):
        FailureDescription(
            message: "'\(name.name)' was moved by \(winner) (and others) in each of \(attempts) attempts",
            hint: "Nothing was lost; try again")
    case .nothingToCommit: FailureDescription(message: "there is nothing to commit")
    case .nothingToMerge(let source, let destination):
        FailureDescription(message: "'\(destination)' has everything of '\(source)' already")
    case .noCommonHistory(let source, let destination):
        FailureDescription(message: "'\(source)' and '\(destination)' share no commit")
    case .notFastForward(let source, let destination):
        FailureDescription(
            message: "'\(destination)' has commits that '\(source)' lacks", hint: "Merge without --ff-only")
    case .protected(let ref, let rule, let operation):
        FailureDescription(
            message:
                "\(ref.kind == .branch ? "the branch" : "the tag") '\(ref.name)' is protected by the rule '\(rule.pattern)', which refuses: \(operation.rawValue)",
            hint: ref.kind == .branch
                ? "Work on a branch of your own and merge it: tarn branch create NAME --from \(ref.name)"
                : "'tarn protect list' shows the rules",
            code: .refused)
    case .notApproved(let ref, let source, let names, let wanted, let isRevert):
        FailureDescription(
            message:
                "'\(ref.name)' wants \(count(wanted, "approval")) of \(source.hex.prefix(12)), and it has \(names.isEmpty ? "none" : "\(names.count): \(names.joined(separator: ", "))") (an author's own does not count)",
            hint:
                "Somebody else runs: tarn approve \(source.hex.prefix(12)) --into \(ref.name)\(isRevert ? " --revert" : "")",
            code: .refused)
    case .hooksUnusable(let reason):
        FailureDescription(
            message: "the hooks cannot be run, so nothing may pass them: \(reason)",
            hint: "A commit, import or merge that changes only \(Repository.hooksPath) there may mend it",
            code: .refused)
    case .hooksBroken(let reason):
        FailureDescription(
            message: "\(reason)", hint: "Mend it first: once it is published, nothing else may pass it", code: .refused)
    case .hooksUntrusted(let origin, let file):
        FailureDescription(
            message: "the hooks in \(origin) are not trusted on this host, and untrusted hooks are never skipped",
            hint:
                "Read them ('tarn cat \(origin)'), then 'tarn hooks trust \(origin.split(separator: ":").first ?? "")'; in automation set TARN_TRUST_HOOKS=\(file.hex)",
            code: .refused)
    case .hooksRefused(let event, let records):
        FailureDescription(
            message: "\(event) was refused:\n" + records.map { hookText($0) + "\n" }.joined(),
            hint: "Nothing was published. 'tarn hooks log' has all that they said", code: .refused)
    case .localIO(let path, let number): describe(path: path, number)
    case .sourceUnusable(let path, let reason): FailureDescription(message: "\(path): \(reason)")
    case .store(let error): words(error)
    case .collected(_, let record):
        FailureDescription(
            message:
                "the data of commit \(record.commits.map { String($0.hex.prefix(12)) }.joined(separator: ", ")) was collected "
                + "by gc on \(record.when.rfc3339.prefix(19))Z under \(record.rule)",
            hint: "Its record is still in the log; a mirror may have its data", code: .notFound)
    case .retentionNotFound(let glob):
        FailureDescription(
            message: "there is no retention rule for '\(glob)'", hint: "'tarn retention list' shows what there is",
            code: .notFound)
    case .collectionRefused(let reason):
        FailureDescription(message: "nothing was collected: \(reason)", code: .refused)
    case .isMirror(let location, let source):
        FailureDescription(
            message: "\(location) is a mirror of \(source), which takes no commits of its own",
            hint: "Commit there, or make this a repository of its own: tarn mirror --promote \(location)",
            code: .refused)
    case .leaseLost(let seconds):
        FailureDescription(
            message:
                "the lease on what was uploaded was last renewed \(seconds / 3600) hours ago, so that it may be gone",
            hint: "Nothing was changed; run the command again")
    case .interrupted: FailureDescription(message: "interrupted")
    }
}

/// What a hook did, and the last lines it printed.
private func hookText(_ record: HookRecord) -> String {
    let code = record.code.map { " (code \($0))" } ?? ""
    let said = record.output.split(separator: "\n").suffix(10).map { "      \($0)" }
    return (["  \(record.hook): \(record.verdict.rawValue)\(code)"] + said).joined(separator: "\n")
}

private func conflictText(_ conflicts: [Conflict], _ head: CommitID) -> String {
    let lines = conflicts.map { "  \($0.path)  (\($0.reason))" }.joined(separator: "\n")
    let count = conflicts.count == 1 ? "one path was" : "\(conflicts.count) paths were"
    return "\(count) changed on both sides, also in \(head.hex.prefix(12)):\n\(lines)\n"
}

private func words(_ error: StoreError) -> FailureDescription {
    switch error {
    case .notFound(let key): FailureDescription(message: "\(key) is missing from the store", code: .notFound)
    case .containerMissing(let location):
        FailureDescription(
            message: "\(location) does not exist", hint: "Check the name, or create the bucket or directory first",
            code: .notFound)
    case .accessDenied(let location, let reason):
        FailureDescription(
            message: "access to \(location) was denied: \(reason)",
            hint: "Check the credentials (AWS_ACCESS_KEY_ID …, AWS_PROFILE) and the bucket's policy")
    case .noCredentials(let tried):
        FailureDescription(
            message: "no credentials were found (tried \(tried.joined(separator: ", ")))",
            hint: "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE")
    case .unavailable(let location, let key, let attempts, let reason):
        FailureDescription(
            message: "\(location) did not answer for \(key) in \(attempts) attempts: \(reason)",
            hint: "Check the network and the endpoint (AWS_ENDPOINT_URL)")
    case .refused(let key, let status, let code, let message):
        FailureDescription(message: "the store refused \(key): \(status) \(code) \(message)")
    case .certificateRefused(let location, let reason):
        FailureDescription(
            message: "the certificate of \(location) is not trusted: \(reason)",
            hint: "Name your CA's file in AWS_CA_BUNDLE")
    case .localIO(let path, let number): describe(path: path, number)
    case .invalidLocation(let location, let reason):
        FailureDescription(message: "'\(location)' is no place for a repository: \(reason)", code: .usage)
    case .preconditionFailed(let key):
        FailureDescription(message: "\(key) was changed by somebody else", hint: "Try again")
    case .rangeNotSatisfiable(let key): FailureDescription(message: "\(key) is shorter than it must be")
    case .invalidKey(let key, let reason): FailureDescription(message: "\(key): \(reason)")
    case .badAnswer(let key, let reason):
        FailureDescription(message: "the store's answer for \(key) makes no sense: \(reason)")
    }
}

private func words(_ error: TreeError) -> FailureDescription {
    switch error {
    case .missing(let id): FailureDescription(message: "tree node \(id) is missing", hint: "Run 'tarn fsck'")
    case .corrupt(let id, let reason):
        FailureDescription(message: "tree node \(id) is corrupt: \(reason)", hint: "Run 'tarn fsck'")
    case .unreadable(_, let reason), .unwritable(_, let reason):
        describe(reason) ?? FailureDescription(message: "\(reason)")
    }
}

private func words(_ error: VersioningError) -> FailureDescription {
    switch error {
    case .tree(let error): words(error)
    case .badEntry(let key, let reason):
        FailureDescription(message: "the tree's entry \(printableName(key)) does not decode: \(reason)")
    }
}

private func words(_ error: WorkspaceError) -> FailureDescription {
    switch error {
    case .inUse(let directory, let holder):
        FailureDescription(
            message: "the workspace \(directory) is in use by \(describeHolder(holder))",
            hint: "Unmount it first, or mount with -o workspace=NAME for a second one", code: .refused)
    case .belongsElsewhere(let directory, let found, let wanted):
        FailureDescription(
            message: "the workspace \(directory) belongs to \(found), not to \(wanted)",
            hint: "Mount with -o workspace=NAME")
    case .newerFormat(let directory, let found):
        FailureDescription(message: "\(directory) has format \(found)", hint: "Install a newer tarn")
    case .database(let path, let reason): FailureDescription(message: "\(path): \(reason)")
    case .corrupt(let path, let reason): FailureDescription(message: "\(path) is damaged: \(reason)")
    case .localIO(let path, let number): describe(path: path, number)
    case .notThere(let directory):
        FailureDescription(message: "there is no workspace at \(directory)", code: .notFound)
    case .alreadySealed: FailureDescription(message: "another commit of this workspace is under way", code: .refused)
    case .notSealed: FailureDescription(message: "the workspace is not sealed")
    }
}

private func words(_ fault: PrefetchFault) -> FailureDescription {
    switch fault {
    case .badPath(let line, let fault):
        FailureDescription(
            message: "line \(line): '\(printableName(fault.path))' cannot be a path: \(fault.reason)",
            hint: "Nothing was fetched", code: .usage)
    case .notFound(let line, let path):
        FailureDescription(
            message: "line \(line): there is no '\(path)' in the commit", hint: "Nothing was fetched", code: .notFound)
    case .notAFile(let line, let path, let isDirectory):
        FailureDescription(
            message: "line \(line): '\(path)' is a \(isDirectory ? "directory" : "symbolic link"), not a file",
            hint: "Nothing was fetched")
    case .tooManyFiles(let limit): FailureDescription(message: "these are more than \(limit) files")
    case .doesNotFit(let needed, let limit):
        FailureDescription(
            message:
                "these files take \(humanSize(needed)), and the block cache has room for \(humanSize(limit)) of them",
            hint:
                "Nothing was fetched. Give it more with --cache-size, name less, or let a mount fetch ahead (--order, --at)"
        )
    case .notKept(let path):
        FailureDescription(
            message: "what was fetched of '\(path)' is not in the block cache",
            hint: "Its disk may be full, or another program lowered its limit")
    }
}

private func words(_ refusal: OrderRefusal) -> FailureDescription {
    switch refusal {
    case .noOneCommit: FailureDescription(message: "it does not show one commit, so it takes no order")
    case .anotherCommit(let id): FailureDescription(message: "it shows commit \(id.hex.prefix(12))")
    case .noCache: FailureDescription(message: "it has no block cache to fetch into")
    case .tooManyFiles(let limit): FailureDescription(message: "an order has at most \(limit) files")
    }
}

private func words(_ error: FUSEServerError) -> FailureDescription {
    switch error {
    case .cannotMount(let mountPoint):
        FailureDescription(
            message: "cannot mount at \(mountPoint)",
            hint: "Is the package fuse3 installed ('apt install fuse3') and /dev/fuse there?")
    case .ended(let status): FailureDescription(message: "the mount ended: \(String(cString: strerror(status)))")
    }
}

private func describe(path: String, _ number: Int32) -> FailureDescription {
    FailureDescription(message: "\(path): \(String(cString: strerror(number)))")
}
