import Testing
import Versioning

@Suite struct AuthorTests {
    @Test(arguments: [
        "M <m@x>", "M <m@x >", "M < m@x>", " M  <M@X>", "Other Name <m@x>", "<m@x>", "M <m@x> ", "M\t<m@x>",
    ])
    func oneAddressIsOnePerson(_ text: String) throws {
        #expect(try #require(Author(parsing: text)).address == "m@x")
    }

    @Test(arguments: [
        "", "M", "m@x", "M <>", "M <m>", "M <@x>", "M <m@>", "M <m@x", "M m@x>", "M <m@x> <n@y>", "M <m@x>y",
        "M <a b@x>",
        "M <m@x@y>", "M <m\u{200d}@x>", "M <m@\u{445}>", "M <m@x\u{0}>", "M\n<m@x>\nAuthor: N <n@y>", "M\u{202e} <m@x>",
        "M> <m@x>", "M <<m@x>>",
    ])
    func whoHasNoAddressIsNobody(_ text: String) {
        #expect(Author(parsing: text) == nil)
    }

    @Test func spacesAreWrittenOnce() throws {
        #expect(
            try #require(Author(parsing: " Ada  Lovelace < ADA@Example.org >")).description
                == "Ada Lovelace <ada@example.org>")
    }
}
