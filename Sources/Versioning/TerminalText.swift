import BlockingIO

/// Text that is safe to show on a terminal and in a log: what is written in our source stands as it is, and everything put
/// into it (a name, a message, a reply) is escaped. So no value can move the cursor, colour a screen, turn the direction of
/// what follows, or begin a line of its own.
///
/// It is made from a literal with interpolations, from a whole text that is escaped, or from a `block` of lines.
package struct TerminalText: Hashable, Sendable {
    /// The text, ready to be written.
    package let shown: String

    private init(trusted: String) { shown = trusted }

    /// A text of any origin, on one line.
    package init(_ foreign: some StringProtocol) { self.init(trusted: printableText(foreign)) }

    /// Lines of any origin, each behind `indent`, so that none can pass for one of ours. Tabs stay; a carriage return
    /// before a line break goes.
    package static func block(_ foreign: String, indent: TerminalText) -> TerminalText {
        lines(of: foreign).map { indent + $0 }.joined(separator: "\n")
    }

    /// The lines of a text of any origin. Tabs stay; a carriage return before a line break goes.
    package static func lines(of foreign: String) -> [TerminalText] {
        foreign.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            let end = line.last == "\r" ? line.dropLast() : line
            let parts = end.split(separator: "\t", omittingEmptySubsequences: false).map { printableText(String($0)) }
            return TerminalText(trusted: parts.joined(separator: "\t"))
        }
    }

    /// The first line that is not empty of a text of any origin; empty when there is none.
    package static func firstLine(of foreign: String) -> TerminalText {
        let line = foreign.unicodeScalars.split(whereSeparator: { $0 == "\n" || $0 == "\r" }).first
        return TerminalText(line.map { String($0) } ?? "")
    }

    package var isEmpty: Bool { shown.isEmpty }

    /// How many characters it has.
    package var width: Int { shown.count }

    /// With blanks behind it, up to `width` characters.
    package func padded(to width: Int) -> TerminalText {
        TerminalText(trusted: shown + String(repeating: " ", count: max(0, width - self.width)))
    }

    package func withoutTrailingBlanks() -> TerminalText {
        TerminalText(trusted: String(shown.reversed().drop { $0 == " " }.reversed()))
    }

    package static func + (left: TerminalText, right: TerminalText) -> TerminalText {
        TerminalText(trusted: left.shown + right.shown)
    }

    package static func += (left: inout TerminalText, right: TerminalText) { left = left + right }

    fileprivate static func joined(_ parts: some Sequence<TerminalText>, _ separator: TerminalText) -> TerminalText {
        TerminalText(trusted: parts.map(\.shown).joined(separator: separator.shown))
    }
}

extension Sequence<TerminalText> {
    package func joined(separator: TerminalText = "") -> TerminalText { TerminalText.joined(self, separator) }
}

extension TerminalText: CustomStringConvertible {
    package var description: String { shown }
}

extension TerminalText: ExpressibleByStringInterpolation {
    package init(stringLiteral text: String) { self.init(trusted: text) }

    package init(stringInterpolation parts: Interpolation) { self.init(trusted: parts.text) }

    package struct Interpolation: StringInterpolationProtocol {
        fileprivate var text: String

        package init(literalCapacity: Int, interpolationCount: Int) {
            text = ""
            text.reserveCapacity(literalCapacity + 16 * interpolationCount)
        }

        package mutating func appendLiteral(_ literal: String) { text += literal }

        package mutating func appendInterpolation(_ part: TerminalText) { text += part.shown }

        package mutating func appendInterpolation(_ number: some BinaryInteger) { text += "\(number)" }

        package mutating func appendInterpolation(_ value: some CustomStringConvertible) {
            text += printableText(value.description)
        }
    }
}

/// `text` with everything escaped that is not for printing: see `isUnprintable`. The bytes of such a character become
/// `\xNN`, and so does a byte that `escapedText` took into it. What was escaped once stays as it is.
package func printableText(_ text: some StringProtocol) -> String {
    guard text.unicodeScalars.contains(where: isUnprintable) else { return String(text) }
    var result = ""
    for scalar in text.unicodeScalars {
        if isUnprintable(scalar) {
            for byte in unescapedBytes(String(scalar)) { result += "\\x" + hexEncoded([byte]) }
        } else {
            result.unicodeScalars.append(scalar)
        }
    }
    return result
}

/// Any bytes as text that a terminal can show: what is not for printing, and what is not UTF-8, becomes `\xNN`.
package func printableName(_ bytes: [UInt8]) -> String {
    printableText(escapedText(bytes))
}

/// The key of a tree's entry as the path that it stands for, cut at 200 bytes: a key that does not decode may be long, and may
/// hold no NUL or several.
package func printableKey(_ key: [UInt8]) -> String {
    let limit = 200
    let path = key.prefix(limit).map { $0 == 0 ? UInt8(ascii: "/") : $0 }
    return "'\(printableName(path))'" + (key.count > limit ? "… (\(key.count) bytes)" : "")
}

/// Whether a character does something to a terminal, or to how the text around it is shown, instead of being seen: control
/// characters (C0, DEL, C1), line and paragraph separators, format characters (directional overrides, marks and isolates,
/// tags), and the stand-ins of `escapedText`. The two joiners stay, which names in some scripts are spelt with.
package func isUnprintable(_ scalar: Unicode.Scalar) -> Bool {
    if scalar.value < 0x7f { return scalar.value < 0x20 }
    switch scalar.properties.generalCategory {
    case .control, .lineSeparator, .paragraphSeparator: return true
    case .format: return scalar != "\u{200c}" && scalar != "\u{200d}"
    default: return isEscapedByte(scalar)
    }
}
