import TestSupport
import Testing

@testable import ObjectStorage

/// `S3Store` against a server that misbehaves.
@Suite struct S3StoreTests {
    private static let object = ["ETag": "\"e\"", "Last-Modified": "Mon, 12 Oct 2009 17:50:30 GMT"]

    private func error(
        limits: HTTPLimits = HTTPLimits(), range: Range<UInt64>? = nil, _ reply: ScriptedServer.Reply
    ) throws -> StoreError? {
        let server = try ScriptedServer { _, _ in reply }
        let store = try scriptedStore(server, limits: limits)
        return #expect(throws: StoreError.self) { try store.get("k", range: range, ifMatch: nil) }
    }

    private func xml(_ code: String, _ message: String = "m") -> String {
        "<?xml version=\"1.0\"?><Error><Code>\(code)</Code><Message>\(message)</Message></Error>"
    }

    @Test func unavailableServersAreTriedAgainUntilTheyAnswer() throws {
        let server = try ScriptedServer { number, _ in
            switch number {
            case 0: .answer(503, [:], "<Error><Code>SlowDown</Code></Error>")
            case 1: .reset
            case 2: .raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\nETag: \"e\"\r\n\r\nshort")
            case 3: .raw("complete garbage\r\n\r\n")
            case 4: .answer(500)
            case 5: .answer(429)
            default: .answer(200, Self.object, "hello")
            }
        }
        let store = RetryingStore(try scriptedStore(server), policy: .hasty)
        #expect(try store.get("k", range: nil, ifMatch: nil).bytes == bytes("hello"))
        #expect(server.requests.count == 7)
    }

    @Test func aShortBodyIsABadAnswer() throws {
        let short = try error(.raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\nETag: \"e\"\r\n\r\nshort"))
        guard case .badAnswer = short else { throw try #require(short) }
        let unknown = try error(.raw("HTTP/1.1 200 OK\r\nConnection: close\r\nETag: \"e\"\r\n\r\nwho knows"))
        guard case .badAnswer = unknown else { throw try #require(unknown) }
        let noETag = try error(.answer(200, [:], "x"))
        guard case .badAnswer = noETag else { throw try #require(noETag) }
    }

    @Test func aChunkedBodyIsRead() throws {
        let server = try ScriptedServer { _, _ in
            .raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nETag: \"e\"\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        }
        #expect(try scriptedStore(server).get("k", range: nil, ifMatch: nil).bytes == bytes("abc"))
    }

    @Test func otherBytesThanAskedForAreABadAnswer() throws {
        for range in ["bytes 1-4/10", "bytes 0-4/10", "bytes 0-2/10", "bytes 0-3/*", "nonsense", "bytes 3-0/10"] {
            let wrong = try error(range: 0..<4, .answer(206, ["ETag": "\"e\"", "Content-Range": range], "abc"))
            guard case .badAnswer = wrong else { throw try #require(wrong) }
        }
        let none = try error(range: 0..<4, .answer(206, Self.object, "abcd"))
        guard case .badAnswer = none else { throw try #require(none) }
    }

    @Test func aServerWithoutRangesIsTakenAtItsWholeObject() throws {
        let server = try ScriptedServer { _, _ in .answer(200, Self.object, "0123456789") }
        let object = try scriptedStore(server).get("k", range: 2..<4, ifMatch: nil)
        #expect(object.bytes == bytes("23") && object.totalSizeBytes == 10)
        let huge = try error(
            range: 0..<4, .rawThenSilence("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\nETag: \"e\"\r\n\r\nx"))
        guard case .badAnswer = huge else { throw try #require(huge) }
    }

    @Test func aStalledBodyEnds() throws {
        let start = ContinuousClock.now
        let limits = HTTPLimits(connectMilliseconds: 500, totalMilliseconds: 60_000, stallSeconds: 1)
        let stalled = try error(
            limits: limits, range: 0..<4,
            .rawThenSilence(
                "HTTP/1.1 206 X\r\nContent-Length: 4\r\nContent-Range: bytes 0-3/4\r\nETag: \"e\"\r\n\r\nab"))
        guard case .unavailable = stalled else { throw try #require(stalled) }
        #expect(ContinuousClock.now - start < .seconds(20))
    }

    @Test func aDrippingBodyEndsAtTheTotalLimit() throws {
        let start = ContinuousClock.now
        let limits = HTTPLimits(connectMilliseconds: 500, totalMilliseconds: 700, stallSeconds: 30)
        let dripping = try error(
            limits: limits, range: 0..<4000,
            .drip(
                "HTTP/1.1 206 X\r\nContent-Length: 4000\r\n\r\n" + String(repeating: "x", count: 4000), milliseconds: 20
            ))
        guard case .unavailable = dripping else { throw try #require(dripping) }
        #expect(ContinuousClock.now - start < .seconds(20))
    }

    @Test func nobodyListeningIsUnavailable() throws {
        let refused = try scriptedStore(try ScriptedServer { _, _ in .reset }).with(quirks: S3Quirks())
        var configuration = refused.configuration
        configuration.endpoint = S3Endpoint("http://127.0.0.1:1")
        let store = S3Store(configuration, client: HTTPClient(caFile: nil), credentials: .fixed)
        let error = #expect(throws: StoreError.self) { try store.head("k") }
        guard case .unavailable = error else { throw try #require(error) }
    }

    @Test func errorCodesBecomeCases() throws {
        let location = "s3://bucket"
        #expect(try error(.answer(404, [:], xml("NoSuchKey"))) == .notFound(key: "k"))
        #expect(try error(.answer(404)) == .notFound(key: "k"))
        #expect(try error(.answer(404, [:], xml("NoSuchBucket"))) == .containerMissing(location: location))
        #expect(try error(.answer(416, [:], xml("InvalidRange"))) == .rangeNotSatisfiable(key: "k"))
        #expect(try error(.answer(412, [:], xml("PreconditionFailed"))) == .preconditionFailed(key: "k"))
        #expect(
            try error(.answer(403, [:], xml("SignatureDoesNotMatch", "no")))
                == .accessDenied(location: location, reason: "HTTP 403 SignatureDoesNotMatch: no"))
        #expect(
            try error(.answer(400, [:], xml("MethodNotAllowed", "no")))
                == .refused(key: "k", status: 400, code: "MethodNotAllowed", message: "no"))
        #expect(
            try error(.answer(503, [:], "<<<not xml"))
                == .unavailable(location: location, key: "k", attempts: 1, reason: "HTTP 503"))
    }

    @Test func refusalsOfAConditionalPutAreAllPreconditionFailed() throws {
        for (status, code) in [
            (412, "PreconditionFailed"), (409, "ConditionalRequestConflict"), (409, "ConcurrentModification"),
            (404, "NoSuchKey"), (404, ""), (409, ""),
        ] {
            let server = try ScriptedServer { [xml = xml(code)] _, _ in .answer(status, [:], xml) }
            #expect(throws: StoreError.preconditionFailed(key: "k"), "\(status) \(code)") {
                try scriptedStore(server).put("k", [1], .matches(ETag("e")))
            }
        }
    }

    @Test func aCompletedUploadMayFailWith200() throws {
        let server = try ScriptedServer { [xml = xml("InternalError", "sorry")] _, _ in .answer(200, [:], "\n \n" + xml)
        }
        let upload = MultipartUpload(key: "k", uploadID: "u")
        let error = #expect(throws: StoreError.self) {
            try scriptedStore(server).completeUpload(upload, parts: [UploadedPart(number: 1, etag: ETag("e"))])
        }
        guard case .unavailable = error else { throw try #require(error) }
    }

    @Test func headersAreAsTheyShouldBe() throws {
        let server = try ScriptedServer { _, _ in .answer(200, Self.object) }
        let store = try scriptedStore(server, prefix: "p q")
        _ = try store.put("a+b c", bytes("hello"), .matches(ETag("v")))
        _ = try store.with(quirks: S3Quirks(quoteIfMatch: true)).put("k", [], .matches(ETag("v")))
        _ = try store.get("k", range: nil, ifMatch: ETag("v"))
        let put = server.requests[0]
        #expect(put.method == "PUT" && put.target == "/bucket/p%20q/a%2Bb%20c" && put.body == bytes("hello"))
        #expect(put.headers["if-match"] == "v")
        #expect(put.headers["expect"] == nil && put.headers["content-type"] == nil)
        #expect(put.headers["user-agent"] == HTTPClient.defaultUserAgent)
        #expect(put.headers["x-amz-content-sha256"]?.hasPrefix("2cf24dba5fb0a30e") == true)
        #expect(server.requests[1].headers["if-match"] == "\"v\"")
        #expect(server.requests[1].headers["content-length"] == "0")
        #expect(server.requests[2].headers["if-match"] == "\"v\"")
        #expect(server.connectionCount == 1, "connections are reused")
    }

    @Test func theServersRegionIsLearnedOnce() throws {
        let server = try ScriptedServer { number, _ in
            number == 0 ? .answer(301, ["x-amz-bucket-region": "eu-west-3"]) : .answer(200, Self.object, "x")
        }
        let store = try scriptedStore(server)
        _ = try store.get("k", range: nil, ifMatch: nil)
        _ = try store.get("k", range: nil, ifMatch: nil)
        #expect(server.requests.count == 3)
        #expect(server.requests[1].headers["authorization"]?.contains("/eu-west-3/s3/") == true)
        #expect(server.requests[2].headers["authorization"]?.contains("/eu-west-3/s3/") == true)
        let circle = try error(.answer(301, ["x-amz-bucket-region": "eu-west-3"]))
        guard case .refused(_, 301, _, _) = circle else { throw try #require(circle) }
    }

    @Test func theServersClockIsUsedWhenOursIsWrong() throws {
        let server = try ScriptedServer { number, _ in
            number == 0
                ? .answer(
                    403, ["Date": "Wed, 12 Oct 2033 17:50:30 GMT"], "<Error><Code>RequestTimeTooSkewed</Code></Error>")
                : .answer(200, Self.object, "x")
        }
        _ = try scriptedStore(server).get("k", range: nil, ifMatch: nil)
        #expect(server.requests[1].headers["x-amz-date"]?.hasPrefix("20331012T17") == true)
    }

    @Test func expiredCredentialsAreRenewedOnce() throws {
        let server = try ScriptedServer { [xml = xml("ExpiredToken")] _, seen in
            seen.headers["authorization"]?.contains("Credential=key1/") == true
                ? .answer(400, [:], xml) : .answer(200, Self.object, "x")
        }
        let calls = Collected<Int>()
        let provider = CredentialProvider { () throws(StoreError) in
            calls.append(1)
            return Credentials(accessKeyID: "key\(calls.all.count)", secretAccessKey: "s")
        }
        let base = try scriptedStore(server)
        let store = S3Store(base.configuration, client: base.client, credentials: provider)
        _ = try store.get("k", range: nil, ifMatch: nil)
        _ = try store.get("k", range: nil, ifMatch: nil)
        #expect(calls.all.count == 2 && server.requests.count == 3)
    }

    @Test func anEmptyPageIsSkipped() throws {
        let server = try ScriptedServer { number, seen in
            let contents =
                number == 0
                ? "<IsTruncated>true</IsTruncated><NextContinuationToken>t&amp;1</NextContinuationToken>"
                : """
                <IsTruncated>false</IsTruncated><EncodingType>url</EncodingType><Contents><Key>a+b%2Bc</Key><Size>3</Size>\
                <ETag>&quot;e&quot;</ETag><LastModified>2009-10-12T17:50:30.000Z</LastModified></Contents>
                """
            return .answer(200, [:], "<ListBucketResult>\(contents)</ListBucketResult>")
        }
        let page = try scriptedStore(server).list(prefix: "a", after: nil, limit: 5)
        #expect(
            page.objects == [ObjectInfo(key: "a b+c", sizeBytes: 3, etag: ETag("e"), modifiedSeconds: 1_255_369_830)])
        #expect(!page.isTruncated)
        #expect(server.requests[1].target.contains("continuation-token=t%261"))
    }

    @Test(.enabled(if: S3TestServer.rgw != nil, "no TARN_TEST_RGW_ENDPOINT"))
    func wrongKeysAreDeniedByARealServer() throws {
        let server = try #require(S3TestServer.rgw)
        var environment = server.environment()
        environment["AWS_SECRET_ACCESS_KEY"] = "wrong"
        let store = try openS3("tarn-nothing", "", StoreOptions(environment: environment))
        let error = #expect(throws: StoreError.self) { try store.get("k", range: nil, ifMatch: nil) }
        guard case .accessDenied(_, let reason) = error else { throw try #require(error) }
        #expect(reason.contains("SignatureDoesNotMatch"))
        let missing = try openS3("tarn-nothing", "", StoreOptions(environment: server.environment()))
        #expect(throws: StoreError.containerMissing(location: "s3://tarn-nothing")) {
            try missing.list(prefix: "", after: nil, limit: 1)
        }
    }
}
