import BlockingIO
import Glibc
import ObjectDatabase
import ObjectStorage
import Operations
import TestSupport
import Versioning

/// What is left out on purpose, to see that the simulator notices.
enum Mutations {
    enum Mutation: String, CaseIterable {
        case storeIgnoresConditions = "store-ignores-conditions"
        /// The leases of mounts are not there.
        case leasesVanish = "leases-vanish"
    }

    nonisolated(unsafe) static var on: Set<Mutation> = []

    static func isOn(_ mutation: Mutation) -> Bool { on.contains(mutation) }
}

/// What a run goes without, to see what a failure needs.
enum Ingredient: String, CaseIterable {
    case skew, failures, repeats, pauses, kills, editors, copiers, collectors
    case secondCollector = "second-collector"

    nonisolated(unsafe) static var missing: Set<Ingredient> = []

    var isThere: Bool { !Self.missing.contains(self) }
}

/// The result of one seed.
struct Outcome {
    let violation: Violation?
    let steps: Int
    let trace: Trace
}

func simulate(seed: UInt64, directory: String, traced: Bool) throws -> Outcome {
    let trace = Trace(isKept: traced)
    let world = World(seed: seed, directory: directory, trace: trace)
    do {
        try world.begin()
        try world.scheduler.run(try world.cast())
        try world.end()
    } catch {
        world.oracle.report("the end could not be reached: \(error)")
    }
    world.editors = []
    try removeTree(directory)
    let violation = world.oracle.violation ?? world.mirrorOracle.violation
    return Outcome(violation: violation, steps: world.scheduler.steps, trace: trace)
}

extension World {
    /// A repository with a few commits, and a rule that keeps one or two.
    fileprivate func begin() throws {
        try undisturbed("begin") { process in
            _ = try Repository.create(
                in: SimulatedStore(bucket, process, FaultPlan()), quirks: .init(quoteIfMatch: true),
                author: "Test <test@example.org>", logger: .silent)
            let repository = try open(bucket, process)
            for number in 0..<2 {
                let source = try source(of: process, ["f\(number)": "content \(number)", "g\(number)": "g\(number)"])
                let info = CommitInfo(author: "begin", message: "begin#\(number)")
                _ = try repository.importDirectory(source, into: branch, info)
            }
            if !oneIn(4) { try repository.keep("main", commits: 1 + below(2)) }
            if hasMirror { _ = try repository.mirror(to: mirror.store, targetQuirks: .init(quoteIfMatch: true)) }
        }
    }

    fileprivate func cast() throws -> [(process: SimulatedProcess, body: (SimulatedProcess) -> Void)] {
        var cast: [(process: SimulatedProcess, body: (SimulatedProcess) -> Void)] = []
        for _ in 0..<1 + below(2) {
            let committer = Committer(self, actions: 2 + below(4))
            cast.append((process("writer"), { committer.run($0) }))
        }
        for number in 0..<below(3)
        where Ingredient.collectors.isThere && (number == 0 || Ingredient.secondCollector.isThere) {
            let collector = Collector(self, bucket, runs: 2 + below(3))
            collectors.store += 1
            cast.append((process("collector"), { collector.run($0) }))
        }
        for _ in 0..<[0, 1, 1, 2][below(4)] {
            let process = process("editor")
            let editor = Editor(self, process, actions: 6 + below(8))
            guard Ingredient.editors.isThere else { continue }
            editors.append(editor)
            cast.append((process, { editor.run($0) }))
        }
        if hasMirror {
            for _ in 0..<1 + below(2) {
                let copier = Copier(self, runs: 1 + below(3))
                cast.append((process("copier"), { copier.run($0) }))
            }
            if !oneIn(3) {
                let collector = Collector(self, mirror, runs: 2 + below(3))
                cast.append((process("mirror-collector"), { collector.run($0) }))
            }
        }
        return cast
    }

    /// What must hold when all have ended.
    fileprivate func end() throws {
        if oracle.violation != nil || mirrorOracle.violation != nil { return }
        if scheduler.isStuck { oracle.report("it does not come to an end") }
        try undisturbed("end") { process in
            for editor in editors { try editor.end() }
            try oracle.checkChains()
            try oracle.checkSound()
            if hasMirror { try mirrorOracle.checkSound() }
            // By then all leases have ended.
            scheduler.pass(400 * Span.day)
            try collect(bucket, oracle, process)
            if hasMirror { try collect(mirror, mirrorOracle, process) }
            let source = try source(of: process, ["last": "last"])
            _ = try open(bucket, process).importDirectory(
                source, into: branch, CommitInfo(author: "end", message: "end"))
            try oracle.checkSound()
            if !hasMirror { return }
            _ = try open(bucket, process).mirror(to: mirror.store, targetQuirks: .init(quoteIfMatch: true))
            try mirrorOracle.checkSound()
        }
    }

    /// A collector that is left alone leaves nothing dead.
    private func collect(_ bucket: Bucket, _ oracle: Oracle, _ process: SimulatedProcess) throws {
        var options = GarbageOptions()
        options.deletes = true
        options.grace = .zero
        _ = try open(bucket, process).collectGarbage(options)
        try oracle.checkSound()
        scheduler.pass(Span.minute)
        options.deletes = false
        let left = try open(bucket, process).collectGarbage(options)
        if left.dead.total.objects > 0 || !left.expired.isEmpty {
            oracle.report("\(bucket.store.location): a collector alone left \(left.dead.total.objects) dead objects")
        }
    }
}
