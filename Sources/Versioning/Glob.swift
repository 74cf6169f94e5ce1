/// A pattern for paths and for names of branches: `*` is any bytes but `/`, `**` any bytes, `?` one byte that is not `/`;
/// every other byte is itself.
package struct Glob: Hashable, Sendable {
    package let pattern: [UInt8]

    package init(_ pattern: [UInt8]) {
        self.pattern = pattern
    }

    package init(_ pattern: String) {
        self.init(Array(pattern.utf8))
    }

    /// Cost: at most (bytes of the pattern) × (bytes of the text).
    package func matches(_ text: [UInt8]) -> Bool {
        // Which ends of the pattern's beginnings match the bytes of the text so far.
        var reached = Set(closure(of: [0]))
        for byte in text {
            var next: [Int] = []
            for place in reached where place < pattern.count {
                switch pattern[place] {
                case UInt8(ascii: "*"):
                    if byte != UInt8(ascii: "/") || isDouble(place) { next.append(place) }
                case UInt8(ascii: "?"):
                    if byte != UInt8(ascii: "/") { next.append(place + 1) }
                case byte: next.append(place + 1)
                default: break
                }
            }
            reached = Set(closure(of: next))
            if reached.isEmpty { return false }
        }
        return reached.contains(pattern.count)
    }

    package func matches(_ text: String) -> Bool { matches(Array(text.utf8)) }

    /// These places, and those behind stars that match nothing more.
    private func closure(of places: [Int]) -> [Int] {
        var all: [Int] = []
        for var place in places {
            all.append(place)
            while place < pattern.count, pattern[place] == UInt8(ascii: "*") {
                place += isDouble(place) ? 2 : 1
                all.append(place)
            }
        }
        return all
    }

    private func isDouble(_ place: Int) -> Bool {
        place + 1 < pattern.count && pattern[place + 1] == UInt8(ascii: "*")
    }
}
