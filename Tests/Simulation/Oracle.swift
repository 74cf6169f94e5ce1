import BlockingIO
import ObjectDatabase
import ObjectStorage
import Operations
import ProllyTree
import TestSupport
import Versioning

/// What is wrong with a run.
struct Violation: Error, CustomStringConvertible {
    let description: String
}

/// A state of a branch: what one move of its ref made of it.
struct BranchState {
    let commit: CommitID?
    let author: String
    let message: String
    /// What each file holds.
    let files: [String: String]
    let seconds: Int64
}

/// Sees each write of a bucket the moment it is carried out, and knows what must hold.
final class Oracle: @unchecked Sendable {
    // SAFETY: as for the scheduler.
    private let bucket: Bucket
    private let scheduler: Scheduler
    /// The states of each branch, in order.
    private(set) var states: [String: [BranchState]] = [:]
    private var newestUpdate: [String: RefUpdateID] = [:]
    private(set) var violation: Violation?
    /// Messages of commits that were said to have failed.
    private var failed: Set<String> = []

    init(_ bucket: Bucket, _ scheduler: Scheduler) {
        self.bucket = bucket
        self.scheduler = scheduler
        bucket.written = { [unowned self] key, body, process in
            if key.hasPrefix("refs/heads/") { self.refWritten(key, body, process) }
        }
    }

    /// The first counts.
    func report(_ text: String) {
        if violation != nil { return }
        scheduler.trace.add(scheduler.nanoseconds, "***", text)
        violation = Violation(description: text)
    }

    /// The repository as it is now, with nothing cached.
    func reader() throws -> Repository {
        var options = ObjectDatabase.Options()
        options.ioThreads = 2
        return try Repository(opening: bucket.store, options: options, logger: .silent)
    }

    private func refWritten(_ key: String, _ body: [UInt8], _ process: SimulatedProcess) {
        do {
            let state: RefState = try decodeObject(body, key: key)
            if newestUpdate[key] == state.refUpdate { return }
            newestUpdate[key] = state.refUpdate
            let reader = try reader()
            let commit = try state.commit.map { try reader.database.commit($0) }
            // Who goes back to somebody's commit has not made it.
            let isMade = try reader.database.refUpdate(state.refUpdate).operation != .reset
            let seen = BranchState(
                commit: state.commit, author: isMade ? commit?.author ?? "" : "", message: commit?.message ?? "",
                files: try state.commit.map { try reader.files(of: $0) } ?? [:], seconds: scheduler.seconds)
            states[key, default: []].append(seen)
            scheduler.trace.add(
                scheduler.nanoseconds, process.name,
                "\(bucket.store.location) \(key) is \(seen.message): "
                    + seen.files.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " "))
        } catch {
            report("\(bucket.store.location): \(process.name) moved \(key) to what is not there: \(error)")
        }
    }

    // MARK: What processes were told

    func acknowledged(_ commit: CommitID, on branch: RefName, to process: SimulatedProcess) {
        if states[ObjectKeys.ref(branch)]?.contains(where: { $0.commit == commit }) != true {
            report("\(process.name) was told that \(commit) is committed, and \(branch) never showed it")
        }
    }

    func saidToHaveFailed(_ message: String) { failed.insert(message) }

    // MARK: The end

    /// What was said to have failed is nowhere; the chain of ref updates has all that the branch has shown.
    func checkChains() throws {
        let reader = try reader()
        for (key, states) in states.sorted(by: { $0.key < $1.key }) {
            for state in states where failed.contains(state.message) {
                report("\(state.message) was said to have failed, and \(key) showed it")
            }
            guard let name = ObjectKeys.refName(.branch, key: key), let ref = try reader.database.readRef(name) else {
                report("\(key) is gone")
                continue
            }
            var chain: [CommitID?] = []
            try reader.database.forEachRefUpdate(of: ref) { _, update in
                chain.append(update.new)
                return true
            }
            if chain.reversed() != states.map(\.commit) {
                report("the ref updates of \(key) are not the moves that were made")
            }
        }
    }

    func checkSound() throws {
        let damage = try reader().fsck(data: true).damage
        if !damage.isEmpty { report("\(bucket.store.location) is damaged: \(damage.map { "\($0)" })") }
    }
}

extension Repository {
    /// What each file of a commit holds, as text.
    func files(of id: CommitID) throws -> [String: String] {
        var entries: [(String, LocatedEntry)] = []
        try database.tree(database.commit(id).tree).forEachDescendant(of: .root) { path, entry in
            if entry.entry.file != nil { entries.append(("\(path)", entry)) }
            return true
        }
        var files: [String: String] = [:]
        for (path, entry) in entries { files[path] = String(decoding: try contents(of: entry), as: UTF8.self) }
        return files
    }
}
