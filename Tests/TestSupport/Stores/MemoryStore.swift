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
    private let state = Mutex(State())

    private struct State {
        var objects: [KeyBytes: Object] = [:]
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

    package init(location: String = "memory", ignoreConditions: Bool = false) {
        self.location = location
        ignoresConditions = ignoreConditions
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
            state.objects[KeyBytes(key)] = object
            return true
        }
        guard isWritten else { throw .preconditionFailed(key: key) }
        return object.etag
    }

    package func delete(_ key: String) throws(StoreError) {
        try ObjectKey.check(key)
        state.withLock { _ = $0.objects.removeValue(forKey: KeyBytes(key)) }
    }

    /// As an S3 server that ignores the condition.
    package func delete(_ key: String, ifMatch version: ETag) throws(StoreError) -> ConditionalDeletion { .unsupported }

    package func list(prefix: String, after: String?, limit: Int) throws(StoreError) -> ObjectPage {
        precondition((1...1000).contains(limit), "a page holds 1 to 1,000 objects")
        let found = state.withLock { state in
            state.objects.filter { key, _ in
                key.bytes.starts(with: prefix.utf8)
                    && (after.map { $0.utf8.lexicographicallyPrecedes(key.bytes) } ?? true)
            }
        }
        let sorted = found.sorted { $0.key.bytes.lexicographicallyPrecedes($1.key.bytes) }
        return ObjectPage(
            objects: sorted.prefix(limit).map { info($0.key.text, $0.value) }, isTruncated: sorted.count > limit)
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

    private func now() -> Int64 { Int64(Date().timeIntervalSince1970) + clockOffsetSeconds.load(ordering: .relaxed) }

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
            state.objects[KeyBytes(upload.key)] = object
            state.uploads[upload.uploadID] = nil
        }
        return object.etag
    }

    package func abortUpload(_ upload: MultipartUpload) throws(StoreError) {
        state.withLock { $0.uploads[upload.uploadID] = nil }
    }
}
