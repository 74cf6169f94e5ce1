import Foundation
import ObjectStorage
import ProllyTree
import Repository
import TestSupport
import Testing
import VFS
import Versioning

/// Random operations on a writable mount against a model in memory, interleaved with commits that succeed, fail, break off
/// after their publication, or run while writing goes on.
@Suite struct WorkspaceModelTests {
    @Test(arguments: seeds())
    func anySequenceOfOperationsAgreesWithTheModel(seed: UInt64) throws {
        let run = try ModelRun(seed: seed)
        try run.go(steps: 220)
    }

    /// Fixed ones that found something, and `TARN_TEST_SEEDS=from-to` for a longer search.
    static func seeds() -> [UInt64] {
        if let text = ProcessInfo.processInfo.environment["TARN_TEST_SEEDS"] {
            let bounds = text.split(separator: "-").compactMap { UInt64($0) }
            if bounds.count == 2 { return Array(bounds[0]...bounds[1]) }
        }
        return Array(1...12)
    }
}

private final class ModelRun {
    private let seed: UInt64
    private var random: SeededRandom
    private let store = FaultyStore(MemoryStore())
    private let repository: Repository
    private let directory: TemporaryDirectory
    private let mount: MountedWorkspace
    private var model = ModelTree()
    private var handles: [(inode: InodeNumber, file: ModelFile)] = []
    /// What was done, for whoever looks for the cause of a failure.
    private var log: [String] = []
    private var renames: [(String, String)] = []
    private var others = 0
    /// Files that others committed and that this workspace has not seen yet.
    private var unseen: [String: [UInt8]] = [:]

    init(seed: UInt64) throws {
        self.seed = seed
        random = SeededRandom(seed: seed)
        directory = try TemporaryDirectory()
        repository = try makeRepository(in: store)
        mount = try MountedWorkspace(repository, directory: directory.file("workspace"))
    }

    func go(steps: Int) throws {
        for step in 0..<steps {
            do {
                try operation()
                if random.oneIn(9) { try publication() }
                if step.isMultiple(of: 5) { check("step \(step)") }
            } catch {
                Issue.record("seed \(seed), step \(step): \(error)\n\(log.suffix(40).joined(separator: "\n"))")
                throw error
            }
        }
        try commit()
        check("the end")
        let report = try reopen(store).fsck(data: true)
        #expect(report.damage.isEmpty, "seed \(seed): \(report.damage)")
    }

    private func check(_ place: String) {
        do {
            let wrong = differences(try mount.walk(), model.snapshot)
            let lines = (wrong + ["after:"] + log.suffix(60)).joined(separator: "\n")
            #expect(wrong.isEmpty, "seed \(seed), \(place):\n\(lines)")
            for handle in handles {
                #expect(try mount.read(handle.inode) == handle.file.bytes, "seed \(seed), \(place): an open file")
            }
        } catch {
            Issue.record("seed \(seed), \(place): \(error)\n\(log.suffix(40).joined(separator: "\n"))")
        }
    }

    // MARK: Operations

    private func name() -> String { ["a", "b", "c", "d"][random.below(4)] }

    /// A path in a directory that exists, whether it exists or not.
    private func anyPath() -> String {
        let directory =
            model.directories.filter { $0.count < 6 && !$0.hasPrefix("o") }.randomElement(using: &random) ?? ""
        return directory.isEmpty ? name() : directory + "/" + name()
    }

    private func anyFile() -> (String, ModelFile)? {
        guard let path = model.files.filter({ !$0.hasPrefix("o") }).randomElement(using: &random),
            case .file(let file)? = model[path]
        else { return nil }
        return (path, file)
    }

    private func content() -> [UInt8] {
        random.bytes(random.oneIn(25) ? 300_000 + random.below(900_000) : random.below(3000))
    }

    private func operation() throws {
        switch random.below(15) {
        case 0, 1, 2: try create()
        case 3, 4: try overwrite()
        case 5: try truncate()
        case 6, 7: try rename()
        case 8: try renameBack()
        case 9: try remove()
        case 10, 11: try makeDirectory()
        case 12: try changeMode()
        case 13: try makeLink()
        default: try useHandle()
        }
    }

    private func create() throws {
        let path = anyPath()
        guard model[path] == nil else { return }
        log.append("create \(path)")
        let inode = try mount.create(path, mode: 0o640)
        let file = ModelFile(bytes: content(), mode: 0o640)
        try mount.write(inode, at: 0, file.bytes)
        model[path] = .file(file)
        try keepOrClose(inode, file)
    }

    private func keepOrClose(_ inode: InodeNumber, _ file: ModelFile) throws {
        if random.oneIn(5), handles.count < 4 {
            log.append("  left open as \(inode.value)")
            handles.append((inode, file))
        } else {
            try mount.close(inode)
        }
    }

    private func overwrite() throws {
        guard let (path, file) = anyFile() else { return }
        let inode = try mount.open(path)
        try write(inode, file, "write \(path)")
        try keepOrClose(inode, file)
    }

    private func write(_ inode: InodeNumber, _ file: ModelFile, _ words: String) throws {
        let offset = random.below(file.bytes.count + 1000)
        let bytes = random.bytes(1 + random.below(2000))
        log.append("\(words) at \(offset), \(bytes.count) bytes")
        try mount.write(inode, at: offset, bytes)
        let missing = offset + bytes.count - file.bytes.count
        if missing > 0 { file.bytes += [UInt8](repeating: 0, count: missing) }
        file.bytes.replaceSubrange(offset..<offset + bytes.count, with: bytes)
    }

    private func truncate() throws {
        guard let (path, file) = anyFile() else { return }
        let size = random.oneIn(4) ? 0 : random.below(file.bytes.count + 2000)
        log.append("truncate \(path) to \(size)")
        try mount.truncate(try mount.inode(path), to: size)
        resize(file, size)
    }

