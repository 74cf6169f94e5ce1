/// What the environment and the profile say about places and certificates, as the AWS tools read it.
struct AWSSettings: Sendable {
    let environment: [String: String]
    let profileName: String
    let config: SharedConfig

    init(environment: [String: String], home: String, readFile: (String) -> String?) {
        self.environment = environment
        profileName = environment.filled("AWS_PROFILE") ?? environment.filled("AWS_DEFAULT_PROFILE") ?? "default"
        config = SharedConfig.load(environment, home: home, readFile: readFile)
    }

    var profile: [String: String] { config.profiles[profileName] ?? [:] }

    var region: String? {
        environment.filled("AWS_REGION") ?? environment.filled("AWS_DEFAULT_REGION") ?? profile.filled("region")
    }

    /// The endpoint of `S3` or `STS`; `nil` is AWS's own.
    func endpoint(_ service: String) -> String? {
        if environment["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"]?.lowercased() == "true" { return nil }
        return environment.filled("AWS_ENDPOINT_URL_\(service)") ?? environment.filled("AWS_ENDPOINT_URL")
            ?? profile.filled("endpoint_url")
    }

    /// PEM file with the certificates to trust; `nil` is the system's.
    var caFile: String? {
        environment.filled("AWS_CA_BUNDLE") ?? profile.filled("ca_bundle") ?? environment.filled("SSL_CERT_FILE")
    }
}

extension [String: String] {
    /// The value, unless it is missing or empty.
    func filled(_ name: String) -> String? {
        self[name].flatMap { $0.isEmpty ? nil : $0 }
    }
}
