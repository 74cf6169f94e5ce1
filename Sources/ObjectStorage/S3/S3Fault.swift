/// An answer that is not a success, and what it means.
struct S3Fault: Sendable {
    let status: Int
    /// S3's error code, or empty: HEAD has no body, and proxies write their own.
    let code: String
    let message: String
    /// The bucket's region, when the answer says that the request went to another.
    let region: String?

    init(_ reply: HTTPResponse) {
        self.init(status: reply.status, root: XMLScanner.parse(reply.body), headers: reply.headers)
    }

    init(status: Int, root: XMLElement?, headers: [String: String]) {
        let error = root?.name == "Error" ? root : root?.child("Error")
        self.status = status
        code = error?.text("Code") ?? ""
        message = error?.text("Message") ?? ""
        let isRedirect = [301, 302, 307, 400].contains(status)
        let isWrongRegion =
            code.isEmpty
            || ["PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"]
                .contains(code)
        region =
            isRedirect && isWrongRegion
            ? (headers["x-amz-bucket-region"] ?? error?.text("Region")).flatMap { $0.isEmpty ? nil : $0 } : nil
    }

    var isClockSkew: Bool { code == "RequestTimeTooSkewed" || code == "RequestInTheFuture" }

    var isExpiredToken: Bool { ["ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"].contains(code) }

    /// `503 SlowDown: Please reduce your request rate.`
    private var sentence: String {
        let what = [code, message].filter { !$0.isEmpty }.joined(separator: ": ")
        return "HTTP \(status)" + (what.isEmpty ? "" : " \(what)")
    }

    func storeError(for request: S3Request, at location: String) -> StoreError {
        let key = request.named
        let unavailable = StoreError.unavailable(location: location, key: key, attempts: 1, reason: sentence)
        switch code {
        case "NoSuchBucket": return .containerMissing(location: location)
        case "NoSuchKey" where !isMatching(request), "NoSuchUpload": return .notFound(key: key)
        case "InvalidRange": return .rangeNotSatisfiable(key: key)
        case "PreconditionFailed": return .preconditionFailed(key: key)
        // Another writer is at it: the condition no longer holds, or will not when that writer is done.
        case "ConditionalRequestConflict", "ConcurrentModification":
            return request.condition == .none ? unavailable : .preconditionFailed(key: key)
        case "OperationAborted", "RequestTimeout", "SlowDown", "InternalError", "ServiceUnavailable", "Throttling",
            "ThrottlingException", "TooManyRequests":
            return unavailable
        case "KeyTooLongError", "InvalidURI": return .invalidKey(key: key, reason: sentence)
        case "InvalidBucketName": return .invalidLocation(location: location, reason: sentence)
        case "InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied", "InvalidToken", "AllAccessDisabled":
            return .accessDenied(location: location, reason: sentence)
        default: break
        }
        if isExpiredToken || isClockSkew { return .accessDenied(location: location, reason: sentence) }
        switch status {
        case 401, 403: return .accessDenied(location: location, reason: sentence)
        // AWS answers If-Match on a missing key with 404, RGW with 412.
        case 404: return isMatching(request) ? .preconditionFailed(key: key) : .notFound(key: key)
        case 304, 412: return .preconditionFailed(key: key)
        case 409 where request.condition != .none: return .preconditionFailed(key: key)
        case 416: return .rangeNotSatisfiable(key: key)
        case 408, 425, 429, 500...: return unavailable
        default: return .refused(key: key, status: status, code: code, message: message)
        }
    }

    private func isMatching(_ request: S3Request) -> Bool {
        if case .matches = request.condition { true } else { false }
    }
}
