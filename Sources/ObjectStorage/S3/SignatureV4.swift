import BlockingIO
import Crypto
import Foundation

/// AWS Signature Version 4 in the `Authorization` header.
/// Source: "Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)", S3 API Reference.
struct SignatureV4: Sendable {
    var region: String
    var service: String

    /// SHA-256 of nothing, the payload hash of a request without a body.
    static let emptyPayloadHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

    static func payloadHash(_ body: [UInt8]) -> String {
        body.isEmpty ? emptyPayloadHash : hexEncoded(Array(SHA256.hash(data: body)))
    }

    /// What is signed of a request.
    struct Subject: Sendable {
        var method: String
        /// Encoded, as it goes into the request line.
        var path: String
        /// Not encoded; any order.
        var query: [HTTPHeader] = []
        /// With `host`; all of them are signed.
        var headers: [HTTPHeader]
        var payloadHash: String
    }

    /// The query string as it is signed, which is also how it is to be sent.
    static func canonicalQuery(_ query: [HTTPHeader]) -> String {
        query
            .map { (PercentEncoding.encode($0.name), PercentEncoding.encode($0.value)) }
            .sorted { $0.0 == $1.0 ? ObjectKey.precedes($0.1, $1.1) : ObjectKey.precedes($0.0, $1.0) }
            .map { "\($0.0)=\($0.1)" }
            .joined(separator: "&")
    }

    /// `subject.headers` and, with them, `x-amz-date`, the session token if there is one, and `Authorization`.
    func sign(_ subject: Subject, with credentials: Credentials, at seconds: Int64) -> [HTTPHeader] {
        let timestamp = UTCTime(seconds).basic
        let date = String(timestamp.prefix(8))
        var headers = subject.headers + [HTTPHeader("x-amz-date", timestamp)]
        if let token = credentials.sessionToken { headers.append(HTTPHeader("x-amz-security-token", token)) }

        let canonical =
            headers
            .map { HTTPHeader($0.name.lowercased(), Self.collapsingSpaces($0.value)) }
            .sorted { ObjectKey.precedes($0.name, $1.name) }
        let signedNames = canonical.map(\.name).joined(separator: ";")
        let request = [
            subject.method, subject.path, Self.canonicalQuery(subject.query),
            canonical.map { "\($0.name):\($0.value)\n" }.joined(), signedNames, subject.payloadHash,
        ].joined(separator: "\n")

        let scope = "\(date)/\(region)/\(service)/aws4_request"
        let digest = hexEncoded(Array(SHA256.hash(data: Array(request.utf8))))
        let text = "AWS4-HMAC-SHA256\n\(timestamp)\n\(scope)\n\(digest)"
        let signature = hexEncoded(Self.hmac(key(credentials, date: date), text))
        let authorization =
            "AWS4-HMAC-SHA256 Credential=\(credentials.accessKeyID)/\(scope), "
            + "SignedHeaders=\(signedNames), Signature=\(signature)"
        return headers + [HTTPHeader("Authorization", authorization)]
    }

    private func key(_ credentials: Credentials, date: String) -> [UInt8] {
        let secret = Array("AWS4\(credentials.secretAccessKey)".utf8)
        return [date, region, service, "aws4_request"].reduce(secret) { Self.hmac($0, $1) }
    }

    private static func hmac(_ key: [UInt8], _ text: String) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: Array(text.utf8), using: SymmetricKey(data: key)))
    }

    private static func collapsingSpaces(_ value: String) -> String {
        value.split(separator: " ", omittingEmptySubsequences: true).joined(separator: " ")
    }
}
