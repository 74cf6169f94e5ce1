import BlockingIO
import Crypto
import Foundation
package import ObjectStorage
import Synchronization

/// An object store in memory, for tests. As strict as S3: ETags are MD5s, so a body written again gives its old ETag
/// again.
package final class MemoryStore: ObjectStore {
    package let location: String
    /// Behaves like the stores that ignore `If-Match` and `If-None-Match`, for tests of the probe.
    private let ignoresConditions: Bool
    private let deletesOnCondition: Bool
    /// Seconds since 1970; `nil`: this host's.
    private let clock: (@Sendable () -> Int64)?
    private let state = Mutex(State())

    private struct State {
        private(set) var objects: [KeyBytes: Object] = [:]
        /// The keys, in order; `nil` when they have changed. A collector lists a few objects in hundreds of pages.
        private var sorted: [KeyBytes]?

        mutating func set(_ key: String, _ object: Object?) {
            let before = objects[KeyBytes(key)]
            objects[KeyBytes(key)] = object
            if (before == nil) != (object == nil) { sorted = nil }
        }

        /// The keys that begin so and come after another, in order.
        mutating func keys(_ prefix: String, after: String?) -> ArraySlice<KeyBytes> {
            let keys = sorted ?? objects.keys.sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) }
            sorted = keys
            // The first of a sorted list for which something holds that holds for all behind it.
            func first(_ isBehind: (KeyBytes) -> Bool) -> Int {
                var (low, high) = (0, keys.count)
                while low < high {
                    let middle = (low + high) / 2
                    if isBehind(keys[middle]) { high = middle } else { low = middle + 1 }
                }
                return low
            }
            let start = first { key in
                !key.bytes.lexicographicallyPrecedes(prefix.utf8)
                    && (after.map { $0.utf8.lexicographicallyPrecedes(key.bytes) } ?? true)
            }
            return keys[start...].prefix { $0.bytes.starts(with: prefix.utf8) }
        }

        var uploads: [String: Upload] = [:]
        var nextUpload = 1
    }

    private struct Object {
        let bytes: [UInt8]
        let etag: ETag
        let modifiedSeconds: Int64
    }

    private struct Upload {
        let key: String
        var parts: [Int: Object] = [:]
    }

    package init(
        location: String = "memory", ignoreConditions: Bool = false, deletesOnCondition: Bool = false,
        clock: (@Sendable () -> Int64)? = nil
    ) {
        self.location = location
        ignoresConditions = ignoreConditions
        self.deletesOnCondition = deletesOnCondition
        self.clock = clock
    }

    package func get(_ key: String, _ part: ObjectPart, ifMatch: ETag?) throws(StoreError) -> StoredObject {
        let object = try object(key)
        if let ifMatch, ifMatch != object.etag { throw .preconditionFailed(key: key) }
        let size = UInt64(object.bytes.count)
        let range: Range<UInt64>
        switch part {
        case .whole(let limit):
            guard object.bytes.count <= limit else { throw .tooLarge(key: key, limitBytes: limit) }
            return StoredObject(bytes: object.bytes, etag: object.etag, totalSizeBytes: size)
        case .range(let wanted): range = wanted
        }
        guard let cut = range.cut(to: size) else { throw .rangeNotSatisfiable(key: key) }
        let bytes = Array(object.bytes[Int(cut.lowerBound)..<Int(cut.upperBound)])
        return StoredObject(bytes: bytes, etag: object.etag, totalSizeBytes: size)
    }

    package func head(_ key: String) throws(StoreError) -> ObjectInfo {
        info(key, try object(key))
    }

    package func put(_ key: String, _ body: [UInt8], _ condition: WriteCondition) throws(StoreError) -> ETag {
        try ObjectKey.check(key)
        let object = Object(bytes: body, etag: Self.etag(of: body), modifiedSeconds: now())
        let isWritten = state.withLock { state in
            let current = state.objects[KeyBytes(key)]?.etag
            guard ignoresConditions || condition.holds(for: current) else { return false }
            state.set(key, object)
            return true
        }
        guard isWritten else { throw .preconditionFailed(key: key) }
        return object.etag
    }

    package func delete(_ key: String) throws(StoreError) {
        try ObjectKey.check(key)
        state.withLock { $0.set(key, nil) }
    }

    /// As a directory, or as an S3 server that ignores the condition.
    package func delete(_ key: String, ifMatch version: ETag) throws(StoreError) -> ConditionalDeletion {
        guard deletesOnCondition else { return .unsupported }
        try ObjectKey.check(key)
        return state.withLock { state in
            guard state.objects[KeyBytes(key)]?.etag == version else { return .changed }
            state.set(key, nil)
            return .deleted
        }
    }

    package func list(prefix: String, after: String?, limit: Int) throws(StoreError) -> ObjectPage {
        precondition((1...1000).contains(limit), "a page holds 1 to 1,000 objects")
        let (found, isTruncated) = state.withLock { state in
            let keys = state.keys(prefix, after: after)
            let found = keys.prefix(limit).compactMap { key in state.objects[key].map { info(key.text, $0) } }
            return (found, keys.count > limit)
        }
        return ObjectPage(objects: found, isTruncated: isTruncated)
    }

    private func object(_ key: String) throws(StoreError) -> Object {
        try ObjectKey.check(key)
        guard let object = state.withLock({ $0.objects[KeyBytes(key)] }) else { throw .notFound(key: key) }
        return object
    }

    private func info(_ key: String, _ object: Object) -> ObjectInfo {
        ObjectInfo(
            key: key, sizeBytes: UInt64(object.bytes.count), etag: object.etag, modifiedSeconds: object.modifiedSeconds)
    }

    private static func etag(of bytes: [UInt8]) -> ETag { ETag(hexEncoded(Array(Insecure.MD5.hash(data: bytes)))) }

    private func now() -> Int64 {
        if let clock { return clock() }
        return Int64(Date().timeIntervalSince1970) + clockOffsetSeconds.load(ordering: .relaxed)
    }

    /// What is written from now on is so much younger than this host's clock says.
    package func setClock(daysAhead: Double) {
        clockOffsetSeconds.store(Int64(daysAhead * 86_400), ordering: .relaxed)
    }

    private let clockOffsetSeconds = Atomic<Int64>(0)
}

