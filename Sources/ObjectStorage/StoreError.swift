/// What can go wrong with a store. Cases carry the facts; the command line makes the sentences.
package enum StoreError: Error, Hashable, Sendable {
    case notFound(key: String)
    case preconditionFailed(key: String)
    case rangeNotSatisfiable(key: String)
    /// The key breaks the rules above `ObjectStore`, or this store cannot hold it.
    case invalidKey(key: String, reason: String)
    /// The bucket or directory itself is missing.
    case containerMissing(location: String)
    /// Credentials are missing, wrong, expired or lack a permission. `reason` is the store's own word.
    case accessDenied(location: String, reason: String)
    /// No credentials were found; `tried` names the sources that were asked.
    case noCredentials(tried: [String])
    /// The store did not answer usefully after `attempts` tries: 5xx, resets, timeouts, TLS, DNS.
    case unavailable(location: String, key: String, attempts: Int, reason: String)
    /// The object has more bytes than any of its kind.
    case tooLarge(key: String, limitBytes: Int)
    /// The answer cannot be right: short body, unparsable XML, missing header. `reason` says what was seen.
    case badAnswer(key: String, reason: String)
    /// The store understood the request and will not do it, and asking again will not change that: any other 4xx, or a
    /// multipart upload whose parts do not fit together.
    case refused(key: String, status: Int, code: String, message: String)
    /// The server's certificate is not trusted, or the CA file cannot be used. Verification is never switched off.
    case certificateRefused(location: String, reason: String)
    /// A local file operation failed with this errno.
    case localIO(path: String, errno: Int32)
    /// The location cannot be used: unknown scheme, bad bucket name, bad option.
    case invalidLocation(location: String, reason: String)
}

extension StoreError {
    /// Whether the same call may succeed if it is made again.
    package var isTransient: Bool {
        switch self {
        case .unavailable, .badAnswer: true
        case .notFound, .preconditionFailed, .rangeNotSatisfiable, .invalidKey, .containerMissing, .accessDenied,
            .noCredentials, .tooLarge, .refused, .certificateRefused, .localIO, .invalidLocation:
            false
        }
    }
}
