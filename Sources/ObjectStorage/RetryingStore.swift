import Logging

/// Tries again what may pass: `.unavailable` and `.badAnswer` of the store underneath, up to `policy`. After the last
/// try the error is `.unavailable` with the number of attempts and the last reason. All other errors go up at once.
///
/// **Conditional puts.** A try whose outcome is unknown (timeout, reset, 5xx) may have been carried out. It is made
/// again with the same condition, so nothing is overwritten; but if the first try had in fact won, the second is
/// refused by what the first wrote. `.preconditionFailed` of a conditional put therefore means "the key does not hold
/// what you named", and whoever needs to know who won reads the object back and looks for a write id of its own. The
/// same holds after `.unavailable`. (libcurl, too, may resend once on a fresh connection when a kept one turns out to
/// be closed.)
///
/// **Completing an upload** whose reply was lost finds no upload at the next try. It has succeeded if the key holds
/// an object made of just these parts, which its ETag tells: the MD5 of their MD5s, or (encrypted buckets) the same
/// number of parts. Multipart uploads go to keys that are written once.
package final class RetryingStore: ObjectStore {
    package let base: any ObjectStore
    package let policy: RetryPolicy
    private let logger = Logger(label: "tarn.objectstorage")
    /// People are told, once a call, that one which takes longer goes on.
    private static let secondsToTell = 5.0

    package init(_ base: any ObjectStore, policy: RetryPolicy = RetryPolicy()) {
        self.base = base
        self.policy = policy
    }

    package var location: String { base.location }
    package var traffic: PacerMetrics? { base.traffic }

    package func get(_ key: String, _ part: ObjectPart, ifMatch: ETag?) throws(StoreError) -> StoredObject {
        try retrying(key) { _ throws(StoreError) in try base.get(key, part, ifMatch: ifMatch) }
    }

    package func head(_ key: String) throws(StoreError) -> ObjectInfo {
        try retrying(key) { _ throws(StoreError) in try base.head(key) }
    }

    package func put(_ key: String, _ body: [UInt8], _ condition: WriteCondition) throws(StoreError) -> ETag {
        try retrying(key) { _ throws(StoreError) in try base.put(key, body, condition) }
    }

    package func delete(_ key: String) throws(StoreError) {
        try retrying(key) { _ throws(StoreError) in try base.delete(key) }
    }

    package func delete(_ key: String, ifMatch version: ETag) throws(StoreError) -> ConditionalDeletion {
        try retrying(key) { _ throws(StoreError) in try base.delete(key, ifMatch: version) }
    }

    package func list(prefix: String, after: String?, limit: Int) throws(StoreError) -> ObjectPage {
        try retrying(prefix) { _ throws(StoreError) in try base.list(prefix: prefix, after: after, limit: limit) }
    }

    /// A lost reply leaves an upload that nobody knows; the bucket's lifecycle rule for incomplete uploads takes it.
    package func beginUpload(_ key: String) throws(StoreError) -> MultipartUpload {
        try retrying(key) { _ throws(StoreError) in try base.beginUpload(key) }
    }

    package func uploadPart(_ upload: MultipartUpload, number: Int, _ body: [UInt8]) throws(StoreError) -> UploadedPart
    {
        try retrying(upload.key) { _ throws(StoreError) in try base.uploadPart(upload, number: number, body) }
    }

    package func completeUpload(_ upload: MultipartUpload, parts: [UploadedPart]) throws(StoreError) -> ETag {
        try retrying(upload.key) { attempt throws(StoreError) in
            do throws(StoreError) {
                return try base.completeUpload(upload, parts: parts)
            } catch {
                // RGW 16 says 500 "already in progress" where others say that there is no such upload.
                var mayBeGone = error.isTransient
                if case .notFound = error { mayBeGone = true }
                guard attempt > 1, mayBeGone, let etag = completed(upload, parts) else { throw error }
                return etag
            }
        }
    }

    package func abortUpload(_ upload: MultipartUpload) throws(StoreError) {
        try retrying(upload.key) { _ throws(StoreError) in try base.abortUpload(upload) }
    }

    /// The object's version if it is made of these parts. A failure to ask is not told: the first error says more.
    private func completed(_ upload: MultipartUpload, _ parts: [UploadedPart]) -> ETag? {
        guard let etag = try? base.head(upload.key).etag, let sorted = try? parts.inOrder(key: upload.key) else {
            return nil
        }
        let isOurs = etag == ETag(multipartMD5: sorted.map(\.etag)) || etag.value.hasSuffix("-\(parts.count)")
        return isOurs ? etag : nil
    }

    private func retrying<Value>(
        _ key: String, _ call: (_ attempt: Int) throws(StoreError) -> Value
    ) throws(StoreError) -> Value {
        let start = ContinuousClock.now
        var attempt = 1
        var isTold = false
        while true {
            do {
                return try call(attempt)
            } catch {
                guard error.isTransient else { throw error }
                let pause = policy.pauseMilliseconds(failures: attempt)
                let elapsed = start.duration(to: .now) / .seconds(1)
                guard attempt < policy.attempts, elapsed + pause / 1000 < policy.timeoutSeconds else {
                    throw .unavailable(location: location, key: key, attempts: attempt, reason: error.transientReason)
                }
                let isLong = elapsed >= Self.secondsToTell
                logger.log(
                    level: isLong && !isTold ? .notice : .debug,
                    "the store does not answer; trying again",
                    metadata: [
                        "location": "\(location)", "key": "\(key)", "attempt": "\(attempt)",
                        "reason": "\(error.transientReason)",
                    ])
                isTold = isTold || isLong
                policy.sleep(pause)
                attempt += 1
            }
        }
    }
}

extension StoreError {
    fileprivate var transientReason: String {
        switch self {
        case .unavailable(_, _, _, let reason), .badAnswer(_, let reason): reason
        default: "\(self)"
        }
    }
}
