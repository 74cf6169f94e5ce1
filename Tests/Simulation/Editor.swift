import BlockingIO
import ObjectDatabase
import ObjectStorage
import Operations
import Staging
import TestSupport
import VFS
import Versioning

/// A host with a writable mount: a user who edits, commits and updates, and kills and mounts again.
final class Editor: @unchecked Sendable {
    // SAFETY: as for the scheduler.
    private let world: World
    private let process: SimulatedProcess
    private let directory: String
    private let actions: Int
    private var mount: SimulatedMount?
    private var model: WorkspaceModel
    private var number = 0
    private var leaseWritten: Int64?
    /// It was away for longer than its lease: what its files show may be gone.
    private(set) var isExcused = false
    private var reboots = 0
    /// The commit under way was killed, its mount was not.
    private var commitDead = false
    private var inMount = 0

    private static let paths = ["f0", "f1", "w0", "w1"]
    private static let leaseSpan = 3 * Span.day

    init(_ world: World, _ process: SimulatedProcess, actions: Int) {
        self.world = world
        self.process = process
        self.actions = actions
        directory = "\(world.directory)/\(process.name)"
        model = WorkspaceModel(author: process.name)
        let written = world.bucket.written
        world.bucket.written = { [unowned self] key, body, by in
            written(key, body, by)
            if by === process { self.wrote(key) }
        }
    }

    private var states: [BranchState] { world.oracle.states[ObjectKeys.ref(world.branch)] ?? [] }

    private func wrote(_ key: String) {
        if key.hasPrefix("leases/") {
            noteAge()
            leaseWritten = world.scheduler.nanoseconds
        }
        if key == ObjectKeys.ref(world.branch), let last = states.last, last.author == model.author,
            let fault = model.fault(of: states)
        {
            world.oracle.report(fault)
        }
    }

    private func noteAge() {
        if let leaseWritten, world.scheduler.nanoseconds - leaseWritten > Self.leaseSpan - Span.hour {
            isExcused = true
        }
    }

    /// Where the base is among the branch's states.
    private func base(_ mount: SimulatedMount) throws -> Int {
        let commit = try mount.workspace.base()
        guard let place = states.lastIndex(where: { $0.commit == commit }) else {
            throw Violation(description: "\(process.name) stands on \(commit), which the branch never showed")
        }
        return place
    }

    func run(_ process: SimulatedProcess) {
        for _ in 0..<actions {
            if world.oracle.violation != nil || isExcused { return }
            if process.isDead {
                reboots += 1
                if reboots > 3 { return }
                mount = nil
                (process.isDead, inMount, commitDead) = (false, 0, false)
            }
            let isHasty = process.random.oneIn(3)
            if isHasty { process.sleep(Span.second) } else { process.rest() }
            noteAge()
            number += 1
            let message = "\(process.name)#\(number)"
            let faults = process.faults
            do {
                // A mount looks at its lease each twenty seconds.
                if !isHasty { try look() }
                try act(message)
            } catch {
                noteAge()
                if !isExcused { world.judge(error, of: process, doing: message, hadFaults: process.faults > faults) }
            }
            verify()
        }
    }

    private func act(_ message: String) throws {
        guard let mount else {
            process.log("mounts")
            let mounted = try SimulatedMount(
                world.open(world.bucket, process), directory: directory, branch: world.branch)
            mount = mounted
            try reportKept(mounted)
            return
        }
        switch process.random.below(10) {
        case 0...3: edit(mount)
        case 4...7: try commit(mount, message)
        case 8:
            process.log("updates")
            try update(mount)
        default:
            process.log("unmounts")
            try mount.fileSystem.flushAll()
            try mount.lease.end()
            self.mount = nil
        }
    }

    private func look() throws {
        try mount?.lease.look()
    }

    // MARK: Editing

