import Testing
import Versioning

@Suite struct PathExclusionsTests {
    private func excluded(_ lines: String, _ path: String, isDirectory: Bool = false) throws -> Bool {
        var exclusions = PathExclusions()
        try exclusions.add(lines: Array(lines.utf8))
        return exclusions.covers(try TreePath(parsing: path), isDirectory: isDirectory)
    }

    @Test(arguments: [
        ("*.tmp", "a.tmp", true), ("*.tmp", "d/e/a.tmp", true), ("*.tmp", "a.tmp/below", true),
        ("*.tmp", "a.tmpx", false), ("a?c", "d/abc", true), ("/a", "a", true), ("/a", "d/a", false),
        ("d/a", "d/a", true), ("d/a", "x/d/a", false), ("**/d/a", "x/y/d/a", true), ("**/d/a", "d/a", true),
        ("d/**/a", "d/a", true), ("d/**/a", "d/x/y/a", true), ("d/**", "d/x", true), ("d/**", "d", false),
        ("d/*", "d/x/y", true), ("/d/*.c", "d/x/y.c", false), ("**", "any", true), ("", "any", false),
        ("# a\n\n", "# a", false), ("\\#a", "#a", true), ("\\!a", "!a", true), ("a  \r\n", "a", true),
        ("*.log\n!keep.log", "keep.log", false), ("*.log\n!keep.log", "other.log", true),
        ("d/\n!d/a", "d/a", true), ("!a\na", "a", true), ("d/", "d", false), ("/", "a", false),
    ])
    func aPathIsExcludedOrNot(lines: String, path: String, isExcluded: Bool) throws {
        #expect(try excluded(lines, path) == isExcluded, "\(lines): \(path)")
    }

    @Test func aSlashAtTheEndMeansDirectories() throws {
        #expect(try excluded("d/", "d", isDirectory: true) && excluded("d/", "x/d/a") && !excluded("d/", "d"))
    }

    /// Everything that is foreign has a limit, and stars take no time without bounds.
    @Test func patternsHaveLimits() throws {
        var exclusions = PathExclusions()
        #expect(throws: PatternFault.self) { try exclusions.add(Array(repeating: UInt8(ascii: "a"), count: 4097)) }
        #expect(throws: PatternFault.self) { try exclusions.add(Array("  ".utf8)) }
        #expect(throws: PatternFault.self) {
            try exclusions.add(lines: Array(String(repeating: "a\n", count: 10_001).utf8))
        }
        #expect(throws: PatternFault.self) { try exclusions.add(Array(String(repeating: "a/", count: 65).utf8)) }
        let path = String(repeating: "a/", count: 200) + "b"
        #expect(try !excluded(String(repeating: "**/*a*/", count: 30) + "c", path))
    }
}
