package import ObjectStorage
import Synchronization

/// One call on its way through a `FaultyStore`.
package struct StoreCall: Hashable, Sendable {
    package enum Kind: Hashable, Sendable, CaseIterable {
        case get, head, put, delete, list, beginUpload, uploadPart, completeUpload, abortUpload
    }

    package let kind: Kind
    /// For `list` the prefix.
    package let key: String
    /// Counts the calls of this kind, from 1.
    package let ordinal: Int
}

/// What happens to a call.
package enum StoreFault: Hashable, Sendable {
    case pass
    /// The store never hears of it.
    case failBefore(StoreError)
    /// The store does it, and the reply is lost.
    case failAfter(StoreError)
    /// Milliseconds before the store hears of it.
    case delay(Int)
    /// One bit of the bytes returned by `get` is flipped; counted from the first byte's lowest bit, modulo the length.
    case corrupt(bit: Int)
    /// `get` returns at most so many bytes, without complaint.
    case truncate(to: Int)
}

/// A store that misbehaves as told, for tests of everything above it. Counts the calls.
///
///     let store = FaultyStore(MemoryStore()) { call in
///         call.kind == .put && call.ordinal == 3 ? .failAfter(.lostReply(call.key)) : .pass
///     }
package final class FaultyStore: ObjectStore {
    package typealias Rule = @Sendable (StoreCall) -> StoreFault

    package let base: any ObjectStore
    private let state: Mutex<State>

    private struct State {
        var rule: Rule
        var calls: [StoreCall.Kind: Int] = [:]
    }

    package init(_ base: any ObjectStore, rule: @escaping Rule = { _ in .pass }) {
        self.base = base
        state = Mutex(State(rule: rule))
    }

    /// From now on; the counts go on.
    package func setRule(_ rule: @escaping Rule) {
        state.withLock { $0.rule = rule }
    }

    /// How many calls of `kind` have arrived, also those that were made to fail.
    package func count(_ kind: StoreCall.Kind) -> Int {
        state.withLock { $0.calls[kind] ?? 0 }
    }

    package var location: String { base.location }
    package var traffic: PacerMetrics? { base.traffic }

    package func get(_ key: String, _ part: ObjectPart, ifMatch: ETag?) throws(StoreError) -> StoredObject {
        let (fault, object) = try call(.get, key) { () throws(StoreError) in
            try base.get(key, part, ifMatch: ifMatch)
        }
        var bytes = object.bytes
        switch fault {
        case .corrupt(let bit) where !bytes.isEmpty: bytes[bit / 8 % bytes.count] ^= 1 << UInt8(bit % 8)
        case .truncate(let count): bytes = Array(bytes.prefix(count))
        case .pass, .failBefore, .failAfter, .delay, .corrupt: break
        }
        return StoredObject(bytes: bytes, etag: object.etag, totalSizeBytes: object.totalSizeBytes)
    }

    package func head(_ key: String) throws(StoreError) -> ObjectInfo {
        try call(.head, key) { () throws(StoreError) in try base.head(key) }.value
    }

    package func put(_ key: String, _ body: [UInt8], _ condition: WriteCondition) throws(StoreError) -> ETag {
        try call(.put, key) { () throws(StoreError) in try base.put(key, body, condition) }.value
    }

    package func delete(_ key: String) throws(StoreError) {
        try call(.delete, key) { () throws(StoreError) in try base.delete(key) }.value
    }

    package func delete(_ key: String, ifMatch version: ETag) throws(StoreError) -> ConditionalDeletion {
        try call(.delete, key) { () throws(StoreError) in try base.delete(key, ifMatch: version) }.value
    }

    package func list(prefix: String, after: String?, limit: Int) throws(StoreError) -> ObjectPage {
        try call(.list, prefix) { () throws(StoreError) in
            try base.list(prefix: prefix, after: after, limit: limit)
        }.value
    }

    package func beginUpload(_ key: String) throws(StoreError) -> MultipartUpload {
        try call(.beginUpload, key) { () throws(StoreError) in try base.beginUpload(key) }.value
    }

    package func uploadPart(_ upload: MultipartUpload, number: Int, _ body: [UInt8]) throws(StoreError) -> UploadedPart
    {
        try call(.uploadPart, upload.key) { () throws(StoreError) in
            try base.uploadPart(upload, number: number, body)
        }.value
    }

    package func completeUpload(_ upload: MultipartUpload, parts: [UploadedPart]) throws(StoreError) -> ETag {
        try call(.completeUpload, upload.key) { () throws(StoreError) in
            try base.completeUpload(upload, parts: parts)
        }.value
    }

    package func abortUpload(_ upload: MultipartUpload) throws(StoreError) {
        try call(.abortUpload, upload.key) { () throws(StoreError) in try base.abortUpload(upload) }.value
    }

    private func call<Value>(
        _ kind: StoreCall.Kind, _ key: String, _ body: () throws(StoreError) -> Value
    ) throws(StoreError) -> (fault: StoreFault, value: Value) {
        let (rule, ordinal) = state.withLock { state in
            state.calls[kind, default: 0] += 1
            return (state.rule, state.calls[kind]!)
        }
        // Outside the lock: the rule may ask for counts, or wait.
        let fault = rule(StoreCall(kind: kind, key: key, ordinal: ordinal))
        switch fault {
        case .failBefore(let error):
            throw error
        case .failAfter(let error):
            _ = try body()
            throw error
        case .delay(let milliseconds):
            RetryPolicy.block(Double(milliseconds))
        case .pass, .corrupt, .truncate:
            break
        }
        return (fault, try body())
    }
}

extension FaultyStore {
    /// `fault` for the `n`-th call (from 1) of `kind` on a key that begins with `prefix`; all others pass.
    package static func nth(
        _ n: Int, _ kind: StoreCall.Kind, prefix: String = "", _ fault: StoreFault
    ) -> Rule {
        let seen = Counter()
        return { call in
            guard call.kind == kind, ObjectKey.has(call.key, prefix: prefix) else { return .pass }
            return seen.next() == n ? fault : .pass
        }
    }

    private final class Counter: Sendable {
        private let count = Mutex(0)

        func next() -> Int {
            count.withLock { count in
                count += 1
                return count
            }
        }
    }
}

extension StoreError {
    /// A connection that broke off: for the rules of a `FaultyStore`.
    package static func lostReply(_ key: String) -> StoreError {
        .unavailable(location: "faulty", key: key, attempts: 1, reason: "the connection was reset")
    }
}
