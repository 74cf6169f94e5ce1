import Testing

@testable import ObjectStorage

/// AWS's published examples: the aws-sig-v4-test-suite, and "Examples: Signature Calculations" of the S3 API Reference.
@Suite struct SignatureV4Tests {
    static let suite = Credentials(
        accessKeyID: "AKIDEXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    static let s3 = Credentials(
        accessKeyID: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")

    /// 2015-08-30T12:36:00Z
    private func suiteSignature(_ method: String, query: [HTTPHeader] = []) -> String? {
        let subject = SignatureV4.Subject(
            method: method, path: "/", query: query, headers: [HTTPHeader("Host", "example.amazonaws.com")],
            payloadHash: SignatureV4.emptyPayloadHash)
        let signer = SignatureV4(region: "us-east-1", service: "service")
        return signature(signer.sign(subject, with: Self.suite, at: 1_440_938_160))
    }

    /// 2013-05-24T00:00:00Z
    private func s3Signature(
        _ method: String, _ path: String, query: [HTTPHeader] = [], headers: [HTTPHeader] = [], body: String = ""
    ) -> String? {
        let hash = SignatureV4.payloadHash(bytes(body))
        let fixed = [HTTPHeader("Host", "examplebucket.s3.amazonaws.com"), HTTPHeader("x-amz-content-sha256", hash)]
        let subject = SignatureV4.Subject(
            method: method, path: path, query: query, headers: fixed + headers, payloadHash: hash)
        return signature(
            SignatureV4(region: "us-east-1", service: "s3").sign(subject, with: Self.s3, at: 1_369_353_600))
    }

    private func signature(_ headers: [HTTPHeader]) -> String? {
        headers.first { $0.name == "Authorization" }?.value.split(separator: "Signature=").last.map(String.init)
    }

    @Test func getVanilla() {
        #expect(suiteSignature("GET") == "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31")
    }

    @Test func postVanilla() {
        #expect(suiteSignature("POST") == "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b")
    }

    @Test func queryIsSortedByName() {
        let query = [HTTPHeader("Param2", "value2"), HTTPHeader("Param1", "value1")]
        #expect(
            suiteSignature("GET", query: query) == "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500")
    }

    @Test func getObjectWithRange() {
        #expect(
            s3Signature("GET", "/test.txt", headers: [HTTPHeader("Range", "bytes=0-9")])
                == "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")
    }

    @Test func putObject() {
        let headers = [
            HTTPHeader("Date", "Fri, 24 May 2013 00:00:00 GMT"),
            HTTPHeader("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ]
        let path = "/" + PercentEncoding.encode("test$file.text", keepsSlash: true)
        #expect(
            s3Signature("PUT", path, headers: headers, body: "Welcome to Amazon S3.")
                == "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")
    }

    @Test func getBucketLifecycle() {
        #expect(
            s3Signature("GET", "/", query: [HTTPHeader("lifecycle", "")])
                == "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")
    }

    @Test func listObjects() {
        #expect(
            s3Signature("GET", "/", query: [HTTPHeader("prefix", "J"), HTTPHeader("max-keys", "2")])
                == "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")
    }

    @Test func sessionTokenIsSigned() {
        let credentials = Credentials(accessKeyID: "a", secretAccessKey: "b", sessionToken: "t")
        let headers = SignatureV4(region: "r", service: "s3").sign(
            SignatureV4.Subject(method: "GET", path: "/", headers: [HTTPHeader("host", "h")], payloadHash: "x"),
            with: credentials, at: 0)
        #expect(headers.contains(HTTPHeader("x-amz-security-token", "t")))
        #expect(headers.last?.value.contains("SignedHeaders=host;x-amz-date;x-amz-security-token,") == true)
    }

    @Test func encodingIsUndone() {
        for key in oddKeys { #expect(PercentEncoding.decode(PercentEncoding.encode(key)) == key) }
        #expect(PercentEncoding.encode("a b/ü~", keepsSlash: true) == "a%20b/%C3%BC~")
        #expect(PercentEncoding.decode("a+b%2Bc") == "a b+c")
        #expect(PercentEncoding.decode("%4") == nil)
        #expect(PercentEncoding.decode("%FF") == nil)
        #expect(PercentEncoding.decode("%é") == nil)
    }
}
