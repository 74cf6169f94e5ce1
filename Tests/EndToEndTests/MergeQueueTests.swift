import Foundation
import Testing

/// Moves through the gates of one branch go one after the other. SEMANTICS: M13.
@Suite(.enabled(if: FUSE.isAvailable, "no /dev/fuse"))
struct MergeQueueTests {
    private let sandbox: Sandbox
    private let branches = 4

    init() throws {
        sandbox = try Sandbox()
        try sandbox.write(
            "data/.tarn/hooks.yaml",
            "hooks:\n  - {name: slow, on: pre-merge, run: 'echo x >> \(sandbox.path("ran")); sleep 0.5'}\n")
        try sandbox.tarn("import", sandbox.path("data"), "-m", "base")
        try sandbox.tarn("hooks", "trust", "main")
        for number in 1...branches {
            try sandbox.tarn("branch", "create", "b\(number)")
            try sandbox.write("more\(number)/f\(number)", "\(number)")
            try sandbox.tarn("import", sandbox.path("more\(number)"), "--branch", "b\(number)", "-m", "m")
        }
    }

    private func runs() throws -> Int { try sandbox.read("ran").split(separator: "\n").count }

    @Test func eachMergeIsJudgedOnce() throws {
        let merges = try (1...branches).map {
            try sandbox.start(Sandbox.binary, ["merge", "b\($0)", "--into", "main", "-m", "m"])
        }
        for merge in merges { #expect(try merge.wait().code == 0) }
        #expect(try runs() == branches)
        #expect(try sandbox.tarn("ls", "main").lines.filter { $0.hasPrefix("f") }.count == branches)
        #expect(try sandbox.shell("cat lake/queue/heads/main").contains("\"waiting\":[]"))
    }

    /// One that was killed while its gate ran does not hold up the others.
    @Test func aKilledMergeLosesItsTurn() throws {
        let killed = try sandbox.start(Sandbox.binary, ["merge", "b1", "--into", "main", "-m", "m"])
        try sandbox.shell("for i in $(seq 200); do test -s ran && exit 0; sleep 0.05; done; exit 1")
        let next = try sandbox.start(Sandbox.binary, ["merge", "b2", "--into", "main", "-m", "m"])
        killed.kill(SIGKILL)
        _ = try killed.wait()
        #expect(try next.wait().code == 0)
        try sandbox.tarn("merge", "b1", "--into", "main", "-m", "m")
        #expect(try sandbox.tarn("ls", "main").lines.filter { $0.hasPrefix("f") } == ["f1", "f2"])
    }

    /// What anybody writes into the queue decides nothing.
    @Test func aQueueThatCannotBeReadIsBegunAnew() throws {
        try sandbox.write("lake/queue/heads/main", "{\"waiting\":7}")
        try sandbox.tarn("merge", "b1", "--into", "main", "-m", "m")
        #expect(try runs() == 1)
    }
}
