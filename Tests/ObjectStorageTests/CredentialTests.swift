import Synchronization
import TestSupport
import Testing

@testable import ObjectStorage

@Suite struct CredentialChainTests {
    /// The chain in a world of a dictionary of files and a function for the network.
    private func find(
        _ environment: [String: String], files: [String: String] = [:],
        run: @escaping @Sendable (String) throws(CredentialProcessFailure) -> String = {
            _ throws(CredentialProcessFailure) in
            throw CredentialProcessFailure(reason: "not expected")
        }
    ) throws(StoreError) -> Credentials {
        try chain(environment, files, run: run) { _ throws(HTTPFailure) in
            throw HTTPFailure(kind: .transport, reason: "nobody there")
        }.find()
    }

    private func ask(
        _ environment: [String: String], files: [String: String] = [:], fetch: @escaping CredentialChain.Fetch
    ) throws(StoreError) -> Credentials {
        try chain(environment, files, run: ShellCommand.run, fetch: fetch).find()
    }

    private func chain(
        _ environment: [String: String], _ files: [String: String],
        run: @escaping @Sendable (String) throws(CredentialProcessFailure) -> String,
        fetch: @escaping CredentialChain.Fetch
    ) -> CredentialChain {
        let settings = AWSSettings(environment: environment, home: "/home/u") { files[$0] }
        return CredentialChain(settings: settings, readFile: { files[$0] }, fetch: fetch, run: run)
    }

    private func ok(_ body: String) -> HTTPResponse { HTTPResponse(status: 200, headers: [:], body: bytes(body)) }

    private static let stsAnswer = """
        <R><AssumeRoleResult><Credentials><AccessKeyId>role</AccessKeyId><SecretAccessKey>s&amp;s</SecretAccessKey>\
        <SessionToken>tok</SessionToken><Expiration>2033-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></R>
        """
    private static let role = Credentials(
        accessKeyID: "role", secretAccessKey: "s&s", sessionToken: "tok", expiresAtSeconds: 1_988_150_400)

    @Test func environmentComesFirst() throws {
        let found = try find(
            ["AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": "c", "AWS_PROFILE": "x"],
            files: ["/home/u/.aws/credentials": "[x]\naws_access_key_id=no\naws_secret_access_key=no"])
        #expect(found == Credentials(accessKeyID: "a", secretAccessKey: "b", sessionToken: "c"))
    }