    private func edit(_ mount: SimulatedMount) {
        process.alone {
            do {
                let path = Self.paths[process.random.below(Self.paths.count)]
                let seen = try mount.text(path)
                let base = try base(mount)
                number += 1
                let text = "\(process.name)#\(number) "
                let new = text + String(repeating: ".", count: max(0, 24 - text.utf8.count))
                switch process.random.below(3) {
                case 0:
                    let source = Self.paths[process.random.below(Self.paths.count)]
                    guard source != path, let copied = try mount.text(source) else { return }
                    process.log("copies \(source) over \(path): \(seen ?? "nothing") becomes \(copied)")
                    try mount.copy(source, over: path)
                    model.wrote(path, copied, isUnique: false, seen: seen, base: base, states)
                case 1:
                    guard let seen else { return }
                    let value = text + seen.utf8.dropFirst(text.utf8.count).map { String(UnicodeScalar($0)) }.joined()
                    process.log("overwrites \(path): \(seen) becomes \(value)")
                    try mount.overwrite(path, text)
                    model.wrote(path, value, isUnique: true, seen: seen, base: base, states)
                default:
                    process.log("writes \(path): \(seen ?? "nothing") becomes \(new)")
                    try mount.put(path, new)
                    model.wrote(path, new, isUnique: true, seen: seen, base: base, states)
                }
            } catch { fail("cannot edit", error) }
        }
    }

    private func fail(_ what: String, _ error: any Error) {
        noteAge()
        if !isExcused { world.oracle.report("\(process.name) \(what): \(error)") }
    }

    /// Whatever was written is there, and nothing else.
    func verify() {
        guard let mount, !process.isDead, !isExcused, world.oracle.violation == nil else { return }
        process.alone {
            do {
                let base = try base(mount)
                for path in Self.paths {
                    let (text, allowed) = (try mount.text(path), model.allowed(path, base: base, states))
                    if !allowed.contains(text) {
                        world.oracle.report(
                            "\(process.name) shows \(path) = \(text ?? "nothing"), and not "
                                + allowed.map { $0 ?? "nothing" }.sorted().joined(separator: " or "))
                    }
                }
            } catch { fail("cannot read", error) }
        }
    }

    // MARK: Committing

    private func commit(_ mount: SimulatedMount, _ message: String) throws {
        process.log("commits as \(message)")
        commitDead = false
        let repository = try world.open(world.bucket, process)
        let workspace = try Workspace(openingExisting: directory, logger: .silent)
        process.beside = { [unowned self] in self.beside(mount) }
        defer { process.beside = nil }
        do {
            let committed = try repository.commitStaged(
                workspace, CommitInfo(author: process.name, message: message),
                holder: Holder(editor: self, mount: mount))
            process.log("has committed \(message)")
            try tell(committed.laterConflicts, with: committed.published.commitID, mount)
            world.oracle.acknowledged(committed.published.commitID, on: world.branch, to: process)
        } catch RepositoryError.conflicts(let conflicts, let head, let side) {
            try tell(conflicts.map(\.path), with: head, mount)
            throw RepositoryError.conflicts(conflicts, head: head, seenFrom: side)
        } catch Killed.commit {
            process.log("the commit was killed")
            try process.alone { try reportKept(mount) }
        }
    }

    /// `tarn status` tells what a commit that broke off has found.
    private func reportKept(_ mount: SimulatedMount) throws {
        let since = states[try base(mount)...]
        for path in try mount.workspace.conflicts().map({ "\($0.path)" }) {
            for state in since { model.reported(path, state.files[path]) }
        }
        try noteTold(mount)
    }

    /// As a command does when it has shown the conflicts.
    private func noteTold(_ mount: SimulatedMount) throws {
        try process.alone {
            try mount.fileSystem.flushAll()
            try mount.workspace.noteTold(mount.workspace.conflicts())
        }
    }

    private func update(_ mount: SimulatedMount) throws {
        commitDead = false
        let repository = try world.open(world.bucket, process)
        let workspace = try Workspace(openingExisting: directory, logger: .silent)
        try repository.recoverSeal(workspace, Holder(editor: self, mount: mount))
        let (head, conflicts) = try mount.fileSystem.update()
        try tell(conflicts, with: head, mount)
    }

    /// Tells the user of conflicts. What was edited since they were found decides nothing.
    private func tell(_ conflicts: [TreePath], with head: CommitID, _ mount: SimulatedMount) throws {
        guard let place = states.lastIndex(where: { $0.commit == head }) else { return }
        for path in conflicts.map({ "\($0)" }) {
            process.log("a conflict in \(path)")
            if let reason = model.falseConflict(path, head: place, states) {
                world.oracle.report("\(process.name): a conflict in \(path) that is none: \(reason)")
            }
            model.reported(path, states[place].files[path])
        }
        try noteTold(mount)
    }