    private func resize(_ file: ModelFile, _ size: Int) {
        let missing = size - file.bytes.count
        if missing > 0 { file.bytes += [UInt8](repeating: 0, count: missing) } else { file.bytes.removeLast(-missing) }
    }

    private func rename() throws {
        guard let old = model.paths.filter({ !$0.hasPrefix("o") }).randomElement(using: &random) else { return }
        let new = anyPath()
        try rename(old, to: new)
    }

    /// Moves something back to where it was before: what is staged and what the base has there must not be mixed up.
    private func renameBack() throws {
        guard let (old, new) = renames.randomElement(using: &random) else { return }
        guard model.isDirectory(old) else { return try rename(new, to: old) }
        if let child = model.paths.filter({ $0.hasPrefix(new + "/") }).randomElement(using: &random) {
            try rename(child, to: old + child.dropFirst(new.count))
        }
    }

    private func rename(_ old: String, to new: String) throws {
        guard new != old, !new.hasPrefix(old + "/"), let entry = model[old] else { return }
        guard model.isDirectory(new.split(separator: "/").dropLast().joined(separator: "/")) else { return }
        if let target = model[new] {
            guard target.isDirectory == entry.isDirectory, !model.hasChildren(new) else { return }
        }
        log.append("rename \(old) to \(new)")
        try mount.rename(old, to: new)
        model.rename(old, to: new)
        renames = renames.suffix(9) + [(old, new)]
    }

    private func remove() throws {
        guard let path = model.paths.filter({ !$0.hasPrefix("o") }).randomElement(using: &random) else { return }
        log.append("remove \(path)")
        try remove(path)
    }

    /// Removes a path and everything below it, as `rm -r` does.
    private func remove(_ path: String) throws {
        for child in model.paths.reversed() where child.hasPrefix(path + "/") || child == path {
            if model.isDirectory(child) { try mount.removeDirectory(child) } else { try mount.unlink(child) }
            model[child] = nil
        }
    }

    private func makeDirectory() throws {
        let path = random.oneIn(2) ? anyPath() : renames.randomElement(using: &random)?.0 ?? anyPath()
        guard model[path] == nil else { return }
        guard model.isDirectory(path.split(separator: "/").dropLast().joined(separator: "/")) else { return }
        log.append("mkdir \(path)")
        try mount.makeDirectory(path, mode: 0o750)
        model[path] = .directory(mode: 0o750)
    }

    private func changeMode() throws {
        guard let path = model.paths.filter({ !$0.hasPrefix("o") }).randomElement(using: &random) else { return }
        let mode = UInt16(0o600 + random.below(8))
        switch model[path] {
        case .file(let file)?: file.mode = mode
        case .directory?: model[path] = .directory(mode: mode)
        default: return
        }
        log.append("chmod \(path)")
        try mount.setMode(path, mode)
    }

    private func makeLink() throws {
        let path = anyPath()
        guard model[path] == nil else { return }
        log.append("link \(path)")
        let target = "../target \(random.below(100))"
        try mount.makeLink(path, to: target)
        model[path] = .link(target)
    }

    private func useHandle() throws {
        guard let index = handles.indices.randomElement(using: &random) else { return }
        let handle = handles[index]
        switch random.below(4) {
        case 0:
            log.append("close \(handle.inode.value)")
            handles.remove(at: index)
            try mount.close(handle.inode)
        case 1:
            let size = random.below(handle.file.bytes.count + 500)
            log.append("truncate open \(handle.inode.value) to \(size)")
            try mount.truncate(handle.inode, to: size)
            resize(handle.file, size)
        default: try write(handle.inode, handle.file, "write open \(handle.inode.value)")
        }
    }

    // MARK: Publications

    private func publication() throws {
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

    private func meanwhile() throws {
        for _ in 0..<random.below(8) { try operation() }
    }

    private func commit() throws {
        log.append("commit")
        let wanted = model.snapshot
        do { try published(mount.commit(), wanted) } catch RepositoryError.nothingToCommit { log.append("  nothing") }
    }

    private func published(_ commit: StagedCommit, _ sealed: [String: ModelSummary]) throws {
        try agrees(commit.published.commitID, sealed)
        #expect(commit.laterConflicts.isEmpty, "seed \(seed): \(commit.laterConflicts)")
        see()
    }

    /// The commit holds what was sealed and what others committed before.
    private func agrees(_ id: CommitID, _ sealed: [String: ModelSummary]) throws {
        var wanted = sealed
        if !unseen.isEmpty { wanted["o"] = .directory(0o755) }
        for (path, bytes) in unseen { wanted[path] = .file(bytes, 0o644) }
        let wrong = differences(try summarize(repository, id), wanted)
        let lines = (wrong + ["after:"] + log.suffix(60)).joined(separator: "\n")
        #expect(wrong.isEmpty, "seed \(seed), a commit:\n\(lines)")
    }

    /// The workspace's base holds now what others committed.
    private func see() {
        if !unseen.isEmpty { model["o"] = .directory(mode: 0o755) }
        for (path, bytes) in unseen { model[path] = .file(ModelFile(bytes: bytes, mode: 0o644)) }
        unseen = [:]
    }

    private func commitWhileWriting() throws {
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
    private func failedCommit() throws {
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

    /// The process of the commit ends between the publication and the rebase; the mount goes on, then the next commit or mount
    /// finds the seal.
    private func brokenOffCommit() throws {
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

    private func remount() throws {
        log.append("remount")
        for handle in handles { try mount.close(handle.inode) }
        handles = []
        try mount.remount()
    }

    private func commitByOthers() throws {
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
