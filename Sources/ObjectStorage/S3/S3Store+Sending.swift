import Synchronization

/// One S3 call before it is signed.
struct S3Request: Sendable {
    var method: String
    /// In the bucket, with the store's prefix; `nil` is the bucket itself.
    var key: String?
    /// What errors name: the key as the caller knows it.
    var named: String
    var query: [HTTPHeader] = []
    var headers: [HTTPHeader] = []
    var body: [UInt8]?
    var condition = WriteCondition.none
    /// Length of the answer, which widens the time limit; `nil` when unknown.
    var expectedBytes: Int? = 0
    var bodyLimitBytes = HTTPRequest.defaultBodyLimitBytes
    /// For a whole object: the most that it may have.
    var wholeLimitBytes: Int?
    /// For reads of objects: which answers of the 200s are whole. Only such a request may be sent twice.
    var accepts: (@Sendable (HTTPResponse) -> Bool)?

    static let errorLimitBytes = 64 << 10

    init(method: String, key: String?, named: String) {
        self.method = method
        self.key = key
        self.named = named
    }
}

extension S3Store {
    /// On top of the base limit a transfer may take the time that this speed needs.
    static let slowestBytesPerSecond = 256 << 10
    /// The most that is added, and what is added for a body whose length is not known beforehand.
    static let longestTransferSeconds = 3600

    /// Signs and sends; returns answers of the 200s and throws all others.
    func send(_ request: S3Request) throws(StoreError) -> HTTPResponse {
        var hasAdjustedClock = false
        var hasChangedRegion = false
        var rejected: Credentials?
        while true {
            let (reply, used) = try sendOnce(request, rejecting: rejected)
            if (200..<300).contains(reply.status) { return reply }
            let fault = S3Fault(reply)
            if fault.isClockSkew, !hasAdjustedClock, adjustClock(to: reply.headers["date"]) {
                hasAdjustedClock = true
            } else if let region = fault.region, !hasChangedRegion, changeRegion(to: region) {
                hasChangedRegion = true
            } else if fault.isExpiredToken, rejected == nil {
                rejected = used
            } else {
                throw fault.storeError(for: request, at: location)
            }
        }
    }

    private func sendOnce(
        _ request: S3Request, rejecting rejected: Credentials?
    ) throws(StoreError) -> (HTTPResponse, Credentials) {
        let known = learned.withLock { $0 }
        guard let endpoint = configuration.endpoint ?? S3Endpoint.aws("s3", region: known.region) else {
            throw .invalidLocation(location: location, reason: "the region `\(known.region)` makes no host name")
        }
        let current = try credentials.credentials(rejecting: rejected)
        let (host, path) = endpoint.address(
            bucket: configuration.bucket, key: request.key, configuration.addressing)
        let hash = SignatureV4.payloadHash(request.body ?? [])
        let headers = SignatureV4(region: known.region, service: "s3").sign(
            SignatureV4.Subject(
                method: request.method, path: path, query: request.query,
                headers: request.headers + [HTTPHeader("host", host), HTTPHeader("x-amz-content-sha256", hash)],
                payloadHash: hash),
            with: current, at: UTCTime.now().seconds + known.clockOffsetSeconds)
        let query = SignatureV4.canonicalQuery(request.query)
        let message = HTTPRequest(
            method: request.method, url: "\(endpoint.scheme)://\(host)\(path)" + (query.isEmpty ? "" : "?\(query)"),
            headers: headers.filter { $0.name != "host" }, body: request.body, bodyLimitBytes: request.bodyLimitBytes,
            limits: limits(for: request))
        let exchange = pace.exchange(
            message, by: client, expectedBytes: request.expectedBytes,
            waitMilliseconds: configuration.limits.totalMilliseconds, accepts: request.accepts)
        switch exchange?.answer {
        case .success(let reply): return (reply, current)
        case .failure(let failure): throw storeError(failure, request)
        case nil:
            throw .unavailable(
                location: location, key: request.named, attempts: 1,
                reason: "all \(pace.limit.current) requests that the store bears at once stayed busy")
        }
    }

    private func limits(for request: S3Request) -> HTTPLimits {
        var limits = configuration.limits
        let longest = Self.longestTransferSeconds * 1000
        let received = (request.expectedBytes ?? .max) / (Self.slowestBytesPerSecond / 1000)
        let sent = (request.body?.count ?? 0) / (Self.slowestBytesPerSecond / 1000)
        limits.totalMilliseconds += min(min(received, longest) + sent, longest)
        return limits
    }

    private func storeError(_ failure: HTTPFailure, _ request: S3Request) -> StoreError {
        switch failure.kind {
        case .transport: .unavailable(location: location, key: request.named, attempts: 1, reason: failure.reason)
        case .bodyTooLong where request.wholeLimitBytes != nil:
            .tooLarge(key: request.named, limitBytes: request.wholeLimitBytes ?? 0)
        case .shortBody, .bodyTooLong: .badAnswer(key: request.named, reason: failure.reason)
        case .certificate: .certificateRefused(location: location, reason: failure.reason)
        case .unusable: .invalidLocation(location: location, reason: failure.reason)
        }
    }

    /// False when the server's clock is not known or is the one already used.
    private func adjustClock(to date: String?) -> Bool {
        guard let server = date.flatMap({ UTCTime(http: $0) }) else { return false }
        learned.withLock { $0.clockOffsetSeconds = server.seconds - UTCTime.now().seconds }
        return true
    }

    private func changeRegion(to region: String) -> Bool {
        learned.withLock { learned in
            defer { learned.region = region }
            return learned.region != region
        }
    }
}
