/// What a request is signed with.
package struct Credentials: Hashable, Sendable {
    package let accessKeyID: String
    package let secretAccessKey: String
    package let sessionToken: String?
    /// Seconds since 1970; `nil` for keys that stay.
    package let expiresAtSeconds: Int64?

    package init(
        accessKeyID: String, secretAccessKey: String, sessionToken: String? = nil, expiresAtSeconds: Int64? = nil
    ) {
        self.accessKeyID = accessKeyID
        self.secretAccessKey = secretAccessKey
        self.sessionToken = sessionToken
        self.expiresAtSeconds = expiresAtSeconds
    }
}

extension Credentials: CustomStringConvertible, CustomDebugStringConvertible {
    /// Never the secrets: this may end up in a log.
    package var description: String { "Credentials(\(accessKeyID))" }
    package var debugDescription: String { description }
}
