import Foundation
import Testing

/// Many writers. SEMANTICS: R4, R5, W6, W7.
@Suite struct ConcurrencyTests {
    /// R5: eight processes commit to one branch at the same time.
    @Test(arguments: Place.available)
    func eightProcessesLoseNoCommit(_ place: Place) throws {
        let sandbox = try Sandbox(place)
        let rounds = place == .moto ? 1 : 3
        for writer in 0..<8 { try sandbox.write("data\(writer)/f", "from \(writer)") }
        for round in 0..<rounds {
            let processes = try (0..<8).map { writer in
                try sandbox.start(
                    Sandbox.binary,
                    [
                        "import", "data\(writer)", "--to", "w\(writer)/r\(round)", "-m",
                        "writer \(writer) round \(round)",
                    ])
            }
            for process in processes {
                let outcome = try process.wait()
                #expect(outcome.code == 0, "\(outcome.errors)")
            }
        }
        let log = try sandbox.tarn("log", "main", "--oneline").output
        for writer in 0..<8 {
            for round in 0..<rounds {
                #expect(log.contains("writer \(writer) round \(round)"))
                #expect(try sandbox.tarn("cat", "main:w\(writer)/r\(round)/f").output == "from \(writer)")
            }
        }
        #expect(log.split(separator: "\n").count == 8 * rounds + 1)
        try sandbox.tarn("audit", "verify")
        try sandbox.tarn("fsck", "--read-data")
    }

    /// W6, W7: two mounts of one branch; a path that both changed is a conflict, and every way to decide it works.
    @Test(.enabled(if: FUSE.isAvailable, "no /dev/fuse"), arguments: ["--ours", "--theirs", "--base", "edit"])
    func conflictIsListedAndDecided(_ decision: String) throws {
        let sandbox = try Sandbox()
        try sandbox.write("data/shared", "base\n")
        try sandbox.write("data/dir/x", "x")
        try sandbox.tarn("import", "data", "-m", "first")
        let first = try sandbox.mount("first", "--ref", "main", "--write")
        let second = try sandbox.mount("second", "--ref", "main", "--write", "-o", "workspace=second")
        try sandbox.write(first + "/shared", "first\n")
        try sandbox.write(first + "/dir/a", "a")
        try sandbox.write(second + "/shared", "second\n")
        try sandbox.write(second + "/dir/b", "b")
        let theirs = try sandbox.tarn("commit", "-m", "first", at: first).commit
        let refused = try sandbox.tarn("commit", "-m", "second", code: 3, at: second)
        #expect(refused.errors.contains("shared") && refused.errors.contains("tarn resolve PATH"))
        #expect(try sandbox.tarn("log", "main", "-n", "1").output.contains(theirs))
        let status = try sandbox.tarn("status", at: second).output
        #expect(status.contains("C  shared") && status.contains("A  dir/b"))
        #expect(try sandbox.read(second + "/shared") == "second\n")
        try sandbox.tarn("commit", "-m", "second", code: 3, at: second)
        if decision == "edit" {
            try sandbox.write(second + "/shared", "both\n")
        } else {
            try sandbox.tarn("resolve", "shared", decision, at: second)
        }
        try sandbox.tarn("commit", "-m", "second", at: second)
        let expected = ["--ours": "second\n", "--theirs": "first\n", "--base": "base\n", "edit": "both\n"]
        #expect(try sandbox.tarn("cat", "main:shared").output == expected[decision])
        #expect(try sandbox.tarn("ls", "main:dir").lines == ["a", "b", "x"])
        for _ in 0..<300 where try sandbox.read(second + "/shared") != expected[decision] { usleep(100_000) }
        #expect(try sandbox.read(second + "/shared") == expected[decision])
        try sandbox.unmount(first)
        try sandbox.unmount(second)
    }

    @Test func mergeConflictChangesNothingUnlessAStrategyIsGiven() throws {
        let sandbox = try Sandbox()
        try sandbox.write("data/f", "base")
        try sandbox.tarn("import", "data", "-m", "first")
        try sandbox.tarn("branch", "create", "side")
        try sandbox.write("data/f", "main")
        let head = try sandbox.tarn("import", "data", "-m", "main").commit
        try sandbox.write("data/f", "side")
        try sandbox.tarn("import", "data", "--branch", "side", "-m", "side")
        let refused = try sandbox.tarn("merge", "side", "--into", "main", code: 3)
        #expect(refused.errors.contains("f  (content)") && refused.errors.contains("--resolve 'GLOB=ours'"))
        #expect(try sandbox.tarn("log", "main", "-n", "1").output.contains(head))
        try sandbox.tarn("merge", "side", "--into", "main", "--theirs")
        #expect(try sandbox.tarn("cat", "main:f").output == "side")
        try sandbox.tarn("merge", "side", "--into", "main")
    }
}
