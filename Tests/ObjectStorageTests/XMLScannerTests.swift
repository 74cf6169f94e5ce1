import Testing

@testable import ObjectStorage

@Suite struct XMLScannerTests {
    @Test func elementsTextAndEntitiesAreRead() throws {
        let root = try #require(
            XMLScanner.parse(
                bytes(
                    """
                    <?xml version="1.0"?><!-- > -->
                    <s3:List xmlns:s3="a>b"><Key>a&amp;b &#233;&#x1F988; <![CDATA[<raw>]]></Key><Empty/><Empty a='/'></Empty>
                    <Owner><ID> x </ID></Owner></s3:List>
                    """)))
        #expect(root.name == "List")
        #expect(root.text("Key") == "a&b é🦈 <raw>")
        #expect(root.text("Owner", "ID") == " x ")
        #expect(root.children.count == 4)
        #expect(root.text("Owner", "Nothing") == nil)
    }

    @Test(arguments: [
        "", "plain", "<", "<a", "<a>", "<a></b>", "<a><b></a></b>", "<a>&bogus;</a>", "<a>&amp</a>", "<a>&#xD800;</a>",
        "<!DOCTYPE a><a/>", "</a>", "<a b='></a>", "<a><![CDATA[x</a>", "<>x</>", "<a><a><",
    ])
    func garbageIsNil(_ text: String) {
        #expect(XMLScanner.parse(bytes(text)) == nil)
    }

    @Test func depthIsBounded() {
        let deep = String(repeating: "<a>", count: 40) + String(repeating: "</a>", count: 40)
        #expect(XMLScanner.parse(bytes(deep)) == nil)
    }

    @Test func anyBytesAreSurvived() {
        let pieces = [
            "<", ">", "/", "&", ";", "a", "=", "\"", "<![CDATA[", "]]>", "<!--", "-->", "<?", "?>", "&lt;", "\u{0}",
        ]
        for _ in 0..<20_000 {
            let text = (0..<Int.random(in: 0..<20)).map { _ in pieces.randomElement()! }.joined()
            _ = XMLScanner.parse(bytes(text))
            _ = XMLScanner.parse((0..<16).map { _ in UInt8.random(in: 0...255) })
        }
    }

    @Test func timesAreRead() {
        #expect(UTCTime(iso: "2009-10-12T17:50:30.000Z")?.seconds == 1_255_369_830)
        #expect(UTCTime(iso: "2009-10-12T17:50:30Z")?.seconds == 1_255_369_830)
        #expect(UTCTime(iso: "2009-10-12T19:50:30+02:00")?.seconds == 1_255_369_830)
        #expect(UTCTime(http: "Mon, 12 Oct 2009 17:50:30 GMT")?.seconds == 1_255_369_830)
        #expect(UTCTime(iso: "yesterday") == nil)
        #expect(UTCTime(http: "yesterday, perhaps") == nil)
        #expect(UTCTime(1_369_353_600).basic == "20130524T000000Z")
    }
}
