import ObjectStorage
import TestSupport

/// A bucket as it is, and who wants to know what was written to it.
final class Bucket: @unchecked Sendable {
    // SAFETY: as for the scheduler.
    let store: MemoryStore
    /// Called after each write that was carried out, on the thread that goes on.
    var written: (_ key: String, _ body: [UInt8], _ by: SimulatedProcess) -> Void = { _, _, _ in }

    init(_ location: String, _ scheduler: Scheduler, deletesOnCondition: Bool, ignoresConditions: Bool = false) {
        store = MemoryStore(
            location: location, ignoreConditions: ignoresConditions, deletesOnCondition: deletesOnCondition
        ) { scheduler.seconds }
    }
}

/// How often what goes wrong; each number is so many in 100,000 requests.
struct FaultPlan {
    /// A request without an answer.
    var failures = 0
    /// An answered write that is carried out once more.
    var repeats = 0
    /// The host stands still before or after a request.
    var pauses = 0
    /// The process is killed.
    var kills = 0
    /// Requests for keys that begin so fail, pause and kill so many times as often.
    var focus: (prefix: String, factor: Int)?
    /// The longest pause, and the longest time that a request is on its way.
    var longestPause = 5 * Span.day
    var longestDelay = 5 * Span.day
    /// A request takes up to so long.
    var latency = 20 * Span.millisecond

    func rate(_ base: Int, _ key: String) -> Int {
        guard let focus, ObjectKey.has(key, prefix: focus.prefix) else { return base }
        return base * focus.factor
    }
}

/// What one process sees of a bucket: requests take time, fail, arrive late and twice; the process stands still and dies.
final class SimulatedStore: ObjectStore, @unchecked Sendable {
    // SAFETY: as for the scheduler.
    private let bucket: Bucket
    private let process: SimulatedProcess
    private let plan: FaultPlan

    init(_ bucket: Bucket, _ process: SimulatedProcess, _ plan: FaultPlan) {
        self.bucket = bucket
        self.process = process
        self.plan = plan
    }

    var location: String { bucket.store.location }

    func get(_ key: String, _ part: ObjectPart, ifMatch: ETag?) throws(StoreError) -> StoredObject {
        try read("GET", key) { [bucket] () throws(StoreError) in try bucket.store.get(key, part, ifMatch: ifMatch) }
    }

    func head(_ key: String) throws(StoreError) -> ObjectInfo {
        try read("HEAD", key) { [bucket] () throws(StoreError) in try bucket.store.head(key) }
    }

    func list(prefix: String, after: String?, limit: Int) throws(StoreError) -> ObjectPage {
        try read("LIST", prefix) { [bucket] () throws(StoreError) in
            try bucket.store.list(prefix: prefix, after: after, limit: limit)
        }
    }

    func put(_ key: String, _ body: [UInt8], _ condition: WriteCondition) throws(StoreError) -> ETag {
        // Nothing makes a late creation of a ref fail (docs/explanation/design/019-deleting-versions.md).
        let isPrompt = condition == .absent && key.hasPrefix("refs/")
        return try write(describe(condition), key, isPrompt: isPrompt) { [self] () throws(StoreError) in
            let etag = try bucket.store.put(key, body, condition)
            bucket.written(key, body, process)
            if Mutations.isOn(.leasesVanish), key.hasPrefix("leases/"), isMounts(body) { try bucket.store.delete(key) }
            return etag
        }
    }

    private func isMounts(_ lease: [UInt8]) -> Bool { String(decoding: lease, as: UTF8.self).contains("\"mount\"") }

    private func describe(_ condition: WriteCondition) -> String {
        switch condition {
        case .none: "PUT"
        case .absent: "PUT if absent"
        case .matches(let etag): "PUT if \(etag.value.prefix(6))"
        }
    }

    func delete(_ key: String) throws(StoreError) {
        try write("DELETE", key) { [bucket] () throws(StoreError) in try bucket.store.delete(key) }
    }

    func delete(_ key: String, ifMatch version: ETag) throws(StoreError) -> ConditionalDeletion {
        try write("DELETE if \(version.value.prefix(6))", key) { [bucket] () throws(StoreError) in
            try bucket.store.delete(key, ifMatch: version)
        }
    }

    func beginUpload(_ key: String) throws(StoreError) -> MultipartUpload {
        try read("BEGIN", key) { [bucket] () throws(StoreError) in try bucket.store.beginUpload(key) }
    }

    func uploadPart(_ upload: MultipartUpload, number: Int, _ body: [UInt8]) throws(StoreError) -> UploadedPart {
        try read("PART", upload.key) { [bucket] () throws(StoreError) in
            try bucket.store.uploadPart(upload, number: number, body)
        }
    }

