/// What `probeCompareAndSwap` found.
package enum ProbeResult: Hashable, Sendable {
    /// Conditional writes hold, if the store is opened with these quirks.
    case safe(S3Quirks)
    /// Two writers could overwrite each other here; why.
    case unsafe(reason: String)
}

/// Finds out by trying whether a store keeps conditional writes, and how it wants `If-Match` written.
///
/// Works on two scratch keys with random names below `prefix` (empty, or with a trailing `/`) and removes them. Other
/// errors than refused conditions are thrown: a store that does not answer is not called unsafe.
package func probeCompareAndSwap(_ store: any ObjectStore, prefix: String) throws(StoreError) -> ProbeResult {
    var lastReason = ""
    let quirks = [S3Quirks(quoteIfMatch: false), S3Quirks(quoteIfMatch: true)]
    for (index, quirk) in quirks.enumerated() {
        let candidate = store.with(quirks: quirk)
        if candidate == nil, index > 0 { break }
        let probe = Probe(store: candidate ?? store, key: "\(prefix)probe-\(randomHex())")
        switch try probe.run() {
        case .safe: return .safe(quirk)
        case .unsafe(let reason): return .unsafe(reason: reason)
        case .refusesMatch(let reason): lastReason = reason
        }
    }
    return .unsafe(reason: lastReason)
}

extension ObjectStore {
    /// The same store with other quirks, through any retrying; `nil` for stores that have none.
    package func with(quirks: S3Quirks) -> (any ObjectStore)? {
        if let store = self as? S3Store { return store.with(quirks: quirks) as S3Store }
        if let store = self as? RetryingStore, let base = store.base.with(quirks: quirks) {
            return RetryingStore(base, policy: store.policy)
        }
        return nil
    }
}

private struct Probe {
    enum Verdict {
        case safe
        case unsafe(String)
        /// Safe so far, but it refuses `If-Match` with the right version: other quirks may do.
        case refusesMatch(String)
    }

    let store: any ObjectStore
    let key: String

    func run() throws(StoreError) -> Verdict {
        let verdict: Verdict
        do throws(StoreError) {
            verdict = try conditions()
        } catch {
            try? cleanUp()  // The error that is under way says more.
            throw error
        }
        try cleanUp()
        return verdict
    }

    private func conditions() throws(StoreError) -> Verdict {
        // 1. Create if absent: works once.
        guard try put("first", .absent, at: key) else {
            return .unsafe("it refuses If-None-Match on a key that does not exist")
        }
        if try put("second", .absent, at: key) { return .unsafe("it ignores If-None-Match on PUT") }
        // 2. Replace the version that is there, once.
        let first = try store.head(key).etag
        guard try put("third", .matches(first), at: key) else {
            return .refusesMatch("it refuses If-Match on PUT with the right version")
        }
        if try put("fourth", .matches(first), at: key) { return .unsafe("it ignores If-Match on PUT") }
        // 3. Nothing is no version.
        if try put("fifth", .matches(first), at: absentKey) {
            return .unsafe("it lets If-Match succeed on a key that does not exist")
        }
        guard try store.get(key, .whole(limitBytes: 1024), ifMatch: nil).bytes == Array("third".utf8) else {
            return .unsafe("what it holds after a refused write is not what was written before")
        }
        return .safe
    }

    private var absentKey: String { "\(key)-absent" }

    /// Whether the write happened. A refusal may be the echo of a first try whose reply was lost, so the key is read.
    private func put(_ text: String, _ condition: WriteCondition, at key: String) throws(StoreError) -> Bool {
        do throws(StoreError) {
            _ = try store.put(key, Array(text.utf8), condition)
            return true
        } catch .preconditionFailed {
            do throws(StoreError) {
                return try store.get(key, .whole(limitBytes: 1024), ifMatch: nil).bytes == Array(text.utf8)
            } catch .notFound {
                return false
            }
        }
    }

    private func cleanUp() throws(StoreError) {
        try store.delete(key)
        try store.delete(absentKey)
    }
}
