/// A pattern for names of branches: `*` stands for any characters but `/`, `**` for any at all, `?` for one but `/`.
package struct RefGlob: Hashable, Sendable {
    package let pattern: String
    private let symbols: [UInt8]

    package init(_ pattern: String) {
        self.pattern = pattern
        symbols = Array(pattern.utf8)
    }

    package func matches(_ name: String) -> Bool {
        Self.matches(symbols[...], Array(name.utf8)[...])
    }

    private static func matches(_ pattern: ArraySlice<UInt8>, _ text: ArraySlice<UInt8>) -> Bool {
        var (pattern, text) = (pattern, text)
        let slash = UInt8(ascii: "/")
        while let symbol = pattern.popFirst() {
            switch symbol {
            case UInt8(ascii: "*"):
                let crosses = pattern.first == symbol
                if crosses { pattern = pattern.dropFirst() }
                while true {
                    if matches(pattern, text) { return true }
                    guard let byte = text.popFirst(), crosses || byte != slash else { return false }
                }
            case UInt8(ascii: "?"):
                guard let byte = text.popFirst(), byte != slash else { return false }
            default:
                guard text.popFirst() == symbol else { return false }
            }
        }
        return text.isEmpty
    }
}
