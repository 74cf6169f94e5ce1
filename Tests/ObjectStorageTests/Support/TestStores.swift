import Foundation
import Testing

@testable import ObjectStorage

/// A directory that goes away with this object.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "tarn-test-" + randomHex()
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// An S3 server that the tests are told of by the environment.
struct S3TestServer: Sendable {
    let endpoint: String
    let accessKeyID: String
    let secretAccessKey: String

    static let moto = S3TestServer(variable: "TARN_TEST_MOTO_ENDPOINT", "testing", "testing")
    static let rgw = S3TestServer(variable: "TARN_TEST_RGW_ENDPOINT", "labaccess", "labsecretlabsecret")
    /// Set where a skipped server would be a hole in the tests.
    static let areRequired = ProcessInfo.processInfo.environment["TARN_TEST_REQUIRE"] == "1"

    private init?(variable: String, _ accessKeyID: String, _ secretAccessKey: String) {
        guard let endpoint = ProcessInfo.processInfo.environment.filled(variable) else { return nil }
        self.endpoint = endpoint
        self.accessKeyID = accessKeyID
        self.secretAccessKey = secretAccessKey
    }

    func environment() -> [String: String] {
        [
            "AWS_ACCESS_KEY_ID": accessKeyID, "AWS_SECRET_ACCESS_KEY": secretAccessKey,
            "AWS_ENDPOINT_URL_S3": endpoint, "AWS_REGION": "us-east-1", "HOME": "/nonexistent",
        ]
    }

    /// A store in a new bucket.
    func store(prefix: String = "") throws -> S3Store {
        let options = StoreOptions(timeoutSeconds: 30, environment: environment())
        let store = try openS3("tarn-\(randomHex().prefix(16))", prefix, options)
        try store.createBucket()
        return store
    }
}

/// An `S3Store` for a scripted server, one try a call.
func scriptedStore(_ server: ScriptedServer, limits: HTTPLimits = HTTPLimits(), prefix: String = "") throws -> S3Store {
    var configuration = S3Configuration(bucket: "bucket", prefix: prefix)
    let endpoint: S3Endpoint = try #require(S3Endpoint(server.endpoint))
    configuration.endpoint = endpoint
    configuration.limits = limits
    return S3Store(configuration, client: HTTPClient(caFile: nil), credentials: .fixed)
}

extension CredentialProvider {
    static let fixed = CredentialProvider { () throws(StoreError) in
        Credentials(accessKeyID: "id", secretAccessKey: "secret")
    }
}

extension RetryPolicy {
    /// Counts as a policy does, and does not wait.
    static let hasty = RetryPolicy(firstPauseMilliseconds: 0)
    /// For real servers: RGW 16 answers a lost race with 500 now and then.
    static let brief = RetryPolicy(timeoutSeconds: 30, firstPauseMilliseconds: 20, longestPauseMilliseconds: 200)
}

/// Runs `body` on threads of its own and waits for all of them; the first error is thrown.
func onThreads(_ count: Int, _ body: @escaping @Sendable (Int) throws -> Void) throws {
    let group = DispatchGroup()
    let errors = Collected<any Error>()
    for index in 0..<count {
        group.enter()
        Thread.detachNewThread {
            do { try body(index) } catch { errors.append(error) }
            group.leave()
        }
    }
    group.wait()
    if let error = errors.all.first { throw error }
}

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