    func completeUpload(_ upload: MultipartUpload, parts: [UploadedPart]) throws(StoreError) -> ETag {
        try read("COMPLETE", upload.key) { [bucket] () throws(StoreError) in
            try bucket.store.completeUpload(upload, parts: parts)
        }
    }

    func abortUpload(_ upload: MultipartUpload) throws(StoreError) { try bucket.store.abortUpload(upload) }

    // MARK: What goes wrong

    private func happens(_ base: Int, _ key: String) -> Bool {
        base > 0 && process.random.below(100_000) < plan.rate(base, key)
    }

    private func unavailable(_ key: String) -> StoreError {
        .unavailable(location: location, key: key, attempts: 1, reason: "simulated")
    }

    /// Before a request: it takes its time, and the host may stand still or the process die.
    private func approach(_ verb: String, _ key: String, mayPause: Bool = true) throws(StoreError) {
        if process.isDead { throw unavailable(key) }
        if process.isAlone { return }
        process.sleep(Int64(process.random.below(Int(plan.latency))) + 1)
        process.beside?()
        if mayPause { pauseNow(key) }
        try die(verb, key)
        process.scheduler.trace.mix(process.scheduler.nanoseconds, key)
    }

    private func die(_ verb: String, _ key: String) throws(StoreError) {
        if !process.isDead, happens(plan.kills, key) {
            process.isDead = true
            process.log("is killed at \(verb) \(key)")
        }
        if process.isDead { throw unavailable(key) }
    }

    private func pauseNow(_ key: String) {
        guard happens(plan.pauses, key) else { return }
        let pause = process.random.span(upTo: plan.longestPause)
        process.faults += 1
        process.log("stands still for \(pause / Span.second) s")
        process.sleep(pause)
    }

    private func read<Value>(
        _ verb: String, _ key: String, _ body: () throws(StoreError) -> Value
    ) throws(StoreError) -> Value {
        try approach(verb, key)
        if !process.isAlone, happens(plan.failures, key) {
            process.faults += 1
            process.log("\(verb) \(key): no answer")
            throw unavailable(key)
        }
        return try logged(verb, key, body)
    }

    private func write<Value>(
        _ verb: String, _ key: String, isPrompt: Bool = false, _ body: @escaping () throws(StoreError) -> Value
    ) throws(StoreError) -> Value {
        try approach(verb, key, mayPause: !isPrompt)
        if process.isAlone { return try logged(verb, key, body) }
        if happens(plan.failures, key) {
            process.faults += 1
            switch process.random.below(isPrompt ? 2 : 4) {
            case 0: process.log("\(verb) \(key): lost")
            case 1:
                process.log("\(verb) \(key): answer lost")
                _ = try? logged(verb, key, body)
            default: later("late", verb, key, body)
            }
            throw unavailable(key)
        }
        let value = try logged(verb, key, body)
        if !isPrompt {
            if happens(plan.repeats, key) { later("once more", verb, key, body) }
            pauseNow(key)
            try die("the end of " + verb, key)
        }
        return value
    }

    private func later<Value>(
        _ word: String, _ verb: String, _ key: String, _ body: @escaping () throws(StoreError) -> Value
    ) {
        let delay = process.random.span(upTo: plan.longestDelay)
        process.log("\(verb) \(key): will arrive \(word), in \(delay / Span.second) s")
        process.scheduler.later(delay) { [self] in
            // Nobody waits for the answer.
            _ = try? logged("\(word): \(verb)", key, body)
        }
    }

    private func logged<Value>(
        _ verb: String, _ key: String, _ body: () throws(StoreError) -> Value
    ) throws(StoreError) -> Value {
        do throws(StoreError) {
            let value = try body()
            process.log("\(verb) \(key)")
            // Without the version: a lease names the workspace's directory, which has another name each time.
            process.scheduler.trace.mix(process.scheduler.nanoseconds, String(verb.prefix { $0 != " " }))
            return value
        } catch {
            process.log("\(verb) \(key): \(word(of: error))")
            throw error
        }
    }

    private func word(of error: StoreError) -> String {
        switch error {
        case .notFound: "not there"
        case .preconditionFailed: "refused"
        default: "\(error)"
        }
    }
}

extension SeededRandom {
    /// From milliseconds to `longest`; each order of magnitude is as likely as any other.
    mutating func span(upTo longest: Int64) -> Int64 {
        var span = 10 * Span.millisecond
        var magnitudes = 1
        while span < longest {
            span *= 10
            magnitudes += 1
        }
        span = 10 * Span.millisecond
        for _ in 0..<below(magnitudes) { span *= 10 }
        return min(longest, span + Int64(below(Int(9 * span))))
    }
}
