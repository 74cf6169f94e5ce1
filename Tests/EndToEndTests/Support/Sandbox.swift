import Foundation
import Glibc
import TestSupport
import Testing

/// Where a repository lies in a test.
enum Place: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case directory, moto, rgw

    var testDescription: String { rawValue }

    var endpoint: String? {
        switch self {
        case .directory: nil
        case .moto: ProcessInfo.processInfo.environment["TARN_TEST_MOTO_ENDPOINT"]
        case .rgw: ProcessInfo.processInfo.environment["TARN_TEST_RGW_ENDPOINT"]
        }
    }

    var keys: (id: String, secret: String) {
        self == .rgw ? ("labaccess", "labsecretlabsecret") : ("testing", "testing")
    }

    /// The places that can be had here. `RequirementTests` fails where one is missing that must not be.
    static let available = allCases.filter { $0 == .directory || $0.endpoint != nil }
}

/// What a command came to.
struct Outcome: Sendable {
    let code: Int32
    let output: String
    let errors: String

    var lines: [String] { output.split(separator: "\n").map(String.init) }
    /// The commit id that branch-changing commands print first.
    var commit: String { lines.first ?? "" }
}

struct CommandFailed: Error, CustomStringConvertible {
    let description: String
}

/// A directory, a repository and mounts of a test's own; everything is ended and removed with it.
final class Sandbox {
    let directory: String
    let place: Place
    private(set) var repository: String
    private var mounts: [String] = []
    var environment: [String: String]

    static let packageRoot = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().path

    static let binary = testedProgram

    /// Makes a repository, unless `initialised` is false.
    init(_ place: Place = .directory, initialised: Bool = true) throws {
        self.place = place
        let name = "tarn-e2e-\(UInt64.random(in: .min ... .max))"
        directory = "/tmp/\(name)"
        mkdir(directory, 0o755)
        environment = [
            "PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin", "HOME": directory,
            "TARN_AUTHOR": "Test <test@example.org>", "TARN_STATE_DIR": directory + "/state",
            "TARN_CACHE_DIR": directory + "/cache", "XDG_RUNTIME_DIR": directory, "LC_ALL": "C.UTF-8",
        ]
        if let endpoint = place.endpoint {
            environment["AWS_ENDPOINT_URL"] = endpoint
            environment["AWS_ACCESS_KEY_ID"] = place.keys.id
            environment["AWS_SECRET_ACCESS_KEY"] = place.keys.secret
            environment["AWS_REGION"] = "us-east-1"
            repository = "s3://\(name)/lake"
            try makeBucket(name)
        } else {
            repository = directory + "/lake"
        }
        environment["TARN_REPO"] = repository
        if initialised { try tarn("init", repository) }
    }

    deinit {
        for mount in mounts { unmountForcibly(mount) }
        try? FileManager.default.removeItem(atPath: directory)
    }

    func path(_ name: String) -> String { directory + "/" + name }

    // MARK: Commands

    /// Runs tarn and expects `code`.
    @discardableResult
    func tarn(_ arguments: String..., code: Int32 = 0, at: String? = nil) throws -> Outcome {
        try tarn(arguments, code: code, at: at)
    }

    @discardableResult
    func tarn(_ arguments: [String], code: Int32 = 0, at: String? = nil) throws -> Outcome {
        let outcome = try run(Self.binary, (at.map { ["-C", $0] } ?? []) + arguments)
        guard outcome.code == code else {
            throw CommandFailed(
                description:
                    "tarn \(arguments.joined(separator: " ")): exit code \(outcome.code), not \(code)\n\(outcome.output)\(outcome.errors)"
            )
        }
        return outcome
    }

    /// Runs a shell script and expects success; answers its standard output.
    @discardableResult
    func shell(_ script: String, code: Int32 = 0) throws -> String {
        let outcome = try run("/bin/bash", ["-euo", "pipefail", "-c", script])
        guard outcome.code == code else {
            throw CommandFailed(description: "\(script): exit code \(outcome.code)\n\(outcome.output)\(outcome.errors)")
        }
        return outcome.output
    }

    func run(_ program: String, _ arguments: [String]) throws -> Outcome {
        let process = try start(program, arguments, capturing: true)
        return try process.wait()
    }

    /// Starts a program in the sandbox's directory with its environment.
    func start(_ program: String, _ arguments: [String], capturing: Bool = true) throws -> RunningProcess {
        try RunningProcess(program, arguments, environment: environment, directory: directory)
    }

    private func makeBucket(_ name: String) throws {
        let python = ProcessInfo.processInfo.environment["TARN_TEST_PYTHON"] ?? "python3"
        let script =
            "import boto3; boto3.client('s3', endpoint_url='\(place.endpoint ?? "")').create_bucket(Bucket='\(name)')"
        let outcome = try run("/usr/bin/env", [python, "-c", script])
        guard outcome.code == 0 else { throw CommandFailed(description: "create_bucket: \(outcome.errors)") }
    }

    // MARK: Mounts

    /// Mounts at a new directory `name` and answers its path. It is unmounted with the sandbox.
    func mount(_ name: String, _ arguments: String...) throws -> String {
        try mount(name, arguments)
    }

    func mount(_ name: String, _ arguments: [String]) throws -> String {
        let point = path(name)
        mkdir(point, 0o755)
        mounts.append(point)
        try tarn(["mount", repository, point] + arguments)
        return point
    }

    func unmount(_ point: String) throws {
        try tarn("umount", point)
    }

    /// The process that serves a mount.
    func server(of point: String) throws -> pid_t {
        let text = try shell("getfattr --only-values -n user.tarn.mount '\(point)'")
        struct Description: Decodable { let processID: Int32 }
        return try JSONDecoder().decode(Description.self, from: Data(text.utf8)).processID
    }

    /// The log lines of all mounts of this sandbox.
    func logs() throws -> String {
        try shell("cat '\(path("state"))'/log/*.log 2>/dev/null || true")
    }

    private func unmountForcibly(_ point: String) {
        for _ in 0..<3 {
            let outcome = try? run("/usr/bin/env", ["fusermount3", "-u", "-z", "--", point])
            if outcome?.code != 0 { return }
        }
    }

    func kill(_ process: pid_t, _ signal: Int32) {
        Glibc.kill(process, signal)
    }

    // MARK: Files

    func write(_ name: String, _ text: String) throws {
        let target = name.hasPrefix("/") ? name : path(name)
        let parent = URL(filePath: target).deletingLastPathComponent().path
        try FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
        guard FileManager.default.createFile(atPath: target, contents: Data(text.utf8)) else {
            throw CommandFailed(description: "cannot write \(target): \(String(cString: strerror(errno)))")
        }
    }

    func read(_ name: String) throws -> String {
        try String(contentsOf: URL(filePath: name.hasPrefix("/") ? name : path(name)), encoding: .utf8)
    }
}
