import BlockingIO
import Dispatch
import TestSupport

/// Virtual time, and who goes on: one process at a time, until it waits. The store's clock is the time itself.
///
/// Everything that happens is a due time and what to do then. Whoever waits says for how long; then whatever is due first
/// happens. So each run is a function of its seed.
final class Scheduler: @unchecked Sendable {
    // SAFETY: the thread that has the baton touches it, and the semaphores that hand the baton on order all that.
    private enum Action {
        case resume(SimulatedProcess)
        case run(() -> Void)
    }

    private struct Event {
        let due: Int64
        let order: Int
        let action: Action
    }

    /// Since 1970.
    private(set) var nanoseconds: Int64 = 1_800_000_000 * 1_000_000_000
    private var events: [Event] = []
    private var order = 0
    private(set) var steps = 0
    private var processes: [SimulatedProcess] = []
    private let hasEnded = DispatchSemaphore(value: 0)
    let trace: Trace

    /// A run that takes more has a loop in it.
    private static let maximumSteps = 60_000
    private(set) var isStuck = false

    init(trace: Trace) { self.trace = trace }

    var seconds: Int64 { nanoseconds / 1_000_000_000 }

    /// Runs all processes to their end, and what is still on its way.
    func run(_ bodies: [(process: SimulatedProcess, body: (SimulatedProcess) -> Void)]) throws {
        processes = bodies.map(\.process)
        for (process, body) in bodies {
            add(process.startDelay, .resume(process))
            let start = UncheckedBox(body)
            try startThread { [self] in
                process.baton.wait()
                SimulatedHost.enter(process.host)
                start.value(process)
                SimulatedHost.enter(nil)
                handOn()
            }
        }
        handOn()
        hasEnded.wait()
    }

    /// Lets time pass for a process, and others do what they do meanwhile.
    func wait(_ process: SimulatedProcess, _ duration: Int64) {
        if process.isDead || process.isAlone { return }
        steps += 1
        if steps > Self.maximumSteps, !isStuck {
            isStuck = true
            for process in processes { process.isDead = true }
            return
        }
        add(duration, .resume(process))
        guard let next = next(), next !== process else { return }
        next.baton.signal()
        process.baton.wait()
    }

    /// Does something later, whoever goes on then.
    func later(_ duration: Int64, _ body: @escaping () -> Void) { add(duration, .run(body)) }

    /// Time passes while nothing happens.
    func pass(_ duration: Int64) { nanoseconds += duration }

    private func add(_ duration: Int64, _ action: Action) {
        events.append(Event(due: nanoseconds + duration, order: order, action: action))
        order += 1
    }

    /// The process that goes on; `nil` when nothing is left to be done.
    private func next() -> SimulatedProcess? {
        while let index = events.indices.min(by: {
            (events[$0].due, events[$0].order) < (events[$1].due, events[$1].order)
        }) {
            let event = events.remove(at: index)
            nanoseconds = max(nanoseconds, event.due)
            switch event.action {
            case .resume(let process): return process
            case .run(let body): body()
            }
        }
        return nil
    }

    private func handOn() {
        if let next = next() { next.baton.signal() } else { hasEnded.signal() }
    }
}

/// Hands something to the thread that is about to run it.
struct UncheckedBox<Value>: @unchecked Sendable {
    let value: Value

    init(_ value: Value) { self.value = value }
}

/// One process of a simulated host, on a thread of its own.
final class SimulatedProcess: @unchecked Sendable {
    // SAFETY: as for the scheduler.
    let name: String
    let scheduler: Scheduler
    let baton = DispatchSemaphore(value: 0)
    /// How far the host's wall clock is ahead.
    let skewSeconds: Int64
    let startDelay: Int64
    var random: SeededRandom
    /// It was killed: nothing that it does has an effect any more.
    var isDead = false
    /// What it does happens at once, without a fault.
    var isAlone = false
    /// What went wrong for it so far.
    var faults = 0
    /// What another thread of the host may do while this one waits for the store.
    var beside: (() -> Void)?

    init(_ name: String, _ scheduler: Scheduler, skewSeconds: Int64, startDelay: Int64, seed: UInt64) {
        self.name = name
        self.scheduler = scheduler
        self.skewSeconds = skewSeconds
        self.startDelay = startDelay
        random = SeededRandom(seed: seed)
    }

    var host: SimulatedHost {
        SimulatedHost(
            wallClock: { [self] in
                (scheduler.seconds + skewSeconds, UInt32(scheduler.nanoseconds % 1_000_000_000))
            },
            uptime: { [self] in .nanoseconds(scheduler.nanoseconds - 1_799_000_000 * 1_000_000_000) },
            sleep: { [self] in scheduler.wait(self, Int64($0) * 1_000_000) },
            random: { [self] in random.next() })
    }

    func sleep(_ duration: Int64) { scheduler.wait(self, duration) }

    /// Does something that nothing interrupts.
    func alone<Result>(_ body: () throws -> Result) rethrows -> Result {
        let before = isAlone
        isAlone = true
        defer { isAlone = before }
        return try body()
    }

    func log(_ line: @autoclosure () -> String) { scheduler.trace.add(scheduler.nanoseconds, name, line()) }
}

enum Span {
    static let millisecond: Int64 = 1_000_000
    static let second: Int64 = 1_000 * millisecond
    static let minute: Int64 = 60 * second
    static let hour: Int64 = 60 * minute
    static let day: Int64 = 24 * hour
}

/// What happened, for whoever looks at one seed; for all others a number that tells two runs apart.
final class Trace: @unchecked Sendable {
    // SAFETY: as for the scheduler.
    private let isKept: Bool
    private(set) var lines: [String] = []
    private(set) var fingerprint: UInt64 = 0xcbf2_9ce4_8422_2325

    init(isKept: Bool) { self.isKept = isKept }

    func add(_ nanoseconds: Int64, _ name: String, _ line: @autoclosure () -> String) {
        if isKept { lines.append(stamp(nanoseconds) + " " + name + ": " + line()) }
    }

    func mix(_ nanoseconds: Int64, _ text: String) {
        for byte in text.utf8 { fingerprint = (fingerprint ^ UInt64(byte)) &* 0x100_0000_01b3 }
        fingerprint = (fingerprint ^ UInt64(bitPattern: nanoseconds)) &* 0x100_0000_01b3
    }

    private func stamp(_ nanoseconds: Int64) -> String {
        let milliseconds = nanoseconds / 1_000_000 - 1_800_000_000_000
        func two(_ number: Int64) -> String { (number < 10 ? "0" : "") + "\(number)" }
        let (seconds, rest) = (milliseconds / 1000, milliseconds % 1000)
        let fraction = String(repeating: "0", count: 3 - "\(rest)".count) + "\(rest)"
        return
            "\(seconds / 86_400)d \(two(seconds / 3600 % 24)):\(two(seconds / 60 % 60)):\(two(seconds % 60)).\(fraction)"
    }
}
