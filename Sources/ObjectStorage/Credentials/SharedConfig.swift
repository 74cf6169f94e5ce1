/// The profiles of `~/.aws/config` and `~/.aws/credentials`.
/// Source: AWS SDKs and Tools Reference Guide, "Shared config and credentials files".
struct SharedConfig: Sendable {
    /// Settings by profile name. The credentials file wins over the config file.
    private(set) var profiles: [String: [String: String]] = [:]

    init(config: String?, credentials: String?) {
        for (section, settings) in Self.sections(config ?? "") {
            // `[default]` or `[profile name]`; `[sso-session x]` and `[services x]` are no profiles.
            let words = section.split(separator: " ", maxSplits: 1).map(String.init)
            let name = words.count == 2 && words[0] == "profile" ? Self.trimmed(words[1], quotes: true) : section
            guard words.count == 1 || words[0] == "profile" else { continue }
            profiles[name, default: [:]].merge(settings) { $1 }
        }
        for (section, settings) in Self.sections(credentials ?? "") {
            profiles[section, default: [:]].merge(settings) { $1 }
        }
    }

    /// Where the files are, and what is in them; a file that is not there is empty.
    static func load(
        _ environment: [String: String], home: String, readFile: (String) -> String?
    ) -> SharedConfig {
        func path(_ variable: String, _ name: String) -> String {
            let path = environment[variable].flatMap { $0.isEmpty ? nil : $0 } ?? "\(home)/.aws/\(name)"
            return path.hasPrefix("~/") ? home + path.dropFirst(1) : path
        }
        return SharedConfig(
            config: readFile(path("AWS_CONFIG_FILE", "config")),
            credentials: readFile(path("AWS_SHARED_CREDENTIALS_FILE", "credentials")))
    }

    private static func sections(_ text: String) -> [(String, [String: String])] {
        var sections: [(String, [String: String])] = []
        for raw in text.split(whereSeparator: \.isNewline) {
            let line = trimmed(String(raw))
            if line.isEmpty || line.hasPrefix("#") || line.hasPrefix(";") { continue }
            if line.hasPrefix("["), let end = line.firstIndex(of: "]") {
                sections.append((trimmed(String(line[line.index(after: line.startIndex)..<end])), [:]))
                continue
            }
            // An indented line belongs to the nested setting above it (`s3 =` and its like), of which none is used
            // here.
            let isNested = raw.first == " " || raw.first == "\t"
            guard !isNested, !sections.isEmpty, let equals = line.firstIndex(of: "=") else { continue }
            let name = trimmed(String(line[..<equals])).lowercased()
            var value = trimmed(String(line[line.index(after: equals)...]))
            if let comment = value.firstRange(of: " #") ?? value.firstRange(of: " ;") {
                value = trimmed(String(value[..<comment.lowerBound]))
            }
            sections[sections.count - 1].1[name] = value
        }
        return sections
    }

    private static func trimmed(_ text: String, quotes: Bool = false) -> String {
        func isDropped(_ character: Character) -> Bool {
            character.isWhitespace || (quotes && (character == "\"" || character == "'"))
        }
        var slice = text.drop(while: isDropped)
        while let last = slice.last, isDropped(last) { slice = slice.dropLast() }
        return String(slice)
    }
}