    @Test func profilesComeFromBothFiles() throws {
        let files = [
            "/home/u/.aws/credentials": """
            # comment
            [default]
            aws_access_key_id = d
            aws_secret_access_key = ds = with equals
            [work]
            aws_access_key_id=w
            aws_secret_access_key=ws
            """,
            "/home/u/.aws/config": """
            [profile work]
            region = eu-north-1
            s3 =
              addressing_style = path
            aws_access_key_id=overruled
            endpoint_url = http://e:1 ; note
            [profile only config]
            aws_access_key_id=o
            aws_secret_access_key=os
            [sso-session work]
            region = wrong
            """,
        ]
        #expect(try find([:], files: files).secretAccessKey == "ds = with equals")
        #expect(try find(["AWS_PROFILE": "work"], files: files).accessKeyID == "w")
        #expect(try find(["AWS_PROFILE": "only config"], files: files).accessKeyID == "o")
        let settings = AWSSettings(environment: ["AWS_PROFILE": "work"], home: "/home/u") { files[$0] }
        #expect(settings.region == "eu-north-1" && settings.endpoint("S3") == "http://e:1")
        let moved = ["AWS_SHARED_CREDENTIALS_FILE": "~/c"]
        #expect(try find(moved, files: ["/home/u/c": files["/home/u/.aws/credentials"]!]).accessKeyID == "d")
        #expect(throws: StoreError.accessDenied(location: "profile `typo`", reason: "there is no such profile")) {
            try find(["AWS_PROFILE": "typo"], files: files)
        }
    }

    @Test func processIsRun() throws {
        let files = ["/home/u/.aws/config": "[default]\ncredential_process = /bin/give --me 'x y'"]
        let found = try find([:], files: files) { command in
            #expect(command == "/bin/give --me 'x y'")
            return #"{"Version":1,"AccessKeyId":"p","SecretAccessKey":"ps","Expiration":"2033-01-01T00:00:00Z"}"#
        }
        #expect(found.accessKeyID == "p" && found.expiresAtSeconds == 1_988_150_400)
        #expect(throws: StoreError.accessDenied(location: "credential_process", reason: "not expected")) {
            try find([:], files: files)
        }
        let garbage = #expect(throws: StoreError.self) { try find([:], files: files) { _ in "{secret" } }
        #expect(!String(describing: garbage).contains("secret"))
    }

    @Test func webIdentityAsksSTS() throws {
        let environment = [
            "AWS_WEB_IDENTITY_TOKEN_FILE": "/t", "AWS_ROLE_ARN": "arn:aws:iam::1:role/x",
            "AWS_ENDPOINT_URL_STS": "http://sts:1",
        ]
        let found = try ask(environment, files: ["/t": "the token\n"]) { request in
            #expect(request.url == "http://sts:1/" && request.method == "POST")
            let form = String(decoding: request.body ?? [], as: UTF8.self)
            #expect(form.contains("Action=AssumeRoleWithWebIdentity") && form.contains("WebIdentityToken=the%20token"))
            #expect(!request.headers.contains { $0.name == "Authorization" })
            return ok(Self.stsAnswer)
        }
        #expect(found == Self.role)
        #expect(throws: StoreError.self) { try find(environment) }
    }

    @Test func roleTakesItsSourceProfile() throws {
        let files = [
            "/home/u/.aws/config": """
            [default]
            role_arn = arn:aws:iam::1:role/x
            source_profile = base
            external_id = e
            [profile base]
            aws_access_key_id = b
            aws_secret_access_key = bs
            [profile round]
            role_arn = r
            source_profile = about
            [profile about]
            role_arn = r
            source_profile = round
            """
        ]
        let found = try ask(["AWS_REGION": "eu-west-1"], files: files) { request in
            #expect(request.url == "https://sts.eu-west-1.amazonaws.com/")
            let authorization = request.headers.first { $0.name == "Authorization" }?.value ?? ""
            #expect(authorization.contains("Credential=b/") && authorization.contains("/eu-west-1/sts/"))
            #expect(String(decoding: request.body ?? [], as: UTF8.self).contains("ExternalId=e"))
            return ok(Self.stsAnswer)
        }
        #expect(found == Self.role)
        #expect(throws: StoreError.self) { try find(["AWS_PROFILE": "round"], files: files) }
    }

    private static let document =
        #"{"AccessKeyId":"c","SecretAccessKey":"cs","Token":"ct","Expiration":"2033-01-01T00:00:00Z"}"#

    @Test func containerIsAsked() throws {
        let relative = try ask(["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/x"]) { request in
            #expect(request.url == "http://169.254.170.2/v2/x" && request.bypassesProxy)
            return ok(Self.document)
        }
        #expect(relative.sessionToken == "ct")
        let environment = [
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/c?a=b",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/token",
        ]
        let full = try ask(environment, files: ["/token": "secret\n"]) { request in
            #expect(request.headers == [HTTPHeader("Authorization", "secret")])
            return ok(Self.document)
        }
        #expect(full.accessKeyID == "c")
        for url in ["http://evil.example/x", "http://127.0.0.1.evil.example/", "http://localhost.evil.example/"] {
            #expect(throws: StoreError.self, "\(url)") {
                try ask(["AWS_CONTAINER_CREDENTIALS_FULL_URI": url]) { _ in ok(Self.document) }
            }
        }
    }

    @Test func instanceMetadataIsAskedLast() throws {
        let environment = ["AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://imds:1/"]
        let found = try ask(environment) { request in
            #expect(request.limits.totalMilliseconds == 1000)
            switch (request.method, request.url) {
            case ("PUT", "http://imds:1/latest/api/token"): return ok("tok")
            case ("GET", "http://imds:1/latest/meta-data/iam/security-credentials/"): return ok("my-role\n")
            default:
                #expect(request.url.hasSuffix("/security-credentials/my-role"))
                #expect(request.headers == [HTTPHeader("X-aws-ec2-metadata-token", "tok")])
                return ok(Self.document)
            }
        }
        #expect(found.accessKeyID == "c")
    }

    @Test func nothingFoundNamesWhatWasTried() {
        let error = #expect(throws: StoreError.self) {
            try ask(["AWS_EC2_METADATA_DISABLED": "true"]) { _ in ok("must not be asked") }
        }
        guard case .noCredentials(let tried) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(tried.count == 5 && tried.last == "instance metadata (disabled)")
    }

    @Test func shellCommandsAreBounded() throws {
        #expect(try ShellCommand.run("printf '%s' 'a b'") == "a b")
        #expect(throws: CredentialProcessFailure.self) { try ShellCommand.run("exit 3") }
        #expect(throws: CredentialProcessFailure.self) { try ShellCommand.run("yes") }
    }

    @Test func secretsAreNotPrinted() {
        #expect(!"\(Credentials(accessKeyID: "id", secretAccessKey: "hush"))".contains("hush"))
        #expect(!String(reflecting: Credentials(accessKeyID: "id", secretAccessKey: "hush")).contains("hush"))
    }
}

