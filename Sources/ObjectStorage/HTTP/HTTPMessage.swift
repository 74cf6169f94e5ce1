/// One HTTP exchange as plain values, so that everything above the socket can be tested without one.
struct HTTPRequest: Sendable {
    var method: String
    /// Absolute, already percent-encoded; sent as it is.
    var url: String
    var headers: [HTTPHeader] = []
    /// `nil` sends no body and no `Content-Length`.
    var body: [UInt8]?
    /// An answer with a longer body is cut off and reported as `.bodyTooLong`.
    var bodyLimitBytes = HTTPRequest.defaultBodyLimitBytes
    var limits = HTTPLimits()
    /// Connects directly, whatever the proxy variables say.
    var bypassesProxy = false

    static let defaultBodyLimitBytes = 64 << 20
}

struct HTTPHeader: Hashable, Sendable {
    var name: String
    var value: String

    init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// Bounds of one exchange. Nothing waits longer than these.
struct HTTPLimits: Hashable, Sendable {
    var connectMilliseconds = 10_000
    /// From the first packet of the connection to the last byte of the answer.
    var totalMilliseconds = 60_000
    /// Ends a transfer that moved less than a byte a second for this long.
    var stallSeconds = 15
}

struct HTTPResponse: Sendable {
    var status: Int
    /// Names in lower case.
    var headers: [String: String]
    var body: [UInt8]
    /// How many connections this exchange had to open: 0 when one was reused.
    var newConnections = 0

    var text: String { String(decoding: body, as: UTF8.self) }
}

/// Why there is no answer. None of these say whether the server acted on the request.
struct HTTPFailure: Error, Hashable, Sendable {
    enum Kind: Hashable, Sendable {
        /// DNS, connect, reset, timeout: another try may work.
        case transport
        /// The body ended before its announced length.
        case shortBody
        case bodyTooLong
        /// The server's certificate is not trusted, or the CA file cannot be used. Another try will not help.
        case certificate
        /// The request could not even be made: bad URL, unusable option.
        case unusable
    }

    let kind: Kind
    let reason: String
}
