/// A person, as `Name <address>` says it. Two texts with the same address, whatever the case of its letters and the spaces around
/// it, are one person.
package struct Author: Hashable, Sendable, CustomStringConvertible {
    package let name: String
    /// ASCII, in lower case, with one `@` that has something on each side.
    package let address: String

    /// `nil` for a text that is not `Name <address>`.
    package init?(parsing text: String) {
        guard let open = text.firstIndex(of: "<"), let close = text.lastIndex(of: ">"), open < close,
            text[text.index(after: close)...].allSatisfy(\.isWhitespace),
            let address = Self.address(text[text.index(after: open)..<close])
        else { return nil }
        // A line break is whitespace, and no part of a name.
        guard !text.unicodeScalars.contains(where: { isUnprintable($0) && $0 != "\t" }) else { return nil }
        let name = text[..<open].split(whereSeparator: \.isWhitespace).joined(separator: " ")
        guard !name.contains(">") else { return nil }
        self.name = name
        self.address = address
    }

    private static func address(_ text: Substring) -> String? {
        let words = text.split(whereSeparator: \.isWhitespace)
        guard words.count == 1, let word = words.first, word.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
            return nil
        }
        let sides = word.split(separator: "@", omittingEmptySubsequences: false)
        guard sides.count == 2, sides.allSatisfy({ !$0.isEmpty }), !word.contains(where: { "<>\"',;".contains($0) })
        else { return nil }
        return word.lowercased()
    }

    package var description: String { name.isEmpty ? "<\(address)>" : "\(name) <\(address)>" }
}
