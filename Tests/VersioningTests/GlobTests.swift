import Testing
import Versioning

@Suite struct GlobTests {
    @Test(arguments: [
        ("main", "main", true), ("main", "mainly", false), ("release/*", "release/1", true),
        ("release/*", "release/1/x", false), ("release/**", "release/1/x", true), ("**", "a/b", true),
        ("*", "a/b", false),
        ("*", "", true), ("?", "", false), ("?", "/", false), ("a?c", "abc", true), ("**/x", "a/b/x", true),
        ("a*b*c", "aXbYc", true), ("a*b*c", "aXbY", false), ("", "", true), ("", "a", false), ("*.csv", "a.csv", true),
    ])
    func matches(_ pattern: String, _ text: String, _ wanted: Bool) {
        #expect(Glob(pattern).matches(text) == wanted)
    }

    /// A pattern that makes naive matchers take exponential time.
    @Test func manyStarsTakeLittleTime() {
        let pattern = String(repeating: "a*", count: 40) + "b"
        #expect(!Glob(pattern).matches(String(repeating: "a", count: 200)))
    }

    @Test func rulesCoverWhatTheyName() throws {
        let rule = ProtectionRule(pattern: "release/*")
        #expect(
            try rule.covers(.branch("release/1")) && !rule.covers(.branch("main")) && !rule.covers(.tag("release/1")))
        #expect(try ProtectionRule(pattern: "tags/v*").covers(.tag("v1")))
        #expect(try !ProtectionRule(pattern: "**").covers(.tag("v1")))
    }
}
