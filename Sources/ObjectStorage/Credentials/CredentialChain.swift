import Foundation

/// Finds credentials where the AWS tools look, in their order: environment, web identity, profile (keys, role,
/// `credential_process`), container, instance metadata. The first source that is configured decides: if it fails, that
/// is the error, and no other is asked.
///
/// All that is outside comes in through `settings` and the three functions, so that the chain can be tested without a
/// machine.
struct CredentialChain: Sendable {
    typealias Fetch = @Sendable (HTTPRequest) throws(HTTPFailure) -> HTTPResponse

    let settings: AWSSettings
    let readFile: @Sendable (String) -> String?
    let fetch: Fetch
    /// Output of a shell command; throws its complaint.
    let run: @Sendable (String) throws(CredentialProcessFailure) -> String

    /// Roles that name other profiles as their source, at most this deep.
    static let roleDepthLimit = 5

    var environment: [String: String] { settings.environment }

    /// Throws `.noCredentials` when no source is configured, `.accessDenied` when one is and refuses.
    func find() throws(StoreError) -> Credentials {
        var tried = ["environment (AWS_ACCESS_KEY_ID)"]
        if let credentials = try fromEnvironment() { return credentials }
        tried.append("web identity (AWS_WEB_IDENTITY_TOKEN_FILE)")
        if let credentials = try fromWebIdentity(environment) { return credentials }
        tried.append("profile `\(settings.profileName)`")
        if let credentials = try fromProfile(settings.profileName) { return credentials }
        tried.append("container (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI)")
        if let credentials = try fromContainer() { return credentials }
        if environment["AWS_EC2_METADATA_DISABLED"]?.lowercased() == "true" {
            tried.append("instance metadata (disabled)")
        } else {
            tried.append("instance metadata")
            if let credentials = try fromInstanceMetadata() { return credentials }
        }
        throw .noCredentials(tried: tried)
    }

    private func fromEnvironment() throws(StoreError) -> Credentials? {
        guard let id = environment.filled("AWS_ACCESS_KEY_ID") else { return nil }
        guard let secret = environment.filled("AWS_SECRET_ACCESS_KEY") else {
            throw .accessDenied(location: "environment", reason: "AWS_ACCESS_KEY_ID without AWS_SECRET_ACCESS_KEY")
        }
        return Credentials(
            accessKeyID: id, secretAccessKey: secret, sessionToken: environment.filled("AWS_SESSION_TOKEN"))
    }

    private func fromWebIdentity(_ environment: [String: String]) throws(StoreError) -> Credentials? {
        guard let file = environment.filled("AWS_WEB_IDENTITY_TOKEN_FILE"),
            let role = environment.filled("AWS_ROLE_ARN")
        else { return nil }
        return try webIdentity(tokenFile: file, role: role, session: environment.filled("AWS_ROLE_SESSION_NAME"))
    }

    private func fromProfile(_ name: String, depth: Int = 0) throws(StoreError) -> Credentials? {
        guard let profile = settings.config.profiles[name] else {
            guard depth == 0, environment.filled("AWS_PROFILE") == nil else {
                throw .accessDenied(location: "profile `\(name)`", reason: "there is no such profile")
            }
            return nil
        }
        // A role whose source is its own profile takes the keys that stand beside it.
        if let role = profile.filled("role_arn"), !(depth > 0 && profile.filled("source_profile") == name) {
            return try fromRole(role, profile, name, depth: depth)
        }
        if let id = profile.filled("aws_access_key_id") {
            guard let secret = profile.filled("aws_secret_access_key") else {
                throw .accessDenied(location: "profile `\(name)`", reason: "a key without aws_secret_access_key")
            }
            return Credentials(
                accessKeyID: id, secretAccessKey: secret, sessionToken: profile.filled("aws_session_token"))
        }
        if let command = profile.filled("credential_process") { return try fromProcess(command) }
        return nil
    }

    private func fromRole(
        _ role: String, _ profile: [String: String], _ name: String, depth: Int
    ) throws(StoreError) -> Credentials {
        let session = profile.filled("role_session_name")
        if let file = profile.filled("web_identity_token_file") {
            return try webIdentity(tokenFile: file, role: role, session: session)
        }
        guard depth < Self.roleDepthLimit else {
            throw .accessDenied(location: "profile `\(name)`", reason: "source_profile goes round in a circle")
        }
        let source: Credentials? =
            if let other = profile.filled("source_profile") {
                try fromProfile(other, depth: depth + 1)
            } else {
                switch profile.filled("credential_source") {
                case "Environment": try fromEnvironment()
                case "EcsContainer": try fromContainer()
                case "Ec2InstanceMetadata": try fromInstanceMetadata()
                default: nil
                }
            }
        guard let source else {
            throw .accessDenied(
                location: "profile `\(name)`",
                reason: "role_arn without credentials from source_profile or credential_source")
        }
        return try assumeRole(role, source, session: session, externalID: profile.filled("external_id"))
    }

    /// Source: AWS SDKs and Tools Reference Guide, "Process credential provider".
    private func fromProcess(_ command: String) throws(StoreError) -> Credentials {
        do {
            return try Self.decode(Array(try run(command).utf8), from: "credential_process")
        } catch let failure as CredentialProcessFailure {
            throw .accessDenied(location: "credential_process", reason: failure.reason)
        } catch let error as StoreError {
            throw error
        } catch {
            throw .accessDenied(location: "credential_process", reason: "it cannot be run")
        }
    }
}

/// Why a command gave no output.
struct CredentialProcessFailure: Error, Hashable, Sendable {
    let reason: String
}

extension CredentialChain {
    /// The JSON of `credential_process`, containers and instance metadata: they name the token differently.
    private struct Document: Decodable {
        let AccessKeyId: String
        let SecretAccessKey: String
        let SessionToken: String?
        let Token: String?
        let Expiration: String?
    }

    static func decode(_ bytes: [UInt8], from source: String) throws(StoreError) -> Credentials {
        do {
            let document = try JSONDecoder().decode(Document.self, from: Data(bytes))
            return Credentials(
                accessKeyID: document.AccessKeyId, secretAccessKey: document.SecretAccessKey,
                sessionToken: document.SessionToken ?? document.Token,
                expiresAtSeconds: document.Expiration.flatMap { UTCTime(iso: $0)?.seconds })
        } catch {
            // The bytes stay out of the message: they may hold the secret.
            throw .accessDenied(location: source, reason: "the answer is not credentials in JSON")
        }
    }
}
