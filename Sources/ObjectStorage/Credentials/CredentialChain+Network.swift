/// Sources that answer over HTTP.
extension CredentialChain {
    /// Instance metadata is a hop away or not there at all.
    static let metadataLimits = HTTPLimits(connectMilliseconds: 1000, totalMilliseconds: 1000, stallSeconds: 1)
    static let containerLimits = HTTPLimits(connectMilliseconds: 2000, totalMilliseconds: 5000, stallSeconds: 5)
    static let tokenLifetimeSeconds = 21_600
    static let answerLimitBytes = 1 << 20

    // MARK: - Containers

    /// Source: AWS SDKs and Tools Reference Guide, "Container credential provider".
    func fromContainer() throws(StoreError) -> Credentials? {
        let url: String
        if let path = environment.filled("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
            url = "http://169.254.170.2\(path)"
        } else if let full = environment.filled("AWS_CONTAINER_CREDENTIALS_FULL_URI") {
            guard Self.mayCarryToken(full) else {
                throw .accessDenied(
                    location: full, reason: "container credentials come by HTTPS or from this host only")
            }
            url = full
        } else {
            return nil
        }
        var request = HTTPRequest(method: "GET", url: url, limits: Self.containerLimits, bypassesProxy: true)
        if let file = environment.filled("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
            guard let token = readFile(file) else {
                throw .accessDenied(location: file, reason: "the authorization token cannot be read")
            }
            request.headers.append(HTTPHeader("Authorization", token.trimmingEnds()))
        } else if let token = environment.filled("AWS_CONTAINER_AUTHORIZATION_TOKEN") {
            request.headers.append(HTTPHeader("Authorization", token))
        }
        return try Self.decode(try answer(request), from: url)
    }

    /// Plain HTTP only to this host and to the addresses that ECS and EKS give their agents.
    private static func mayCarryToken(_ url: String) -> Bool {
        guard let endpoint = S3Endpoint(url.split(separator: "?")[0].description) else { return false }
        if endpoint.scheme == "https" { return true }
        var host = endpoint.host[...]
        if let port = host.lastIndex(of: ":"), host.last != "]" { host = host[..<port] }
        let numbers = host.split(separator: ".").map { UInt8($0) }
        let isLoopback = numbers.count == 4 && numbers[0] == 127 && numbers.allSatisfy { $0 != nil }
        return isLoopback || ["localhost", "[::1]", "169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"].contains(host)
    }

    // MARK: - Instance metadata

    /// IMDSv2. `nil` when there is no such service or no role on the instance.
    /// Source: Amazon EC2 User Guide, "Use the Instance Metadata Service".
    func fromInstanceMetadata() throws(StoreError) -> Credentials? {
        var base = environment.filled("AWS_EC2_METADATA_SERVICE_ENDPOINT") ?? "http://169.254.169.254"
        while base.hasSuffix("/") { base.removeLast() }
        let lifetime = HTTPHeader("X-aws-ec2-metadata-token-ttl-seconds", String(Self.tokenLifetimeSeconds))
        guard let token = metadata("PUT", "\(base)/latest/api/token", lifetime), token.status == 200 else { return nil }
        let proof = HTTPHeader("X-aws-ec2-metadata-token", token.text)
        let path = "\(base)/latest/meta-data/iam/security-credentials/"
        guard let roles = metadata("GET", path, proof), roles.status == 200,
            let role = roles.text.split(whereSeparator: \.isNewline).first
        else { return nil }
        guard let document = metadata("GET", path + role, proof), document.status == 200 else {
            throw .unavailable(
                location: "instance metadata", key: "", attempts: 1, reason: "no credentials for the role `\(role)`")
        }
        return try Self.decode(document.body, from: "instance metadata")
    }

    /// `nil` when nobody answers: most machines are not instances.
    private func metadata(_ method: String, _ url: String, _ header: HTTPHeader) -> HTTPResponse? {
        let request = HTTPRequest(
            method: method, url: url, headers: [header], body: method == "PUT" ? [] : nil,
            bodyLimitBytes: Self.answerLimitBytes, limits: Self.metadataLimits, bypassesProxy: true)
        return try? fetch(request)
    }

