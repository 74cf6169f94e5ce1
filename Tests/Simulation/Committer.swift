import BlockingIO
import Glibc
import ObjectDatabase
import ObjectStorage
import Operations
import ProllyTree
import TestSupport
import Versioning

/// Imports, reverts, resets, merges: processes that keep nothing on their host.
final class Committer: @unchecked Sendable {
    // SAFETY: as for the scheduler.
    private let world: World
    private let actions: Int
    private var number = 0

    init(_ world: World, actions: Int) {
        self.world = world
        self.actions = actions
    }

    func run(_ process: SimulatedProcess) {
        for _ in 0..<actions {
            if process.isDead || world.oracle.violation != nil { return }
            process.rest()
            number += 1
            let message = "\(process.name)#\(number)"
            let faults = process.faults
            do {
                try act(process, message)
            } catch {
                world.judge(error, of: process, doing: message, hadFaults: process.faults > faults)
            }
        }
    }

    private func act(_ process: SimulatedProcess, _ message: String) throws {
        let repository = try world.open(world.bucket, process)
        let info = CommitInfo(author: process.name, message: message)
        switch process.random.below(12) {
        case 0:
            process.log("reverts the head")
            let head = try repository.database.resolve("main")
            let published = try repository.revert(head, on: world.branch, info)
            world.oracle.acknowledged(published.commitID, on: world.branch, to: process)
        case 1:
            process.log("resets to the head's parent")
            let head = try repository.database.liveRef(world.branch).commit
            guard let parent = try repository.database.commit(head).parents.first else { return }
            _ = try repository.reset(world.branch, to: parent, who: process.name, why: message)
            world.oracle.acknowledged(parent, on: world.branch, to: process)
        default:
            // A few contents, again and again: the same ids are collected and made anew.
            let path = "f\(process.random.below(2))"
            let text = "content \(process.random.below(4))"
            process.log("imports \(path) = \(text) as \(message)")
            let source = try world.source(of: process, [path: text])
            let published = try repository.importDirectory(source, into: world.branch, info)
            world.oracle.acknowledged(published.commitID, on: world.branch, to: process)
        }
    }
}

/// Runs the collector, on the store or the mirror.
final class Collector: @unchecked Sendable {
    // SAFETY: as for the scheduler.
    private let world: World
    private let bucket: Bucket
    private let runs: Int

    init(_ world: World, _ bucket: Bucket, runs: Int) {
        self.world = world
        self.bucket = bucket
        self.runs = runs
    }

    func run(_ process: SimulatedProcess) {
        world.repeating(process, "gc", runs) { _ in
            var options = GarbageOptions()
            options.deletes = true
            options.grace = .zero
            process.log("collects \(bucket.store.location)")
            let report = try world.open(bucket, process).collectGarbage(options)
            process.log("has deleted \(report.deleted.objects) objects, \(report.expired.count) commits expired")
        }
    }
}

/// Copies the repository to its mirror.
final class Copier: @unchecked Sendable {
    // SAFETY: as for the scheduler.
    private let world: World
    private let runs: Int

    init(_ world: World, runs: Int) {
        self.world = world
        self.runs = runs
    }

    func run(_ process: SimulatedProcess) {
        world.repeating(process, "copy", runs) { _ in
            process.log("copies to the mirror")
            let target = SimulatedStore(world.mirror, process, world.plan)
            let report = try world.open(world.bucket, process).mirror(
                to: RetryingStore(target, policy: RetryPolicy(attempts: 2)),
                targetQuirks: .init(quoteIfMatch: true))
            process.log("has copied \(report.commits) commits")
        }
    }
}

extension SimulatedProcess {
    /// What people do between two commands.
    func rest() {
        sleep([Span.second, Span.minute, 20 * Span.minute, 3 * Span.hour, 20 * Span.hour][random.below(5)])
        sleep(Int64(random.below(Int(Span.minute))))
    }
}

extension World {
    /// Runs a command several times, with rests between, until its process dies or something wrong was seen.
    func repeating(
        _ process: SimulatedProcess, _ name: String, _ runs: Int, _ command: (_ number: Int) throws -> Void
    ) {
        for number in 0..<runs {
            if process.isDead || oracle.violation != nil { return }
            process.rest()
            let faults = process.faults
            do {
                try command(number)
            } catch {
                judge(error, of: process, doing: "\(name) \(number)", hadFaults: process.faults > faults)
            }
        }
    }

    /// A directory with these files, always with the same times.
    func source(of process: SimulatedProcess, _ files: [String: String]) throws -> String {
        let directory = "\(directory)/\(process.name)"
        try removeTree(directory)
        try makeDirectories(directory)
        let time = timespec(tv_sec: 1_000_000_000, tv_nsec: 0)
        for (name, text) in files {
            let path = directory + "/" + name
            let descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
            precondition(descriptor >= 0 && Glibc.write(descriptor, text, text.utf8.count) == text.utf8.count)
            close(descriptor)
            utimensat(AT_FDCWD, path, [time, time], 0)
        }
        utimensat(AT_FDCWD, directory, [time, time], 0)
        return directory
    }

    /// Whether a process may fail so.
    func judge(_ error: any Error, of process: SimulatedProcess, doing message: String, hadFaults: Bool) {
        process.log("\(message) fails: \(error)")
        if process.isDead { return }
        let verdict = Verdict(error)
        if verdict == .definite { oracle.saidToHaveFailed(message) }
        if verdict == .wrong || (verdict == .unavailable && !hadFaults) {
            oracle.report("\(message) failed though nothing was in its way: \(error)")
        }
    }
}

/// What a failure says.
enum Verdict {
    /// A rival was faster, or slept on: nothing was published and nothing will be.
    case definite
    /// A request got no answer: what became of it is not known.
    case unavailable
    /// Nothing that others may do leads to it.
    case wrong

    init(_ error: any Error) {
        switch error {
        case RepositoryError.conflicts, RepositoryError.contended, RepositoryError.nothingToCommit,
            RepositoryError.nothingToMerge, RepositoryError.collectionRefused, ObjectDatabaseError.leaseLost,
            ObjectDatabaseError.collected, ObjectDatabaseError.noParent:
            self = .definite
        case StoreError.unavailable, ObjectDatabaseError.store(.unavailable): self = .unavailable
        case StoreError.preconditionFailed, ObjectDatabaseError.store(.preconditionFailed): self = .definite
        case TreeError.unreadable(_, let reason), TreeError.unwritable(_, let reason): self = Verdict(reason)
        case RepositoryError.collectionStopped(let cause, _): self = Verdict(cause)
        default: self = .wrong
        }
    }
}
