import BlockingIO
import Glibc
import ObjectDatabase
import ObjectStorage
import Operations
import TestSupport
import Versioning

/// One run: its bucket, its mirror's bucket, its processes, and what its seed says of them.
final class World: @unchecked Sendable {
    // SAFETY: as for the scheduler.
    let scheduler: Scheduler
    let bucket: Bucket
    let mirror: Bucket
    let oracle: Oracle
    let mirrorOracle: Oracle
    let plan: FaultPlan
    let directory: String
    /// Whether somebody copies to the mirror.
    let hasMirror: Bool
    private(set) var random: SeededRandom
    private var processCount = 0
    var editors: [Editor] = []
    var collectors = (store: 0, mirror: 0)
    /// Two branches would double what is to be read.
    let branch = RefName.main

    init(seed: UInt64, directory: String, trace: Trace) {
        random = SeededRandom(seed: seed &* 0x9e37_79b9_7f4a_7c15 &+ 1)
        scheduler = Scheduler(trace: trace)
        self.directory = directory
        let deletes = random.oneIn(3)
        hasMirror = random.oneIn(3) && Ingredient.copiers.isThere
        let ignores = Mutations.isOn(.storeIgnoresConditions)
        bucket = Bucket("store", scheduler, deletesOnCondition: deletes, ignoresConditions: ignores)
        mirror = Bucket("mirror", scheduler, deletesOnCondition: deletes)
        oracle = Oracle(bucket, scheduler)
        mirrorOracle = Oracle(mirror, scheduler)
        var plan = FaultPlan.drawn(&random)
        if !Ingredient.failures.isThere { plan.failures = 0 }
        if !Ingredient.repeats.isThere { plan.repeats = 0 }
        if !Ingredient.pauses.isThere { plan.pauses = 0 }
        if !Ingredient.kills.isThere { plan.kills = 0 }
        self.plan = plan
    }

    func process(_ name: String) -> SimulatedProcess {
        processCount += 1
        let skew = random.oneIn(2) ? Int64(random.below(20 * 86_400)) - 10 * 86_400 : 0
        return SimulatedProcess(
            "\(name)\(processCount)", scheduler, skewSeconds: Ingredient.skew.isThere ? skew : 0,
            startDelay: random.span(upTo: Span.hour),
            seed: random.next())
    }

    func below(_ bound: Int) -> Int { random.below(bound) }

    func oneIn(_ count: Int) -> Bool { random.oneIn(count) }

    /// A repository as a new process of the host opens it.
    func open(_ bucket: Bucket, _ process: SimulatedProcess, calm: Bool = false) throws -> Repository {
        var options = ObjectDatabase.Options()
        options.ioThreads = 2
        let store = SimulatedStore(bucket, process, calm ? FaultPlan() : plan)
        let policy = RetryPolicy(
            attempts: 1 + process.random.below(3), firstPauseMilliseconds: 100, longestPauseMilliseconds: 10_000)
        return try Repository(opening: RetryingStore(store, policy: policy), options: options, logger: .silent)
    }

    /// Runs something on a host of its own that nothing disturbs, before or after the processes.
    func undisturbed<Result>(_ name: String, _ body: (SimulatedProcess) throws -> Result) rethrows -> Result {
        let process = SimulatedProcess(name, scheduler, skewSeconds: 0, startDelay: 0, seed: random.next())
        process.isAlone = true
        SimulatedHost.enter(process.host)
        defer { SimulatedHost.enter(nil) }
        return try body(process)
    }
}

extension FaultPlan {
    private static let prefixes = [
        "leases/", "refs/", "trees/", "collected/", "gc/", "packs/", "commits/", "movements/",
    ]

    static func drawn(_ random: inout SeededRandom) -> FaultPlan {
        var plan = FaultPlan()
        plan.latency = [5, 20, 200, 2000][random.below(4)] * Span.millisecond
        if random.oneIn(8) { return plan }
        plan.failures = [0, 500, 3000][random.below(3)]
        plan.repeats = [0, 1000][random.below(2)]
        plan.pauses = [0, 300, 1500][random.below(3)]
        plan.kills = [0, 0, 200, 600][random.below(4)]
        if !random.oneIn(3) { plan.focus = (prefixes[random.below(prefixes.count)], 12) }
        return plan
    }
}
