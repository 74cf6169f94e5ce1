/// Blobs by key with a compare-and-swap: all that Tarn asks of a store.
///
/// Every call blocks until the store has answered or the error is final; call from an I/O thread, never from Swift's
/// cooperative pool. All calls may run at the same time from any number of threads. Keys are non-empty, use `/` as the
/// separator, have no leading or trailing `/`, no empty, `.` or `..` component, and are at most 1,024 bytes of UTF-8.
package protocol ObjectStore: Sendable {
    /// What a person would call this store: `s3://bucket/prefix` or an absolute directory.
    var location: String { get }

    /// How many requests are under way and how the store bears them; `nil` where nothing limits them.
    var traffic: PacerMetrics? { get }

    /// The bytes of an object, or of a range of it.
    ///
    /// - Parameter ifMatch: read only this version, else `.preconditionFailed`.
    /// - Throws: `.notFound`, `.preconditionFailed`, `.rangeNotSatisfiable` when the range begins at or past the end,
    ///   `.tooLarge` when a whole object is longer than its limit.
    func get(_ key: String, _ part: ObjectPart, ifMatch: ETag?) throws(StoreError) -> StoredObject

    /// Size, version and age of an object without its bytes. Throws `.notFound`.
    func head(_ key: String) throws(StoreError) -> ObjectInfo

    /// Writes a whole object atomically: readers see the old bytes or the new, and after the return the new ones
    /// survive a crash of the store. Throws `.preconditionFailed` when `condition` does not hold (also on a lost race).
    func put(_ key: String, _ body: [UInt8], _ condition: WriteCondition) throws(StoreError) -> ETag

    /// Removes an object; one that is not there is no error.
    func delete(_ key: String) throws(StoreError)

    /// Removes an object if it still is this version, atomically. A store that cannot do that does nothing and says so.
    func delete(_ key: String, ifMatch version: ETag) throws(StoreError) -> ConditionalDeletion

    /// Up to `limit` (1...1,000) objects whose key begins with `prefix`, in ascending byte order of keys, beginning
    /// after the key `after`.
    func list(prefix: String, after: String?, limit: Int) throws(StoreError) -> ObjectPage

    /// Begins an object that arrives in parts. It is not visible before `completeUpload`.
    func beginUpload(_ key: String) throws(StoreError) -> MultipartUpload

    /// Stores part `number` (1...10,000). All parts but the last are of one size of at least 5 MiB. Parts may arrive in
    /// any order and at the same time.
    func uploadPart(_ upload: MultipartUpload, number: Int, _ body: [UInt8]) throws(StoreError) -> UploadedPart

    /// Makes the object of `parts` (any order, numbers 1...n without gaps) visible, atomically.
    func completeUpload(_ upload: MultipartUpload, parts: [UploadedPart]) throws(StoreError) -> ETag

    /// Throws the parts away. An upload that is gone is no error.
    func abortUpload(_ upload: MultipartUpload) throws(StoreError)
}

extension ObjectStore {
    package var traffic: PacerMetrics? { nil }
}

/// What came of deleting one version of an object.
package enum ConditionalDeletion: Hashable, Sendable {
    case deleted
    /// It is another version now, or gone.
    case changed
    /// Some S3 servers ignore the condition of a DELETE and delete what is there.
    case unsupported
}

/// What of an object is read.
package enum ObjectPart: Hashable, Sendable {
    /// A half-open byte range; an end past the object's end is cut to it.
    case range(Range<UInt64>)
    /// Everything. Of an object with more bytes than `limitBytes` no more than that are read: whoever may write to the
    /// store could put objects of any size there.
    case whole(limitBytes: Int)

    package var range: Range<UInt64>? {
        if case .range(let range) = self { return range }
        return nil
    }
}

/// A version of an object, as the store names it; kept without the quotes that HTTP puts round it.
package struct ETag: Hashable, Sendable {
    package let value: String

    package init(_ value: String) {
        self.value = value
    }
}

/// What must hold for a `put` to happen.
package enum WriteCondition: Hashable, Sendable {
    case none
    /// The key does not exist (`If-None-Match: *`).
    case absent
    /// The key holds exactly this version (`If-Match`).
    case matches(ETag)
}

package struct StoredObject: Sendable {
    package let bytes: [UInt8]
    package let etag: ETag
    /// Size of the whole object in bytes, also when only a range was read.
    package let totalSizeBytes: UInt64

    package init(bytes: [UInt8], etag: ETag, totalSizeBytes: UInt64) {
        self.bytes = bytes
        self.etag = etag
        self.totalSizeBytes = totalSizeBytes
    }
}

package struct ObjectInfo: Hashable, Sendable {
    package let key: String
    package let sizeBytes: UInt64
    package let etag: ETag
    /// Seconds since 1970, by the store's clock.
    package let modifiedSeconds: Int64

    package init(key: String, sizeBytes: UInt64, etag: ETag, modifiedSeconds: Int64) {
        self.key = key
        self.sizeBytes = sizeBytes
        self.etag = etag
        self.modifiedSeconds = modifiedSeconds
    }
}

package struct ObjectPage: Sendable {
    package let objects: [ObjectInfo]
    /// Whether more objects follow the last one of this page.
    package let isTruncated: Bool

    package init(objects: [ObjectInfo], isTruncated: Bool) {
        self.objects = objects
        self.isTruncated = isTruncated
    }
}

/// A multipart upload under way. A value: it may be handed between threads.
package struct MultipartUpload: Hashable, Sendable {
    package let key: String
    package let uploadID: String

    package init(key: String, uploadID: String) {
        self.key = key
        self.uploadID = uploadID
    }
}

package struct UploadedPart: Hashable, Sendable {
    package let number: Int
    package let etag: ETag

    package init(number: Int, etag: ETag) {
        self.number = number
        self.etag = etag
    }
}