@Suite struct CredentialProviderTests {
    private final class Clock: Sendable {
        let time = Mutex<Int64>(1000)
    }

    @Test func manyThreadsAskOnce() throws {
        let calls = Collected<Int>()
        let provider = CredentialProvider { () throws(StoreError) in
            calls.append(1)
            RetryPolicy.block(50)
            return Credentials(accessKeyID: "a", secretAccessKey: "b")
        }
        try onThreads(8) { _ in
            let found = try provider.credentials()
            #expect(found.accessKeyID == "a")
        }
        #expect(calls.all.count == 1)
    }

    @Test func credentialsAreRenewedFiveMinutesBeforeTheyExpire() throws {
        let clock = Clock()
        let calls = Collected<Int>()
        let provider = CredentialProvider(now: { clock.time.withLock { $0 } }) { () throws(StoreError) in
            calls.append(1)
            let now = clock.time.withLock { $0 }
            if calls.all.count == 3 { throw .accessDenied(location: "l", reason: "r") }
            return Credentials(
                accessKeyID: "key\(calls.all.count)", secretAccessKey: "s", expiresAtSeconds: now + 3600)
        }
        func id(at time: Int64) throws -> String {
            clock.time.withLock { $0 = time }
            return try provider.credentials().accessKeyID
        }
        #expect(try id(at: 1000) == "key1")
        #expect(try id(at: 1000 + 3299) == "key1")
        #expect(try id(at: 1000 + 3300) == "key2")
        // The third renewal fails: the old ones still hold, and the source is left alone for a while.
        #expect(try id(at: 4300 + 3400) == "key2")
        #expect(try id(at: 4300 + 3410) == "key2")
        #expect(calls.all.count == 3)
        #expect(try id(at: 4300 + 3450) == "key4")
    }

    @Test func rejectedCredentialsAreNotReturnedAgain() throws {
        let calls = Collected<Int>()
        let provider = CredentialProvider { () throws(StoreError) in
            calls.append(1)
            return Credentials(accessKeyID: "key\(calls.all.count)", secretAccessKey: "s")
        }
        let first = try provider.credentials()
        #expect(try provider.credentials(rejecting: first).accessKeyID == "key2")
        #expect(try provider.credentials(rejecting: first).accessKeyID == "key2")
    }
}
