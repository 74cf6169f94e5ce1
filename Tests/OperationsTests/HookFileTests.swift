import Operations
import Testing

/// Rule: nothing that a hooks file holds takes long or ends the process.
@Suite struct HookFileTests {
    /// A mapping that has nested aliases as keys: each level doubles the work of telling the keys apart.
    @Test func aliasesOfAliasesTakeLittleTime() {
        var text = "? &a0 [x, x]\n: 1\n"
        for level in 1...24 { text += "? &a\(level) [*a\(level - 1), *a\(level - 1)]\n: 1\n" }
        let start = ContinuousClock.now
        #expect(throws: HookFault.self) { try parseHooks(text) }
        #expect(ContinuousClock.now - start < .seconds(1))
    }

    @Test func aFewAliasesAreAllowed() throws {
        let text = """
            hooks:
            - {name: a, on: pre-commit, run: ./a, branches: &where [main, 'release/*']}
            - {name: b, on: pre-commit, run: "ls *.csv 2>&1", branches: *where}
            """
        #expect(try parseHooks(text).hooks.map(\.branches) == [["main", "release/*"], ["main", "release/*"]])
    }

    @Test func deepNestingIsRefused() {
        for open in ["[", "{a: ", "- ", "? "] {
            #expect(throws: HookFault.self) { try parseHooks(String(repeating: open, count: 100_000)) }
        }
    }
}
