import BlockingIO
import Logging
import ObjectDatabase
import ObjectStorage
import Synchronization
import Versioning

/// A run of the collector as others see it: in the journal, kept alive by a thread until it ends.
final class SweepRun: Sendable {
    private struct State {
        var pulsed: Duration
        var isEnded = false
        /// A request got no answer: it may still arrive.
        var isUnsettled = false
    }

    let id = randomHex()
    private let repository: Repository
    private let state: Mutex<State>

    private static let pulseMilliseconds = 10_000
    /// A run that has not shown life for so long deletes nothing more: a mirror will soon take it for dead.
    private static let limit: Duration = .seconds(90)
    /// How long it stays in the journal after its end.
    static let keptFor = Duration.days(3)

    init(in repository: Repository) throws {
        self.repository = repository
        state = Mutex(State(pulsed: uptime()))
        let run = SweepJournal.Run(id: id, began: now())
        try SweepJournal.update(in: repository.database.store) { journal in
            journal.endSilentRuns(present: run.began.seconds)
            journal.runs.append(run)
        }
    }

    /// Runs `body` as this run, and notes how it ended.
    func running<Result>(_ body: () throws -> Result) throws -> Result {
        try startHeartbeat { [self] in
            while true {
                for _ in 0..<Self.pulseMilliseconds / 100 {
                    if state.withLock({ $0.isEnded }) { return }
                    sleepMilliseconds(100)
                }
                pulse()
            }
        }
        defer { end() }
        return try body()
    }

    private func pulse() {
        let start = uptime()
        do {
            try update { run in
                run.pulse += 1
                run.alive = now()
            }
            state.withLock { $0.pulsed = start }
        } catch {
            repository.database.logger.warning("the sweep could not show that it lives: \(error)")
        }
    }

    private func update(_ body: (inout SweepJournal.Run) throws -> Void) throws {
        try SweepJournal.update(in: repository.database.store) { [id] journal in
            guard let index = journal.runs.firstIndex(where: { $0.id == id }) else { return }
            try body(&journal.runs[index])
        }
    }

    /// Says that deletions begin. Throws `.collectionRefused` when another run has taken this one for dead.
    func beginDeleting() throws {
        var isThere = false
        try update { run in
            isThere = run.ended == nil
            if isThere { run.deletes = true }
        }
        guard isThere else {
            throw RepositoryError.collectionRefused(
                reason: "another run took this one for dead, because it had stood still; run it again")
        }
    }

    func check() throws {
        if uptime() - state.withLock({ $0.pulsed }) > Self.limit {
            throw RepositoryError.collectionRefused(
                reason: "the store was away for too long to go on safely; run it again to go on")
        }
    }

    /// Sends a request that deletes.
    func settling<Result>(_ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch {
            state.withLock { $0.isUnsettled = true }
            throw error
        }
    }

    private func end() {
        let isSettled = state.withLock { state in
            state.isEnded = true
            return !state.isUnsettled
        }
        do {
            try update { run in
                run.ended = now()
                run.isSettled = isSettled
            }
        } catch {
            repository.database.logger.warning("the end of the sweep could not be noted: \(error)")
        }
    }
}

extension SweepJournal {
    /// A run that is silent for so long is ended by the next, if it has deleted nothing yet. It stops if it was only slow.
    private static let silence = Duration.seconds(15 * 60)

    fileprivate mutating func endSilentRuns(present: Int64) {
        for index in runs.indices where runs[index].ended == nil && runs[index].deletes != true {
            guard present - (runs[index].alive ?? runs[index].began).seconds > Self.silence.wholeSeconds else {
                continue
            }
            runs[index].ended = runs[index].alive ?? runs[index].began
            runs[index].isSettled = true
        }
    }

    /// Whether another run has deleted something since the journal was `before`.
    func hasDeletions(since before: SweepJournal?, besides own: String?) -> Bool {
        let over = Set(before?.runs.filter { $0.ended != nil }.map(\.id) ?? [])
        return runs.contains { $0.deletes == true && $0.id != own && !over.contains($0.id) }
    }

    /// Whether a run may delete something from now on. One that is not listed any more has ended long ago.
    func mayDelete(_ id: String) -> Bool {
        guard let run = runs.first(where: { $0.id == id }) else { return false }
        // One that did not begin to delete may still do so as long as nobody has ended it.
        return run.ended == nil || (run.deletes == true && run.isSettled != true)
    }
}