    // MARK: - Security Token Service

    /// Not signed: the token is the proof.
    func webIdentity(tokenFile: String, role: String, session: String?) throws(StoreError) -> Credentials {
        guard let token = readFile(tokenFile)?.trimmingEnds(), !token.isEmpty else {
            throw .accessDenied(location: tokenFile, reason: "the web identity token cannot be read")
        }
        return try askSTS([
            HTTPHeader("Action", "AssumeRoleWithWebIdentity"), HTTPHeader("RoleArn", role),
            HTTPHeader("RoleSessionName", session ?? "tarn"), HTTPHeader("WebIdentityToken", token),
        ])
    }

    func assumeRole(
        _ role: String, _ source: Credentials, session: String?, externalID: String?
    ) throws(StoreError) -> Credentials {
        var form = [
            HTTPHeader("Action", "AssumeRole"), HTTPHeader("RoleArn", role),
            HTTPHeader("RoleSessionName", session ?? "tarn"),
        ]
        if let externalID { form.append(HTTPHeader("ExternalId", externalID)) }
        return try askSTS(form, signedWith: source)
    }

    private func askSTS(_ form: [HTTPHeader], signedWith source: Credentials? = nil) throws(StoreError) -> Credentials {
        let region = settings.region ?? "us-east-1"
        let own = settings.endpoint("STS")
        guard let endpoint = own.map({ S3Endpoint($0) }) ?? S3Endpoint.aws("sts", region: region) else {
            throw .invalidLocation(location: own ?? region, reason: "the STS endpoint is not an http or https URL")
        }
        let body = Array(SignatureV4.canonicalQuery(form + [HTTPHeader("Version", "2011-06-15")]).utf8)
        let path = endpoint.basePath + "/"
        var headers = [HTTPHeader("Content-Type", "application/x-www-form-urlencoded")]
        if let source {
            let subject = SignatureV4.Subject(
                method: "POST", path: path, headers: headers + [HTTPHeader("host", endpoint.host)],
                payloadHash: SignatureV4.payloadHash(body))
            headers = SignatureV4(region: region, service: "sts")
                .sign(subject, with: source, at: UTCTime.now().seconds).filter { $0.name != "host" }
        }
        let url = "\(endpoint.scheme)://\(endpoint.host)\(path)"
        let reply = try answer(HTTPRequest(method: "POST", url: url, headers: headers, body: body))
        let credentials = XMLScanner.parse(reply)?.children.first?.child("Credentials")
        guard let id = credentials?.text("AccessKeyId"), let secret = credentials?.text("SecretAccessKey") else {
            throw .badAnswer(key: url, reason: "the STS answer has no credentials")
        }
        return Credentials(
            accessKeyID: id, secretAccessKey: secret, sessionToken: credentials?.text("SessionToken"),
            expiresAtSeconds: credentials?.text("Expiration").flatMap { UTCTime(iso: $0)?.seconds })
    }

    /// The body of a 200; other answers become errors.
    private func answer(_ request: HTTPRequest) throws(StoreError) -> [UInt8] {
        let reply: HTTPResponse
        do {
            reply = try fetch(request)
        } catch {
            guard error.kind != .certificate else {
                throw .certificateRefused(location: request.url, reason: error.reason)
            }
            throw .unavailable(location: request.url, key: "", attempts: 1, reason: error.reason)
        }
        if reply.status == 200 { return reply.body }
        let fault = S3Fault(reply)
        let reason = "HTTP \(reply.status) \(fault.code) \(fault.message)".trimmingEnds()
        if reply.status >= 500 || reply.status == 429 {
            throw .unavailable(location: request.url, key: "", attempts: 1, reason: reason)
        }
        throw .accessDenied(location: request.url, reason: reason)
    }
}

extension String {
    func trimmingEnds() -> String {
        var slice = drop(while: \.isWhitespace)
        while slice.last?.isWhitespace == true { slice = slice.dropLast() }
        return String(slice)
    }
}
