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
            for index in reached where index < pattern.count {
                switch pattern[index] {
                case UInt8(ascii: "*"):
                    if byte != UInt8(ascii: "/") || isDouble(index) { next.append(index) }
                case UInt8(ascii: "?"):
                    if byte != UInt8(ascii: "/") { next.append(index + 1) }
                case byte: next.append(index + 1)
                default: break
                }
            }
            reached = Set(closure(of: next))
            if reached.isEmpty { return false }
        }
        return reached.contains(pattern.count)
    }

    package func matches(_ text: String) -> Bool { matches(Array(text.utf8)) }

    /// These indices, and those behind stars that match nothing more.
    private func closure(of indices: [Int]) -> [Int] {
        var all: [Int] = []
        for var index in indices {
            all.append(index)
            while index < pattern.count, pattern[index] == UInt8(ascii: "*") {
                index += isDouble(index) ? 2 : 1
                all.append(index)
            }
        }
        return all
    }

    private func isDouble(_ index: Int) -> Bool {
        index + 1 < pattern.count && pattern[index + 1] == UInt8(ascii: "*")
    }
}
