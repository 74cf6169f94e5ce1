import Testing
import Versioning

/// Rule: only what our source says reaches a terminal as it is.
@Suite struct TerminalTextTests {
    /// Each kind of character that does something to a terminal or to the order of the text, and how it is shown.
    @Test(arguments: [
        ("\u{0}", "\\x00"), ("\u{7}", "\\x07"), ("\t", "\\x09"), ("\n", "\\x0a"), ("\r", "\\x0d"), ("\u{1b}", "\\x1b"),
        ("\u{7f}", "\\x7f"), ("\u{85}", "\\xc2\\x85"), ("\u{9b}", "\\xc2\\x9b"), ("\u{2028}", "\\xe2\\x80\\xa8"),
        ("\u{2029}", "\\xe2\\x80\\xa9"), ("\u{202e}", "\\xe2\\x80\\xae"), ("\u{2066}", "\\xe2\\x81\\xa6"),
        ("\u{200f}", "\\xe2\\x80\\x8f"), ("\u{61c}", "\\xd8\\x9c"), ("\u{feff}", "\\xef\\xbb\\xbf"),
        ("\u{e0041}", "\\xf3\\xa0\\x81\\x81"), ("\r\n", "\\x0d\\x0a"),
    ])
    func whatIsNotForPrintingIsEscaped(text: String, shown: String) {
        let escaped: TerminalText = "a\(text)b"
        #expect(escaped.shown == "a\(shown)b")
        #expect(TerminalText("a" + text).shown == "a" + shown)
        #expect(printableName(Array(text.utf8)) == shown)
    }

    @Test func textOfAllScriptsStaysAsItIs() {
        for text in ["grün", "日本語", "עברית", "می\u{200c}خواهم", "👩\u{200d}🔬", "e\u{301}", "a\\x1b", "\u{e000}"] {
            #expect(TerminalText(text).shown == text)
        }
    }

    @Test func escapingTwiceIsEscapingOnce() {
        let once = printableText("a\u{1b}\n\u{202e}" + escapedText([0xff]))
        #expect(once == "a\\x1b\\x0a\\xe2\\x80\\xae\\xff")
        #expect(printableText(once) == once)
    }

    /// Also those that are the stand-ins of `escapedText` themselves: two names never have one text.
    @Test(arguments: [[0xff], [0xf4, 0x8f, 0xbe, 0x80], [0xf4, 0x8f, 0xbf, 0xbf], [0x61, 0xf4, 0x8f], [0xc3, 0xbc]])
    func bytesComeBackFromTheirText(bytes: [UInt8]) throws {
        #expect(unescapedBytes(escapedText(bytes)) == bytes)
        #expect(try TreePath(parsing: escapedText(bytes)).bytes == bytes)
    }

    /// What the source says has its colours and line breaks; what is put in has none, however deep it was put.
    @Test func literalsStayAndInterpolationsAreEscaped() {
        let hostile = "x\u{1b}[2J\ny"
        let inner: TerminalText = "\u{1b}[31m\(hostile)\u{1b}[0m"
        let outer: TerminalText = "1\n\(inner)\n\(7) \([hostile].joined())"
        #expect(outer.shown == "1\n\u{1b}[31mx\\x1b[2J\\x0ay\u{1b}[0m\n7 x\\x1b[2J\\x0ay")
    }

    @Test func everyLineOfABlockIsIndented() {
        let block = TerminalText.block("one\r\ntwo\tx\n\ncommit 1\u{1b}\r3", indent: "  ")
        #expect(block.shown == "  one\n  two\tx\n  \n  commit 1\\x1b\\x0d3")
        #expect(TerminalText.firstLine(of: "\n\r\nfirst\u{9b}\nsecond").shown == "first\\xc2\\x9b")
    }
}
