import Synchronization

/// An object store in an S3 bucket, or below a prefix of one.
///
/// Every call is one try: what may be tried again is thrown as `.unavailable` or `.badAnswer` (see `RetryingStore`).
/// Only what the server refused without acting on it is sent again from here, once each: after a wrong clock, a
/// wrong region, or expired credentials.
package final class S3Store: ObjectStore {
    package let location: String
    let configuration: S3Configuration
    let client: HTTPClient
    let credentials: CredentialProvider
    /// How many requests are under way at once, and which reads are sent twice.
    let pace: RequestPacer
    /// What the server has taught: its region, and how far its clock is ahead of ours in seconds.
    let learned: Mutex<Learned>

    struct Learned: Sendable {
        var region: String
        var clockOffsetSeconds: Int64 = 0
    }

    init(
        _ configuration: S3Configuration, client: HTTPClient, credentials: CredentialProvider,
        pace: RequestPacer = RequestPacer()
    ) {
        self.configuration = configuration
        self.pace = pace
        self.client = client
        self.credentials = credentials
        learned = Mutex(Learned(region: configuration.region))
        location =
            "s3://" + ([configuration.bucket, configuration.prefix].filter { !$0.isEmpty }.joined(separator: "/"))
    }

    /// The same bucket, prefix, connections, pace and credentials with other quirks.
    package func with(quirks: S3Quirks) -> S3Store {
        var changed = configuration
        changed.quirks = quirks
        return S3Store(changed, client: client, credentials: credentials, pace: pace)
    }

    package var quirks: S3Quirks { configuration.quirks }
    package var traffic: PacerMetrics? { pace.metrics }

    package func get(_ key: String, _ part: ObjectPart, ifMatch: ETag?) throws(StoreError) -> StoredObject {
        let range = part.range
        if let range, range.isEmpty { return try emptyRange(key, at: range.lowerBound, ifMatch: ifMatch) }
        var request = try object("GET", key)
        if let ifMatch { request.headers.append(HTTPHeader("If-Match", ifMatch.quoted)) }
        switch part {
        case .range(let range):
            request.headers.append(HTTPHeader("Range", "bytes=\(range.lowerBound)-\(range.upperBound - 1)"))
            let count = Int(clamping: range.upperBound - range.lowerBound)
            request.expectedBytes = count
            request.bodyLimitBytes = max(count, S3Request.errorLimitBytes)
        case .whole(let limit):
            request.expectedBytes = nil
            request.bodyLimitBytes = max(limit, S3Request.errorLimitBytes)
            request.wholeLimitBytes = limit
        }
        request.accepts = { reply in (try? S3Answer.object(reply, key: key, range: range)) != nil }
        let object = try S3Answer.object(try send(request), key: key, range: range)
        if case .whole(let limit) = part, object.bytes.count > limit { throw .tooLarge(key: key, limitBytes: limit) }
        return object
    }

    /// HTTP has no way to ask for nothing.
    private func emptyRange(_ key: String, at offset: UInt64, ifMatch: ETag?) throws(StoreError) -> StoredObject {
        let info = try head(key)
        if let ifMatch, ifMatch != info.etag { throw .preconditionFailed(key: key) }
        guard offset < info.sizeBytes else { throw .rangeNotSatisfiable(key: key) }
        return StoredObject(bytes: [], etag: info.etag, totalSizeBytes: info.sizeBytes)
    }

    package func head(_ key: String) throws(StoreError) -> ObjectInfo {
        try S3Answer.info(try send(try object("HEAD", key)), key: key)
    }

    package func put(_ key: String, _ body: [UInt8], _ condition: WriteCondition) throws(StoreError) -> ETag {
        var request = try object("PUT", key)
        request.body = body
        request.condition = condition
        switch condition {
        case .none: break
        case .absent: request.headers.append(HTTPHeader("If-None-Match", "*"))
        case .matches(let etag):
            let value = configuration.quirks.quoteIfMatch ? etag.quoted : etag.value
            request.headers.append(HTTPHeader("If-Match", value))
        }
        return try S3Answer.etag(try send(request), key: key)
    }

    package func delete(_ key: String) throws(StoreError) {
        do throws(StoreError) {
            _ = try send(try object("DELETE", key))
        } catch .notFound {
            // Some stores answer 404 here; AWS 204.
        }
    }

    /// Ceph and moto ignore `If-Match` on DELETE.
    package func delete(_ key: String, ifMatch version: ETag) throws(StoreError) -> ConditionalDeletion { .unsupported }

    package func list(prefix: String, after: String?, limit: Int) throws(StoreError) -> ObjectPage {
        precondition((1...1000).contains(limit), "a page holds 1 to 1,000 objects")
        var token: String?
        // A page may be empty and yet not the last one; it names no key to continue after, so it is skipped here.
        for _ in 0..<Self.emptyPageLimit {
            var request = S3Request(method: "GET", key: nil, named: prefix)
            request.query = [
                HTTPHeader("list-type", "2"), HTTPHeader("encoding-type", "url"), HTTPHeader("max-keys", String(limit)),
                HTTPHeader("prefix", base + prefix),
            ]
            if let after { request.query.append(HTTPHeader("start-after", base + after)) }
            if let token { request.query.append(HTTPHeader("continuation-token", token)) }
            let listing = try S3Answer.listing(try send(request), base: base, prefix: prefix)
            if !listing.objects.isEmpty || !listing.isTruncated {
                return ObjectPage(objects: listing.objects, isTruncated: listing.isTruncated)
            }
            guard let next = listing.nextToken else { break }
            token = next
        }
        throw .badAnswer(key: prefix, reason: "the listing goes on without an object or a continuation token")
    }

    static let emptyPageLimit = 1000

    /// What stands before every key in the bucket.
    var base: String { configuration.prefix.isEmpty ? "" : configuration.prefix + "/" }

    func object(_ method: String, _ key: String) throws(StoreError) -> S3Request {
        try ObjectKey.check(key, prefixBytes: base.utf8.count)
        return S3Request(method: method, key: base + key, named: key)
    }

    /// Creates the bucket; one of ours that is there already is no error.
    func createBucket() throws(StoreError) {
        var request = S3Request(method: "PUT", key: nil, named: configuration.bucket)
        let region = learned.withLock { $0.region }
        request.body =
            configuration.endpoint != nil || region == "us-east-1"
            ? []
            : Array(
                """
                <CreateBucketConfiguration><LocationConstraint>\(xmlEscaped(region))</LocationConstraint>\
                </CreateBucketConfiguration>
                """.utf8)
        do throws(StoreError) {
            _ = try send(request)
        } catch .refused(_, _, "BucketAlreadyOwnedByYou", _) {
        }
    }
}
