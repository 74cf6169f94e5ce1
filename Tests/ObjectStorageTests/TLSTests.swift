import Foundation
import Glibc
import TestSupport
import Testing

@testable import ObjectStorage

/// HTTPS with a certificate authority of one's own, served by `openssl s_server`.
@Suite struct TLSTests {
    private static let hasOpenSSL = FileManager.default.isExecutableFile(atPath: "/usr/bin/openssl")

    /// A CA, a certificate of it for 127.0.0.1, and another CA that has signed nothing.
    private func makeCertificates(in directory: String) throws {
        let script = """
            set -e; cd '\(directory)'
            for ca in ca other; do
              openssl req -x509 -newkey rsa:2048 -nodes -keyout $ca.key -out $ca.pem -subj /CN=$ca -days 2
            done
            openssl req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=server
            echo subjectAltName=IP:127.0.0.1 >ext
            openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 2 -extfile ext
            """
        _ = try ShellCommand.run("(\(script)) 2>'\(directory)/log' >&2")
    }

    /// `openssl s_server -HTTP` answers with files; here the file holds a whole answer, for the key `k`.
    private func serve(_ directory: String) throws -> (process: Process, endpoint: String) {
        try FileManager.default.createDirectory(atPath: directory + "/bucket", withIntermediateDirectories: true)
        let answer = "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nETag: \"e\"\r\n\r\nhello"
        try answer.write(toFile: directory + "/bucket/k", atomically: true, encoding: .utf8)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        let flags = ["-accept", "127.0.0.1:0", "-HTTP", "-cert", "server.pem", "-key", "server.key"]
        process.arguments = ["s_server"] + flags
        process.currentDirectoryURL = URL(fileURLWithPath: directory)
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        // It says `ACCEPT 127.0.0.1:PORT` when it listens.
        var said = ""
        while !(said.contains("ACCEPT") && said.hasSuffix("\n")),
            let data = try output.fileHandleForReading.read(upToCount: 1)
        {
            said += String(decoding: data, as: UTF8.self)
        }
        let port = try #require(said.trimmingEnds().split(separator: ":").last)
        return (process, "https://127.0.0.1:\(port)")
    }

    @Test(.enabled(if: hasOpenSSL, "no openssl"))
    func onlyTheConfiguredAuthorityIsTrusted() throws {
        let directory = try TemporaryDirectory()
        try makeCertificates(in: directory.path)
        let (process, endpoint) = try serve(directory.path)
        defer {
            // Not SIGTERM: the test runner's threads may have it blocked, and the child inherits that.
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
        }
        func store(_ variable: String, _ file: String) throws -> any ObjectStore {
            let environment = [
                "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_ENDPOINT_URL": endpoint,
                variable: "\(directory.path)/\(file)", "HOME": "/nonexistent",
            ]
            return try openStore(.s3(bucket: "bucket", prefix: ""), options: StoreOptions(environment: environment))
        }
        for variable in ["AWS_CA_BUNDLE", "SSL_CERT_FILE"] {
            #expect(try store(variable, "ca.pem").get("k", range: nil, ifMatch: nil).bytes == bytes("hello"))
        }
        // At once, not after a minute of trying again, and with the file's name.
        for file in ["other.pem", "ext"] {
            let error = #expect(throws: StoreError.self) {
                try store("AWS_CA_BUNDLE", file).get("k", range: nil, ifMatch: nil)
            }
            guard case .certificateRefused("s3://bucket", let reason) = error else { throw try #require(error) }
            #expect(reason.contains("certificate") && reason.contains(file))
        }
        #expect(throws: StoreError.self) { try store("AWS_CA_BUNDLE", "missing.pem") }
    }
}
