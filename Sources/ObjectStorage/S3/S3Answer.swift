/// Reads successful answers, and believes none that contradicts the request.
enum S3Answer {
    static func object(_ reply: HTTPResponse, key: String, range: Range<UInt64>?) throws(StoreError) -> StoredObject {
        try checkLength(reply, key)
        let etag = try etag(reply, key: key)
        let count = UInt64(reply.body.count)
        guard let range else {
            guard reply.status == 200 else {
                throw .badAnswer(key: key, reason: "HTTP \(reply.status) to a whole read")
            }
            return StoredObject(bytes: reply.body, etag: etag, totalSizeBytes: count)
        }
        if reply.status == 200 {
            // The server does not know ranges, and the whole object was small enough to be taken.
            guard let cut = range.cut(to: count) else { throw .rangeNotSatisfiable(key: key) }
            let bytes = Array(reply.body[Int(cut.lowerBound)..<Int(cut.upperBound)])
            return StoredObject(bytes: bytes, etag: etag, totalSizeBytes: count)
        }
        guard reply.status == 206, let text = reply.headers["content-range"], let got = contentRange(text) else {
            throw .badAnswer(key: key, reason: "HTTP \(reply.status) without a Content-Range to a ranged read")
        }
        guard got.range == range.cut(to: got.total), count == UInt64(got.range.count) else {
            throw .badAnswer(
                key: key, reason: "asked for bytes \(range), got \(count) bytes as `\(text)`")
        }
        return StoredObject(bytes: reply.body, etag: etag, totalSizeBytes: got.total)
    }

    static func info(_ reply: HTTPResponse, key: String) throws(StoreError) -> ObjectInfo {
        guard let size = reply.headers["content-length"].flatMap({ UInt64($0) }),
            let modified = reply.headers["last-modified"].flatMap({ UTCTime(http: $0) })
        else {
            throw .badAnswer(key: key, reason: "no Content-Length or Last-Modified in the answer to HEAD")
        }
        return ObjectInfo(
            key: key, sizeBytes: size, etag: try etag(reply, key: key), modifiedSeconds: modified.seconds)
    }

    static func etag(_ reply: HTTPResponse, key: String) throws(StoreError) -> ETag {
        guard let text = reply.headers["etag"], !text.isEmpty else {
            throw .badAnswer(key: key, reason: "the answer has no ETag")
        }
        return ETag(quoted: text)
    }

    struct Listing: Sendable {
        let objects: [ObjectInfo]
        let isTruncated: Bool
        let nextToken: String?
    }

    /// - Parameter base: taken off the front of the keys.
    static func listing(_ reply: HTTPResponse, base: String, prefix: String) throws(StoreError) -> Listing {
        guard let root = XMLScanner.parse(reply.body), root.name == "ListBucketResult" else {
            throw .badAnswer(key: prefix, reason: "the listing is not a ListBucketResult")
        }
        let isEncoded = root.text("EncodingType") == "url"
        var objects: [ObjectInfo] = []
        for element in root.children where element.name == "Contents" {
            guard let text = element.text("Key"), let key = isEncoded ? PercentEncoding.decode(text) : text,
                let size = element.text("Size").flatMap({ UInt64($0) }), let etag = element.text("ETag"),
                let modified = element.text("LastModified").flatMap({ UTCTime(iso: $0) }),
                ObjectKey.has(key, prefix: base + prefix)
            else {
                throw .badAnswer(key: prefix, reason: "the listing has an entry that cannot be read")
            }
            objects.append(
                ObjectInfo(
                    key: String(decoding: key.utf8.dropFirst(base.utf8.count), as: UTF8.self), sizeBytes: size,
                    etag: ETag(quoted: etag), modifiedSeconds: modified.seconds))
        }
        return Listing(
            objects: objects, isTruncated: root.text("IsTruncated") == "true",
            nextToken: root.text("NextContinuationToken"))
    }

    /// libcurl has already seen to it that a body is as long as announced; a body without any announcement, ended by
    /// the connection, may have been cut anywhere.
    private static func checkLength(_ reply: HTTPResponse, _ key: String) throws(StoreError) {
        if let length = reply.headers["content-length"] {
            guard Int(length) == reply.body.count else {
                throw .badAnswer(key: key, reason: "got \(reply.body.count) bytes of a body of \(length)")
            }
        } else if reply.headers["transfer-encoding"]?.lowercased() != "chunked" {
            throw .badAnswer(key: key, reason: "the answer does not say how long its body is")
        }
    }

    /// `bytes 0-9/443`. `nil` when it is not that or makes no sense.
    static func contentRange(_ text: String) -> (range: Range<UInt64>, total: UInt64)? {
        let fields = text.split(whereSeparator: { " -/".contains($0) })
        guard fields.count == 4, fields[0].lowercased() == "bytes", let first = UInt64(fields[1]),
            let last = UInt64(fields[2]), let total = UInt64(fields[3]), first <= last, last < total
        else { return nil }
        return (first..<(last + 1), total)
    }
}
