import Synchronization

/// What a store was asked for so far: each try counts, also those that fail.
package struct StoreMetrics: Hashable, Sendable, Codable {
    package struct Operation: Hashable, Sendable, Codable {
        package var requests: UInt64 = 0
        package var failures: UInt64 = 0
        /// Bytes that came (of reads) or went (of writes).
        package var bytes: UInt64 = 0
        /// How many requests took less than 2^n microseconds and not less than half of that, by n.
        package var latencyBuckets = [UInt64](repeating: 0, count: 32)

        /// Milliseconds within which this share (0...1) of the requests was answered, to a factor of two.
        package func latencyMilliseconds(_ share: Double) -> Double? {
            guard requests > 0 else { return nil }
            var left = UInt64((Double(requests) * share).rounded(.up))
            for (exponent, count) in latencyBuckets.enumerated() {
                if count >= left { return Double(UInt64(1) << UInt64(exponent)) / 1000 }
                left -= count
            }
            return nil
        }
    }

    package var get = Operation()
    package var put = Operation()
    package var list = Operation()
    package var other = Operation()
    /// `nil` for a store that nothing limits (a directory).
    package var traffic: PacerMetrics?

    package init() {}
}

/// Counts and times what it hands on.
package final class MeteredStore: ObjectStore {
    private let base: any ObjectStore
    private let state = Mutex(StoreMetrics())

    package init(_ base: any ObjectStore) {
        self.base = base
    }

    package var metrics: StoreMetrics {
        var metrics = state.withLock { $0 }
        metrics.traffic = base.traffic
        return metrics
    }
    package var location: String { base.location }
    package var traffic: PacerMetrics? { base.traffic }

    package func get(_ key: String, _ part: ObjectPart, ifMatch: ETag?) throws(StoreError) -> StoredObject {
        try measured(\.get, bytes: { UInt64($0.bytes.count) }) { () throws(StoreError) in
            try base.get(key, part, ifMatch: ifMatch)
        }
    }

    package func head(_ key: String) throws(StoreError) -> ObjectInfo {
        try measured(\.other) { () throws(StoreError) in try base.head(key) }
    }

    package func put(_ key: String, _ body: [UInt8], _ condition: WriteCondition) throws(StoreError) -> ETag {
        try measured(\.put, bytes: { _ in UInt64(body.count) }) { () throws(StoreError) in
            try base.put(key, body, condition)
        }
    }

    package func delete(_ key: String) throws(StoreError) {
        try measured(\.other) { () throws(StoreError) in try base.delete(key) }
    }

    package func delete(_ key: String, ifMatch version: ETag) throws(StoreError) -> ConditionalDeletion {
        try measured(\.other) { () throws(StoreError) in try base.delete(key, ifMatch: version) }
    }

    package func list(prefix: String, after: String?, limit: Int) throws(StoreError) -> ObjectPage {
        try measured(\.list) { () throws(StoreError) in try base.list(prefix: prefix, after: after, limit: limit) }
    }

    package func beginUpload(_ key: String) throws(StoreError) -> MultipartUpload {
        try measured(\.other) { () throws(StoreError) in try base.beginUpload(key) }
    }

    package func uploadPart(_ upload: MultipartUpload, number: Int, _ body: [UInt8]) throws(StoreError) -> UploadedPart
    {
        try measured(\.put, bytes: { _ in UInt64(body.count) }) { () throws(StoreError) in
            try base.uploadPart(upload, number: number, body)
        }
    }

    package func completeUpload(_ upload: MultipartUpload, parts: [UploadedPart]) throws(StoreError) -> ETag {
        try measured(\.other) { () throws(StoreError) in try base.completeUpload(upload, parts: parts) }
    }

    package func abortUpload(_ upload: MultipartUpload) throws(StoreError) {
        try measured(\.other) { () throws(StoreError) in try base.abortUpload(upload) }
    }

    private func measured<Value>(
        _ operation: WritableKeyPath<StoreMetrics, StoreMetrics.Operation>, bytes: (Value) -> UInt64 = { _ in 0 },
        _ call: () throws(StoreError) -> Value
    ) throws(StoreError) -> Value {
        let start = ContinuousClock.now
        func note(_ bytes: UInt64, isFailure: Bool) {
            let elapsed = start.duration(to: .now).components
            let microseconds = UInt64(elapsed.seconds) * 1_000_000 + UInt64(elapsed.attoseconds / 1_000_000_000_000)
            let bucket = min(31, UInt64.bitWidth - microseconds.leadingZeroBitCount)
            state.withLock { metrics in
                metrics[keyPath: operation].requests += 1
                metrics[keyPath: operation].failures += isFailure ? 1 : 0
                metrics[keyPath: operation].bytes += bytes
                metrics[keyPath: operation].latencyBuckets[bucket] += 1
            }
        }
        do {
            let value = try call()
            note(bytes(value), isFailure: false)
            return value
        } catch {
            note(0, isFailure: true)
            throw error
        }
    }
}
