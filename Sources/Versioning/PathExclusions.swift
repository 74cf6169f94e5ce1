import ProllyTree

/// Patterns for paths that are to be passed over, one after the other; the last that matches a path decides about it.
///
/// A pattern is matched against a path part by part. `*`, `?` and every other byte within a part are those of `Glob`. A
/// part `**` is any number of parts; at the end of a pattern, one or more. A pattern with a `/` before its end begins at the
/// top; one without is matched against the last part, at any depth. A `/` at the end: directories only. A `!` in front
/// takes back what earlier patterns excluded. In a file, blank lines and lines that begin with `#` say nothing, and
/// spaces at the end of a line do not count; a `\` in front takes the meaning from a first `#` or `!`.
package struct PathExclusions: Sendable {
    private struct Pattern {
        let parts: [Part]
        let isForDirectories: Bool
        let takesBack: Bool
    }

    private enum Part {
        case anyParts
        case exactly([UInt8])
        case endingWith([UInt8])
        case matching(Glob)

        init(_ text: [UInt8]) {
            func isPlain(_ bytes: some Sequence<UInt8>) -> Bool {
                bytes.allSatisfy { $0 != UInt8(ascii: "*") && $0 != UInt8(ascii: "?") }
            }
            self =
                text == Array("**".utf8)
                ? .anyParts
                : isPlain(text)
                    ? .exactly(text)
                    : text.first == UInt8(ascii: "*") && isPlain(text.dropFirst())
                        ? .endingWith(Array(text.dropFirst())) : .matching(Glob(text))
        }

        func matches(_ name: [UInt8]) -> Bool {
            switch self {
            case .anyParts: true
            case .exactly(let bytes): name == bytes
            case .endingWith(let bytes): name.suffix(bytes.count).elementsEqual(bytes)
            case .matching(let glob): glob.matches(name)
            }
        }
    }

    private var patterns: [Pattern] = []

    package static let maximumPatterns = 10_000
    package static let maximumPatternBytes = 4096
    package static let maximumParts = 64

    package init() {}

    package var isEmpty: Bool { patterns.isEmpty }

    /// Adds the lines of a file.
    package mutating func add(lines text: [UInt8]) throws(PatternFault) {
        for line in text.split(separator: UInt8(ascii: "\n")) {
            if let pattern = try Self.pattern(Array(line)) { try add(pattern) }
        }
    }

    /// Adds one pattern.
    package mutating func add(_ text: [UInt8]) throws(PatternFault) {
        guard let pattern = try Self.pattern(text) else {
            throw PatternFault(pattern: text, reason: "it is blank or a comment")
        }
        try add(pattern)
    }

    private mutating func add(_ pattern: Pattern) throws(PatternFault) {
        guard patterns.count < Self.maximumPatterns else {
            throw PatternFault(
                pattern: [], reason: "there are more than \(Self.maximumPatterns) patterns")
        }
        patterns.append(pattern)
    }

    /// `nil` for a line that says nothing.
    private static func pattern(_ line: [UInt8]) throws(PatternFault) -> Pattern? {
        guard line.count <= maximumPatternBytes else {
            throw PatternFault(
                pattern: Array(line.prefix(64)), reason: "a pattern has at most \(maximumPatternBytes) bytes")
        }
        var text = line[...]
        while let last = text.last, last == UInt8(ascii: " ") || last == UInt8(ascii: "\r") { text.removeLast() }
        if text.first == UInt8(ascii: "#") { return nil }
        let takesBack = text.first == UInt8(ascii: "!")
        if takesBack || text.first == UInt8(ascii: "\\") { text.removeFirst() }
        let isForDirectories = text.last == slash
        while text.last == slash { text.removeLast() }
        let isFromTop = text.contains(slash)
        var parts = text.split(separator: slash).map { Part(Array($0)) }
        guard !parts.isEmpty else { return nil }
        guard parts.count <= maximumParts else {
            throw PatternFault(
                pattern: Array(line.prefix(64)), reason: "a pattern has at most \(maximumParts) parts between '/'")
        }
        if !isFromTop { parts.insert(.anyParts, at: 0) }
        return Pattern(parts: parts, isForDirectories: isForDirectories, takesBack: takesBack)
    }

    private static let slash = UInt8(ascii: "/")

    /// Whether this very path is excluded, whatever becomes of the directories above.
    package func excludes(_ path: TreePath, isDirectory: Bool) -> Bool {
        if patterns.isEmpty { return false }
        let names = path.components.map(\.bytes)
        let decisive = patterns.last { (isDirectory || !$0.isForDirectories) && Self.matches($0.parts, names) }
        return decisive?.takesBack == false
    }

    /// Whether this path or a directory above it is excluded: what is below an excluded directory cannot be taken back.
    package func covers(_ path: TreePath, isDirectory: Bool) -> Bool {
        if patterns.isEmpty { return false }
        if excludes(path, isDirectory: isDirectory) { return true }
        var above = path.parent
        while let directory = above, !directory.isRoot {
            if excludes(directory, isDirectory: true) { return true }
            above = directory.parent
        }
        return false
    }

    /// Cost: at most (parts of the pattern) × (parts of the path) matches of one part.
    private static func matches(_ parts: [Part], _ names: [[UInt8]]) -> Bool {
        var (part, name) = (0, 0)
        // Behind the last `**`, and the name up to which it reaches: what fails later makes it one longer.
        var retry: (part: Int, name: Int)?
        while name < names.count {
            if part < parts.count, case .anyParts = parts[part] {
                // At the end it is at least one part, and there is one.
                if part == parts.count - 1 { return true }
                retry = (part + 1, name)
                part += 1
            } else if part < parts.count, parts[part].matches(names[name]) {
                part += 1
                name += 1
            } else if let last = retry {
                retry = (last.part, last.name + 1)
                (part, name) = (last.part, last.name + 1)
            } else {
                return false
            }
        }
        return part == parts.count
    }
}

package struct PatternFault: Error, Hashable, Sendable {
    package let pattern: [UInt8]
    package let reason: String
}
