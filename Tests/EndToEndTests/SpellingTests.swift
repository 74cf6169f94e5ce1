import TestSupport
import Testing

/// What people of git type, and what they mistype.
@Suite struct SpellingTests {
    @Test func namesOfCommands() throws {
        let sandbox = try Sandbox()
        #expect(try sandbox.tarn("comit", code: 2).errors.contains("Did you mean 'commit'?"))
        #expect(try sandbox.tarn("help", "nosuch", code: 2).errors.contains("there is no command 'nosuch'"))
        #expect(try sandbox.tarn("help", "hooks", "trsut", code: 2).errors.contains("Did you mean 'trust'?"))
        #expect(try sandbox.tarn("help", "hooks", "trust").output.contains("TARN_TRUST_HOOKS"))
        #expect(try sandbox.tarn("branch", "lits", code: 2).errors.contains("Did you mean 'list'?"))
        try sandbox.tarn("branch", "work")
        try sandbox.tarn("tag", "v1")
        #expect(try sandbox.tarn("branch").output.contains("work") && sandbox.tarn("tag").output.contains("v1"))
    }

    @Test func theLog() throws {
        let sandbox = try Sandbox()
        for (number, who) in [(1, "Ada <ada@example.org>"), (2, "Bob <bob@example.org>")] {
            try sandbox.write("data/\(number)", "x")
            try sandbox.tarn("import", "data", "-m", "Load \(number)", "--author", who)
        }
        func subjects(_ arguments: String...) throws -> String {
            try sandbox.tarn(["log", "--oneline"] + arguments).output
        }
        #expect(try subjects("-n1").contains("Load 2") && !subjects("-n1").contains("Load 1"))
        #expect(try subjects("--author", "ADA").contains("Load 1") && !subjects("--author", "ADA").contains("Load 2"))
        #expect(try subjects("--grep", "load 2").contains("Load 2") && !subjects("--grep", "load 2").contains("Load 1"))
        #expect(try subjects("--until", "yesterday").isEmpty && subjects("--since", "last tuesday").contains("Load 1"))
        #expect(try subjects("--path", "1").contains("Load 1"))
        #expect(try sandbox.tarn("log", "--path", "nope", code: 5).errors.contains("has ever had 'nope'"))
        #expect(try sandbox.tarn("show").output.contains("Load 2"))
    }

    @Test func anAddressIsNoSource() throws {
        let refused = try Sandbox().tarn("import", "s3://bucket/data", "-m", "x", code: 2)
        #expect(refused.errors.contains("import takes a local file or directory"))
    }

    @Test func failuresAreJSON() throws {
        let sandbox = try Sandbox()
        let failed = try sandbox.tarn("log", "nowhere", "--json", code: 5)
        #expect(failed.output.contains(#""exitCode" : 5"#) && failed.output.contains("nowhere"))
    }
}
