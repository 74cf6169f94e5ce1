import Testing

@testable import ObjectStorage

@Suite struct StoreLocationTests {
    @Test func directoriesAndURLsAreRead() throws {
        #expect(try StoreLocation.parse("/data/lake") == .directory("/data/lake"))
        #expect(try StoreLocation.parse("lake dir") == .directory("lake dir"))
        #expect(try StoreLocation.parse("./a://b") == .directory("./a://b"))
        #expect(try StoreLocation.parse("file:///data/my%20lake+1") == .directory("/data/my lake+1"))
        #expect(try StoreLocation.parse("file://localhost/data") == .directory("/data"))
        #expect(try StoreLocation.parse("s3://bucket") == .s3(bucket: "bucket", prefix: ""))
        #expect(try StoreLocation.parse("S3://bucket//a/b c/") == .s3(bucket: "bucket", prefix: "a/b c"))
        #expect(StoreLocation.s3(bucket: "b", prefix: "p").description == "s3://b/p")
    }

    @Test(arguments: [
        "", "s3://", "s3://ab", "s3://Upper/x", "s3://-ab", "s3://a..b", "s3://a_b", "s3://bucket/a/../b", "http://x/y",
        "file://host/x", "file:///%zz", "gs://bucket",
    ])
    func othersAreRefused(_ text: String) {
        let error = #expect(throws: StoreError.self) { try StoreLocation.parse(text) }
        guard case .invalidLocation(text, _) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test func endpointsAreRead() throws {
        let plain: S3Endpoint = try #require(S3Endpoint("HTTP://localhost:9000/"))
        #expect(plain.scheme == "http" && plain.host == "localhost:9000" && plain.basePath == "")
        #expect(S3Endpoint("https://h:443/base/")?.host == "h")
        #expect(S3Endpoint("https://h:443/base/")?.basePath == "/base")
        for text in ["", "localhost:9000", "ftp://h", "http://", "http://user@h", "http://h?x", "http://h/a b"] {
            #expect(S3Endpoint(text) == nil, "\(text)")
        }
    }

    @Test func bucketsAreAddressedByHostAtAWSAndByPathElsewhere() throws {
        let aws: S3Endpoint = try #require(S3Endpoint.aws("s3", region: "eu-west-1"))
        #expect(aws.address(bucket: "b", key: "k ü", .virtualHost) == ("b.s3.eu-west-1.amazonaws.com", "/k%20%C3%BC"))
        #expect(aws.address(bucket: "b", key: nil, .path) == ("s3.eu-west-1.amazonaws.com", "/b"))
        #expect(S3Endpoint.aws("s3", region: "cn-north-1")?.host == "s3.cn-north-1.amazonaws.com.cn")
        var configuration = S3Configuration(bucket: "bucket")
        #expect(configuration.addressing == .virtualHost)
        configuration.endpoint = aws
        #expect(configuration.addressing == .path)
        configuration.pathStyle = false
        #expect(configuration.addressing == .virtualHost)
        #expect(S3Configuration(bucket: "dotted.bucket").addressing == .path)
    }

    @Test func storesAreOpened() throws {
        let directory = try TemporaryDirectory()
        let options = StoreOptions(environment: ["HOME": "/nonexistent"])
        let store = try openStore(try StoreLocation.parse(directory.path), options: options)
        _ = try store.put("k", [1], .absent)
        #expect(store.location == directory.path)
        let missing = StoreLocation.directory(directory.path + "/missing")
        #expect(throws: StoreError.containerMissing(location: directory.path + "/missing")) {
            try openStore(missing, options: options)
        }
        _ = try openStore(missing, options: StoreOptions(create: true, environment: [:]))
        let s3 = try openStore(.s3(bucket: "bucket", prefix: "p"), options: options)
        #expect(s3.location == "s3://bucket/p")
        #expect(throws: StoreError.self) {
            try openStore(
                .s3(bucket: "bucket", prefix: ""), options: StoreOptions(endpoint: "nonsense", environment: [:]))
        }
    }
}
