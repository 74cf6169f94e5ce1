import BlockingIO
import Crypto
import Dispatch
import ErrorMessages
import Foundation
import Glibc
import ObjectDatabase
import ObjectStorage
import Operations
import ProllyTree
import Synchronization
import Versioning

/// Runs hooks as shell commands and web requests, over a read-only mount of the exact tree that is to be published.
struct CommandHookRunner: HookRunner {
    let store: StoreArguments
    /// `tarn hooks run` leaves no record.
    var keepsRecords = true

    func run(_ hooks: ApplicableHooks, for move: RefUpdateRequest, in repository: Repository) throws -> [HookRecordID] {
        guard try TrustedHooks(repository).contains(hooks.programs.digest) else {
            throw RepositoryError.hooksUntrusted(origin: hooks.origin, programs: hooks.programs.digest)
        }
        guard let shown = move.new ?? move.old else { return [] }
        let facts = try HookFacts(move, shown, hooks, in: repository, store)
        let records = try runAll(hooks, facts)
        let ids = try keepsRecords ? records.map(repository.saveHookRecord) : []
        let failed = records.filter { $0.verdict != .passed }
        guard failed.isEmpty else { throw RepositoryError.hooksRefused(event: hooks.event, failed) }
        return ids
    }

    func tellFailure(_ error: any Error, of event: String) {
        writeError("tarn: what was published stays, but \(words(of: error))")
    }

    /// Each hook as soon as those it comes after have passed, all others at the same time.
    private func runAll(_ hooks: ApplicableHooks, _ facts: HookFacts) throws -> [HookRecord] {
        let names = Set(hooks.hooks.map(\.name))
        let verdicts = Mutex<[String: HookRecord]>([:])
        var waiting = hooks.hooks
        while !waiting.isEmpty {
            let done = verdicts.withLock { $0 }
            let ready = waiting.filter { hook in hook.after.allSatisfy { done[$0] != nil || !names.contains($0) } }
            waiting.removeAll { hook in ready.contains(hook) }
            let threads = DispatchGroup()
            for hook in ready {
                let isBlocked = hook.after.contains { done[$0].map { $0.verdict != .passed } ?? false }
                threads.enter()
                Thread.detachNewThread {
                    let record = isBlocked ? facts.skipped(hook) : facts.run(hook)
                    verdicts.withLock { $0[hook.name] = record }
                    threads.leave()
                }
            }
            // Every hook has a time limit of its own.
            threads.wait()
        }
        return verdicts.withLock { verdicts in hooks.hooks.compactMap { verdicts[$0.name] } }
    }
}

/// What hooks are told.
private final class HookFacts: @unchecked Sendable {
    private let move: RefUpdateRequest
    private let shown: CommitID
    private let hooks: ApplicableHooks
    /// What is judged, and the tree that the judges come from.
    private let mount: TemporaryMount?
    private let gate: TemporaryMount?
    private let directory: String
    private var environment: [String: String] = [:]
    private let body: [UInt8]

    init(
        _ move: RefUpdateRequest, _ shown: CommitID, _ hooks: ApplicableHooks, in repository: Repository,
        _ store: StoreArguments
    ) throws {
        self.move = move
        self.shown = shown
        self.hooks = hooks
        directory = try makeTemporaryDirectory("hooks")
        let needsMount = hooks.hooks.contains { if case .command = $0.action { true } else { false } }
        mount = needsMount ? try TemporaryMount(shown, of: repository, store) : nil
        gate =
            try needsMount && hooks.commit != shown
            ? hooks.commit.map { try TemporaryMount($0, of: repository, store) } : nil

        let commit = try repository.database.commit(shown)
        let changesFile = directory + "/changes"
        let changedPaths = try Self.writeChanges(to: changesFile, repository.pathChanges(from: move.old, to: move.new))
        let told: [String: String?] = [
            "TARN_EVENT": hooks.event, "TARN_REPO": repository.database.store.location, "TARN_REF": move.ref.name,
            "TARN_BRANCH": move.ref.kind == .branch ? move.ref.name : nil,
            "TARN_TAG": move.ref.kind == .tag ? move.ref.name : nil, "TARN_COMMIT": shown.hex,
            "TARN_PARENT": move.old?.hex, "TARN_SOURCE": move.source?.hex, "TARN_AUTHOR": move.who,
            "TARN_MESSAGE": move.why, "TARN_MOUNT": mount?.directory, "TARN_GATE": (gate ?? mount)?.directory,
            "TARN_CHANGES": changesFile,
        ]
        environment = told.compactMapValues { $0 }
        body = try JSONEncoder.sorted.encode(
            Announcement(
                event: hooks.event, repository: repository.database.store.location,
                repositoryID: repository.database.config.id.uuidString,
                ref: move.ref.qualified, commit: shown.hex, parent: move.old?.hex, source: move.source?.hex,
                author: move.who, message: move.why, tree: commit.tree.hex, metadata: commit.metadata,
                changedPaths: changedPaths)
        ).map { $0 }
    }

