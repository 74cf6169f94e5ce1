import TestSupport
import Testing
import Versioning

@Suite struct NamesTests {
    @Test(arguments: ["main", "a/b", "v1.0", "feature/x_y-2", String(repeating: "x", count: 200)])
    func refNames(name: String) throws {
        #expect(try RefName.branch(name).qualified == "heads/\(name)")
        #expect(try RefName.tag(name).qualified == "tags/\(name)")
    }

    @Test(arguments: [
        "", "/a", "a/", "a//b", ".a", "a/.b", "-a", "a.lock", "a.lock/b", "a..b", "HEAD", "a b", "ä", "a~1", "a@b",
        "a:b", "a%2Fb",
        String(repeating: "x", count: 201),
    ])
    func badRefNamesAreRefused(name: String) {
        #expect(throws: RefNameFault.self) { try RefName.branch(name) }
    }

    @Test(
        arguments: [
            ("main", "main", []), ("main~2", "main", [.ancestor(2)]), ("main~", "main", [.ancestor(1)]),
            ("a/b^2~3", "a/b", [.parent(2), .ancestor(3)]), ("main^^", "main", [.parent(1), .parent(1)]),
            ("main@{2026-01-31}~1", "main", [.at("2026-01-31"), .ancestor(1)]),
            ("main@{3 days ago}", "main", [.at("3 days ago")]),
            ("main^0", "main", [.parent(0)]),
        ] as [(String, String, [Revision.Step])])
    func revisions(text: String, base: String, steps: [Revision.Step]) throws {
        let revision = try Revision(parsing: text)
        #expect(revision.base == base)
        #expect(revision.steps == steps)
    }

    @Test(arguments: ["", "~1", "@{now}", "main@", "main@{now", "main~1@{now}", "main~99999999999999999999", "main~1x"])
    func badRevisionsAreRefused(text: String) {
        #expect(throws: RevisionFault.self) { try Revision(parsing: text) }
    }

    @Test(arguments: [
        ("main", "main", ""), ("main:", "main", ""), ("main:a/b", "main", "a/b"), ("main:a:b", "main", "a:b"),
        ("main@{2026-01-31T10:00}:x", "main@{2026-01-31T10:00}", "x"),
    ])
    func revisionAndPathAreTakenApart(text: String, revision: String, path: String) throws {
        let split = try splitRevisionPath(text)
        #expect(split.revision == revision)
        #expect(try split.path == TreePath(parsing: path))
    }

    @Test func revisionPathLeadsNowhereElse() {
        #expect(throws: PathFault.self) { try splitRevisionPath("main:../x") }
    }
}