    /// What the user and the mount do while a commit waits for the store.
    private func beside(_ mount: SimulatedMount) {
        if inMount > 0 || process.isDead || commitDead { return }
        switch process.random.below(24) {
        case 0...2: edit(mount)
        case 3:
            let beside = process.beside
            process.beside = nil
            defer { process.beside = beside }
            // The next look makes up for it.
            try? look()
        case 4 where world.plan.kills > 0: commitDead = process.random.oneIn(4)
        default: break
        }
    }

    enum Killed: Error { case commit }

    /// What a commit asks of the mount.
    struct Holder: StagingHolder {
        let editor: Editor
        let mount: SimulatedMount

        private func asking<Result>(_ what: String, _ body: () throws -> Result) throws -> Result {
            if editor.process.isDead || editor.commitDead { throw Killed.commit }
            editor.process.log("is asked to \(what)")
            editor.inMount += 1
            let result = Swift.Result { try body() }
            editor.inMount -= 1
            // Also between the finding of a conflict and the telling.
            if !editor.process.isDead, editor.process.random.oneIn(3) { editor.edit(mount) }
            if editor.process.isDead || editor.commitDead { throw Killed.commit }
            return try result.get()
        }

        func seal() throws { try asking("seal") { _ = try mount.fileSystem.seal() } }

        func protect(_ commit: CommitID) throws {
            try asking("protect") { try mount.fileSystem.basePlanner.protect(commit) }
        }

        func rebase(to commit: CommitID, foreign: Set<TreePath>?) throws -> [TreePath] {
            try asking("rebase") { try mount.fileSystem.rebase(to: commit, foreign: foreign) }
        }

        func abandonSeal() throws { try asking("abandon the seal") { try mount.fileSystem.abandonSeal() } }
    }

    // MARK: The end

    /// Undisturbed, everything that is staged can be seen and committed.
    func end() throws {
        noteAge()
        if isExcused || world.oracle.violation != nil { return }
        let wasBeside = process.beside
        process.beside = nil
        defer { process.beside = wasBeside }
        (process.isDead, process.isAlone, inMount, commitDead) = (false, true, 0, false)
        if mount == nil {
            if leaseWritten == nil { return }
            mount = try SimulatedMount(
                world.open(world.bucket, process, calm: true), directory: directory, branch: world.branch)
        }
        guard let mount else { return }
        try reportKept(mount)
        verify()
        let repository = try world.open(world.bucket, process, calm: true)
        for round in 0..<3 {
            number += 1
            do {
                let info = CommitInfo(author: process.name, message: "\(process.name)#\(number)")
                let committed = try repository.commitStaged(
                    mount.workspace, info, holder: LastHolder(mount: mount))
                world.oracle.acknowledged(committed.published.commitID, on: world.branch, to: process)
                verify()
                return
            } catch RepositoryError.nothingToCommit {
                return verify()
            } catch RepositoryError.conflicts(let conflicts, let head, _) {
                try tell(conflicts.map(\.path), with: head, mount)
                if round == 2 { world.oracle.report("\(process.name): conflicts stay after they were edited") }
                for path in conflicts.map({ "\($0.path)" }) { try decide(path, mount) }
            }
        }
    }

    private func decide(_ path: String, _ mount: SimulatedMount) throws {
        number += 1
        let (seen, base) = (try mount.text(path), try base(mount))
        let text = "\(process.name)#\(number) decided"
        try mount.put(path, text)
        model.wrote(path, text, isUnique: true, seen: seen, base: base, states)
    }

    struct LastHolder: StagingHolder {
        let mount: SimulatedMount

        func seal() throws { _ = try mount.fileSystem.seal() }
        func protect(_ commit: CommitID) throws { try mount.fileSystem.basePlanner.protect(commit) }
        func rebase(to commit: CommitID, foreign: Set<TreePath>?) throws -> [TreePath] {
            try mount.fileSystem.rebase(to: commit, foreign: foreign)
        }
        func abandonSeal() throws { try mount.fileSystem.abandonSeal() }
    }
}