    /// A line for each path: `A`, `M` or `D`, a tab, the path (bytes that would break the line are escaped). Answers how many.
    private static func writeChanges(to file: String, _ changes: [PathChange]) throws -> Int {
        let lines = changes.filter { !$0.isOnlyTimeOfDirectory }.map { change in
            "\(change.old == nil ? "A" : change.new == nil ? "D" : "M")\t\(printableName(change.path.bytes))\n"
        }
        try Data(lines.joined().utf8).write(to: URL(filePath: file))
        return lines.count
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    private struct Announcement: Encodable {
        let event: String
        let repository: String
        let repositoryID: String
        let ref: String
        let commit: String
        let parent: String?
        let source: String?
        let author: String
        let message: String
        let tree: String
        let metadata: [String: String]
        let changedPaths: Int
    }

    func run(_ hook: Hook) -> HookRecord {
        let started = now()
        switch hook.action {
        case .command(let command):
            writeError("tarn: hook '\(hook.name)' (\(hooks.event)) …")
            let outcome: HookProcess.Outcome
            do {
                outcome = try process(hook, command).run()
            } catch {
                return record(hook, started, .crashed, nil, words(of: error).shown, isCut: false)
            }
            let (verdict, code): (HookRecord.Verdict, Int?) =
                switch outcome.ending {
                case .exited(0): (.passed, 0)
                case .exited(let code): (.refused, Int(code))
                case .timedOut: (.timedOut, nil)
                case .signalled, .failedToStart: (.crashed, nil)
                }
            return record(hook, started, verdict, code, outcome.output, isCut: outcome.isCut)
        case .webhook(let url, let secret, let attempts):
            return post(hook, url, secretVariable: secret, attempts: attempts, started)
        }
    }

    private func process(_ hook: Hook, _ command: Hook.Command) throws -> HookProcess {
        guard let mount else { throw CommandFailure(message: "there is no mount to look at") }
        var variables = HookProcess.inherited(command.variables)
        // What asks for its home finds no credentials of this user there.
        let home = try makeDirectory(like: directory + "/home")
        variables.merge(["HOME": home, "TMPDIR": home]) { asked, own in
            command.variables.contains("HOME") || command.variables.contains("TMPDIR") ? asked : own
        }
        variables.merge(environment) { _, told in told }
        variables["TARN_HOOK"] = hook.name
        // Python would load modules from where it starts, and from beside a script: only what is trusted may be there.
        variables["PYTHONSAFEPATH"] = "1"
        variables["PYTHONDONTWRITEBYTECODE"] = "1"
        let places = hooks.programs.directories.map { "\((gate ?? mount).directory)/\($0)" }
        variables["PYTHONPATH"] = places.joined(separator: ":")
        if let place = command.place { variables["TARN_MOUNT"] = place }
        return HookProcess(
            name: hook.name, command: command.text, environment: variables,
            directory: (gate ?? mount).directory, place: command.place.map { (mount.directory, $0) },
            scratch: directory, timeoutSeconds: hook.timeoutSeconds)
    }

    func skipped(_ hook: Hook) -> HookRecord {
        record(hook, now(), .skipped, nil, "a hook that it comes after did not pass", isCut: false)
    }

    private func post(
        _ hook: Hook, _ url: String, secretVariable: String?, attempts: Int, _ started: Timestamp
    ) -> HookRecord {
        var headers = [(name: "X-Tarn-Event", value: hooks.event), (name: "X-Tarn-Hook", value: hook.name)]
        if let secretVariable {
            guard let secret = tarn.environment(secretVariable) else {
                return record(hook, started, .crashed, nil, "the variable \(secretVariable) is not set", isCut: false)
            }
            let code = HMAC<SHA256>.authenticationCode(for: body, using: SymmetricKey(data: Data(secret.utf8)))
            headers.append((name: "X-Tarn-Signature", value: "sha256=" + hexEncoded(Array(code))))
        }
        var said = ""
        for attempt in 0..<attempts {
            if attempt > 0 { usleep(UInt32(250_000 << min(attempt, 5))) }
            do throws(WebhookFailure) {
                let (status, answer) = try postJSON(
                    body, to: url, headers: headers, timeoutSeconds: min(hook.timeoutSeconds, 600))
                said = answer
                if (200..<300).contains(status) { return record(hook, started, .passed, status, said, isCut: false) }
                // Only what may pass by itself is tried again.
                if status < 500, status != 429 { return record(hook, started, .refused, status, said, isCut: false) }
                said = "HTTP \(status): \(answer)"
            } catch {
                said = error.reason
            }
        }
        return record(hook, started, .crashed, nil, said, isCut: false)
    }

    private func record(
        _ hook: Hook, _ started: Timestamp, _ verdict: HookRecord.Verdict, _ code: Int?, _ output: String, isCut: Bool
    ) -> HookRecord {
        let action =
            switch hook.action {
            case .command(let command): command.text
            case .webhook(let url, _, _): url
            }
        return HookRecord(
            hook: hook.name, event: hooks.event, ref: move.ref.qualified, commit: shown, file: hooks.file,
            action: action, who: move.who, host: hostName(), started: started, ended: now(), verdict: verdict,
            code: code,
            output: output, isOutputCut: isCut)
    }
}

extension JSONEncoder {
    fileprivate static var sorted: JSONEncoder {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return encoder
    }
}