// MARK: - Multipart

extension MemoryStore {
    package func beginUpload(_ key: String) throws(StoreError) -> MultipartUpload {
        try ObjectKey.check(key)
        let id = state.withLock { state in
            defer { state.nextUpload += 1 }
            state.uploads["upload-\(state.nextUpload)"] = Upload(key: key)
            return "upload-\(state.nextUpload)"
        }
        return MultipartUpload(key: key, uploadID: id)
    }

    package func uploadPart(_ upload: MultipartUpload, number: Int, _ body: [UInt8]) throws(StoreError) -> UploadedPart
    {
        precondition(MultipartUpload.partNumbers.contains(number), "part numbers are 1 to 10,000")
        let part = Object(bytes: body, etag: Self.etag(of: body), modifiedSeconds: 0)
        let isKnown = state.withLock { state in
            state.uploads[upload.uploadID]?.parts.updateValue(part, forKey: number)
            return state.uploads[upload.uploadID] != nil
        }
        guard isKnown else { throw .notFound(key: upload.key) }
        return UploadedPart(number: number, etag: part.etag)
    }

    package func completeUpload(_ upload: MultipartUpload, parts: [UploadedPart]) throws(StoreError) -> ETag {
        guard let staged = state.withLock({ $0.uploads[upload.uploadID] }) else { throw .notFound(key: upload.key) }
        let sorted = try parts.inOrder(key: upload.key)
        var bytes: [UInt8] = []
        for (index, part) in sorted.enumerated() {
            guard let body = staged.parts[part.number], body.etag == part.etag else {
                throw .refused(
                    key: upload.key, status: 400, code: "InvalidPart", message: "part \(part.number) is not here")
            }
            if index > 0, staged.parts[index]!.bytes.count < MultipartUpload.minimumPartBytes {
                throw .refused(
                    key: upload.key, status: 400, code: "EntityTooSmall", message: "part \(index) is too small")
            }
            bytes += body.bytes
        }
        let object = Object(
            bytes: bytes, etag: ETag(multipartMD5: sorted.map(\.etag)), modifiedSeconds: now())
        state.withLock { state in
            state.set(upload.key, object)
            state.uploads[upload.uploadID] = nil
        }
        return object.etag
    }

    package func abortUpload(_ upload: MultipartUpload) throws(StoreError) {
        state.withLock { $0.uploads[upload.uploadID] = nil }
    }
}
