/// A revision as a person writes it: a branch, tag, commit id or prefix, then steps back.
package struct Revision: Hashable, Sendable {
    package enum Step: Hashable, Sendable {
        /// `^N`: the N-th parent (1 is the first); `^0` is the commit itself.
        case parent(Int)
        /// `~N`: N times the first parent.
        case ancestor(Int)
        /// `@{date}`: where the ref pointed at that time, from its ref updates.
        case at(String)
    }

    package let base: String
    package let steps: [Step]

    /// Reads `main`, `v1~2`, `main^2`, `main@{2026-01-31}~1`, `3f2a9c…`.
    package init(parsing text: String) throws(RevisionFault) {
        let start = text.firstIndex { $0 == "~" || $0 == "^" || $0 == "@" } ?? text.endIndex
        base = String(text[..<start])
        guard !base.isEmpty else { throw RevisionFault(text: text, reason: "it names no branch, tag or commit") }
        var steps: [Step] = []
        var rest = text[start...]
        while let sign = rest.popFirst() {
            switch sign {
            case "~": steps.append(.ancestor(try Self.number(&rest, text)))
            case "^": steps.append(.parent(try Self.number(&rest, text)))
            case "@":
                guard rest.popFirst() == "{", let end = rest.firstIndex(of: "}") else {
                    throw RevisionFault(text: text, reason: "'@' is followed by a date in braces: main@{2026-01-31}")
                }
                guard steps.isEmpty else {
                    throw RevisionFault(text: text, reason: "'@{date}' stands right behind the branch")
                }
                steps.append(.at(String(rest[..<end])))
                rest = rest[rest.index(after: end)...]
            default:
                throw RevisionFault(text: text, reason: "'\(sign)' cannot stand there")
            }
        }
        self.steps = steps
    }

    private static func number(_ rest: inout Substring, _ text: String) throws(RevisionFault) -> Int {
        let digits = rest.prefix { $0.isASCII && $0.isNumber }
        rest = rest.dropFirst(digits.count)
        if digits.isEmpty { return 1 }
        guard let value = Int(digits), value <= 1_000_000 else {
            throw RevisionFault(text: text, reason: "'\(digits)' steps are too many")
        }
        return value
    }
}

package struct RevisionFault: Error, Hashable, Sendable {
    package let text: String
    package let reason: String

    package init(text: String, reason: String) {
        self.text = text
        self.reason = reason
    }
}

/// `REV:path` taken apart; without a colon the path is the root.
package func splitRevisionPath(_ text: String) throws(PathFault) -> (revision: String, path: TreePath) {
    // A date in braces may hold colons: main@{2026-01-31T10:00}:data/x.
    var depth = 0
    for index in text.indices {
        switch text[index] {
        case "{": depth += 1
        case "}": depth -= 1
        case ":" where depth == 0:
            return (String(text[..<index]), try TreePath(parsing: String(text[text.index(after: index)...])))
        default: break
        }
    }
    return (text, .root)
}
