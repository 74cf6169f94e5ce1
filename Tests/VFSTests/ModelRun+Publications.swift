import Foundation
import ObjectDatabase
import ObjectStorage
import Operations
import ProllyTree
import TestSupport
import Testing
import VFS
import Versioning

// Commits that succeed, fail, break off, or run while writing goes on; those of others; and new mounts.

extension ModelRun {
    func publication() throws {
        switch random.below(8) {
        case 0, 1: try commit()
        case 2, 3, 4: try commitWhileWriting()
        case 5: try failedCommit()
        case 6: try brokenOffCommit()
        default:
            try remount()
            check("remounted")
        }
        if random.oneIn(4) { try commitByOthers() }
    }

    func meanwhile() throws {
        for _ in 0..<random.below(8) { try operation() }
    }

    func commit() throws {
        log.append("commit")
        let wanted = model.snapshot
        do { try published(mount.commit(), wanted) } catch RepositoryError.nothingToCommit { log.append("  nothing") }
    }

    func published(_ commit: StagedCommit, _ sealed: [String: ModelSummary]) throws {
        try agrees(commit.published.commitID, sealed)
        #expect(commit.laterConflicts.isEmpty, "seed \(seed): \(commit.laterConflicts)")
        see()
    }

    /// The commit holds what was sealed and what others committed before.
    func agrees(_ id: CommitID, _ sealed: [String: ModelSummary]) throws {
        var wanted = sealed
        if !unseen.isEmpty { wanted["o"] = .directory(0o755) }
        for (path, bytes) in unseen { wanted[path] = .file(bytes, 0o644) }
        let wrong = differences(try summarize(repository, id), wanted)
        let lines = (wrong + ["after:"] + log.suffix(60)).joined(separator: "\n")
        #expect(wrong.isEmpty, "seed \(seed), a commit:\n\(lines)")
    }

    /// The workspace's base holds now what others committed.
    func see() {
        if !unseen.isEmpty { model["o"] = .directory(mode: 0o755) }
        for (path, bytes) in unseen { model[path] = .file(ModelFile(bytes: bytes, mode: 0o644)) }
        unseen = [:]
    }

    func commitWhileWriting() throws {
        log.append("commit with writing meanwhile: sealed")
        var sealed = model.snapshot
        var holder = MountHolder(mount: mount)
        holder.afterSeal = { [self] in
            sealed = model.snapshot
            try meanwhile()
            if random.oneIn(2) { check("sealed") }
        }
        holder.beforeRebase = { [self] in
            log.append("  published")
            try meanwhile()
        }
        do {
            let commit = try repository.commitStaged(mount.workspace, .test(), holder: holder)
            log.append("  rebased")
            try published(commit, sealed)
        } catch RepositoryError.nothingToCommit { log.append("  nothing") }
        check("rebased")
    }

    /// The store fails before the branch is moved: everything stays staged.
    func failedCommit() throws {
        log.append("commit that fails: sealed")
        let head = try repository.head()
        store.setRule { call in
            call.kind == .put && call.key.hasPrefix("commits/") ? .failBefore(.lostReply(call.key)) : .pass
        }
        defer { store.setRule { _ in .pass } }
        var holder = MountHolder(mount: mount)
        holder.afterSeal = { [self] in try meanwhile() }
        do {
            _ = try repository.commitStaged(mount.workspace, .test(), holder: holder)
            Issue.record("seed \(seed): the commit did not fail")
        } catch RepositoryError.nothingToCommit {
            log.append("  nothing")
        } catch is StoreError {
            log.append("  given up")
        }
        #expect(try repository.head() == head)
        check("given up")
    }

    /// The process of the commit ends between the publication and the rebase; the mount goes on, then the next commit
    /// or mount finds the seal.
    func brokenOffCommit() throws {
        struct Killed: Error {}
        log.append("commit that breaks off: sealed")
        var sealed = model.snapshot
        var holder = MountHolder(mount: mount)
        holder.afterSeal = { [self] in
            sealed = model.snapshot
            try meanwhile()
        }
        holder.beforeRebase = { throw Killed() }
        do {
            _ = try repository.commitStaged(mount.workspace, .test(), holder: holder)
            Issue.record("seed \(seed): the commit did not break off")
        } catch is Killed {
            try agrees(try repository.head(), sealed)
            log.append("  broken off")
            try meanwhile()
            check("broken off")
            if random.oneIn(2) {
                try remount()
            } else {
                log.append("  recovered")
                try repository.recoverSeal(mount.workspace, MountHolder(mount: mount))
            }
            see()
        } catch RepositoryError.nothingToCommit { log.append("  nothing") }
        check("recovered")
    }

    func remount() throws {
        log.append("remount")
        for handle in handles { try mount.close(handle.inode) }
        handles = []
        try mount.remount()
    }

    func commitByOthers() throws {
        log.append("others commit")
        let source = try TemporaryDirectory()
        let bytes = random.bytes(random.below(500))
        others += 1
        try source.write("\(others)", bytes)
        _ = chmod(source.path, 0o755)
        _ = chmod(source.file("\(others)"), 0o644)
        var options = ImportOptions()
        options.destination = try TreePath(parsing: "o")
        _ = try repository.importDirectory(source.path, into: .main, .test("others"), options: options)
        unseen["o/\(others)"] = bytes
    }
}
