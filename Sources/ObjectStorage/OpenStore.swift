import Foundation
import Glibc

/// How a store is to be opened; what is `nil` is found as the AWS tools find it.
package struct StoreOptions: Sendable {
    /// `http://host:port`; `nil`: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, the profile's `endpoint_url`, AWS.
    package var endpoint: String?
    /// `nil`: AWS_REGION, AWS_DEFAULT_REGION, the profile's `region`, `us-east-1`.
    package var region: String?
    /// Whether the bucket goes into the path; `nil`: with any endpoint but AWS's own.
    package var pathStyle: Bool?
    /// How long a call is tried again; also the base limit of one try.
    package var timeoutSeconds: Double
    /// The most tries of a call, should the time not end them first.
    package var attempts: Int
    package var quirks: S3Quirks
    /// Make a directory that is not there. A bucket is never made.
    package var create: Bool
    package var environment: [String: String]

    /// - Parameter environment: `nil` is the process's.
    package init(
        endpoint: String? = nil, region: String? = nil, pathStyle: Bool? = nil, timeoutSeconds: Double = 60,
        attempts: Int = 1000, quirks: S3Quirks = S3Quirks(), create: Bool = false, environment: [String: String]? = nil
    ) {
        self.endpoint = endpoint
        self.region = region
        self.pathStyle = pathStyle
        self.timeoutSeconds = timeoutSeconds
        self.attempts = attempts
        self.quirks = quirks
        self.create = create
        self.environment = environment ?? ProcessInfo.processInfo.environment
    }
}

/// A store that retries. Nothing is sent yet: a missing bucket or wrong credentials show at the first call.
///
/// - Throws: `.containerMissing` for a directory that is not there, `.invalidLocation` for options that cannot be used.
package func openStore(_ location: StoreLocation, options: StoreOptions) throws(StoreError) -> any ObjectStore {
    let policy = RetryPolicy(attempts: options.attempts, timeoutSeconds: options.timeoutSeconds)
    switch location {
    case .directory(let path):
        return RetryingStore(try DirectoryStore(path, create: options.create), policy: policy)
    case .s3(let bucket, let prefix):
        return RetryingStore(try openS3(bucket, prefix, options), policy: policy)
    }
}

func openS3(_ bucket: String, _ prefix: String, _ options: StoreOptions) throws(StoreError) -> S3Store {
    let home = options.environment.filled("HOME") ?? NSHomeDirectory()
    let settings = AWSSettings(environment: options.environment, home: home, readFile: readText)
    var configuration = S3Configuration(bucket: bucket, prefix: prefix)
    configuration.region = options.region ?? settings.region ?? "us-east-1"
    configuration.pathStyle = options.pathStyle
    configuration.quirks = options.quirks
    configuration.limits = limits(options.timeoutSeconds)
    if let text = options.endpoint ?? settings.endpoint("S3") {
        guard let endpoint = S3Endpoint(text) else {
            throw .invalidLocation(location: text, reason: "an endpoint is http://host[:port] or https://host[:port]")
        }
        configuration.endpoint = endpoint
    }
    if let file = settings.caFile, access(file, R_OK) != 0 {
        throw .certificateRefused(location: file, reason: "the CA file cannot be read")
    }
    let client = HTTPClient(caFile: settings.caFile)
    let chain = CredentialChain(
        settings: settings, readFile: readText,
        fetch: { request throws(HTTPFailure) in try client.send(request) }, run: ShellCommand.run)
    return S3Store(configuration, client: client, credentials: CredentialProvider(chain))
}

private func limits(_ timeoutSeconds: Double) -> HTTPLimits {
    // Beyond a day the number no longer matters, and libcurl's must fit 32 bits.
    let seconds = min(max(timeoutSeconds, 1), 86_400)
    let standard = HTTPLimits()
    return HTTPLimits(
        connectMilliseconds: min(standard.connectMilliseconds, Int(seconds * 1000)),
        totalMilliseconds: Int(seconds * 1000), stallSeconds: min(standard.stallSeconds, Int(seconds)))
}

/// The text of a small file; `nil` when it cannot be read, which for configuration files means that there is none.
@Sendable private func readText(_ path: String) -> String? {
    guard let file = try? LocalFile.open(path, O_RDONLY),
        let bytes = try? file.read(at: 0, count: 1 << 20)
    else { return nil }
    return String(decoding: bytes, as: UTF8.self)
}
