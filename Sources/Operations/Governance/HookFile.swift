package import Versioning
import Yams

package struct HookFault: Error, Sendable {
    package let reason: String
}

/// What a hooks file says, before it is held against the tree that it lies in.
package struct ParsedHooks: Sendable {
    package var hooks: [Hook] = []
    /// Files and directories that its commands run or load.
    package var programs: [TreePath] = []
}

/// Reads a hooks file strictly: a word that is not known, or that means nothing where it stands, may be a gate that would be
/// skipped.
package func parseHooks(_ text: String) throws(HookFault) -> ParsedHooks {
    guard yamlAliases(in: text) <= maximumAliases else {
        throw HookFault(reason: "it uses more than \(maximumAliases) aliases (*name); write out what they stand for")
    }
    let file: HookFile
    do {
        file = try YAMLDecoder().decode(HookFile.self, from: text)
    } catch {
        throw HookFault(reason: words(error).split(separator: "\n").joined(separator: " "))
    }
    var parsed = ParsedHooks()
    for path in file.programs?.texts ?? [] { parsed.programs.append(try treePath(path, "programs")) }
    var names: Set<String> = []
    for written in file.hooks {
        let hook = try written.hook()
        guard names.insert(hook.name).inserted else { throw HookFault(reason: "two hooks are named '\(hook.name)'") }
        for name in hook.after {
            guard let earlier = parsed.hooks.first(where: { $0.name == name }) else {
                throw HookFault(reason: "'\(hook.name)' comes after '\(name)', which is not above it")
            }
            if !hook.events.isSubset(of: earlier.events) {
                throw HookFault(
                    reason: "'\(hook.name)' comes after '\(name)', which is not asked at all of its events")
            }
        }
        parsed.hooks.append(hook)
    }
    return parsed
}

private func treePath(_ text: String, _ word: String) throws(HookFault) -> TreePath {
    do throws(PathFault) {
        let path = try TreePath(parsing: text)
        if !path.isRoot { return path }
    } catch {
        throw HookFault(reason: "\(word): '\(text)': \(error.reason)")
    }
    throw HookFault(reason: "\(word): '\(text)' is the whole tree; name the files and directories of the programs")
}

/// Each alias of aliases doubles what the parser compares.
private let maximumAliases = 8

/// How many aliases a YAML text has at most: each `*name` for which there is an `&name`, also where it is only text.
private func yamlAliases(in text: String) -> Int {
    let bytes = Array(text.utf8)
    func names(after sign: Character) -> [ArraySlice<UInt8>] {
        bytes.indices.filter { bytes[$0] == sign.asciiValue }.compactMap { index in
            let name = bytes[(index + 1)...].prefix { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, UInt8(ascii: "_"), UInt8(ascii: "-"): true
                default: false
                }
            }
            return name.isEmpty ? nil : name
        }
    }
    let anchors = Set(names(after: "&"))
    return names(after: "*").count { anchors.contains($0) }
}

/// What is wrong with a file, without the decoder's own words around it.
private func words(_ error: any Error) -> String {
    switch error {
    case let fault as HookFault: fault.reason
    case let error as YamlError: words(error)
    case DecodingError.dataCorrupted(let context):
        context.underlyingError.map(words) ?? "\(place(context)) cannot be read"
    case DecodingError.keyNotFound(let key, _): "a hook needs '\(key.stringValue)'"
    case DecodingError.typeMismatch(let type, let context), DecodingError.valueNotFound(let type, let context):
        "\(place(context)) \(wanted(type))"
    default: "it is not a hooks file"
    }
}

private func words(_ error: YamlError) -> String {
    switch error {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
        .composer(_, let problem, let mark, _):
        "line \(mark.line): it is not YAML: \(problem)"
    case .duplicatedKeysInMapping: "a word stands twice in one mapping"
    default: "it is not YAML"
    }
}

private func place(_ context: DecodingError.Context) -> String {
    let path = context.codingPath.map { key in key.intValue.map { "number \($0 + 1)" } ?? key.stringValue }
    return path.isEmpty ? "the file" : "'\(path.joined(separator: ", "))'"
}

private func wanted(_ type: any Any.Type) -> String {
    switch type {
    case is String.Type: "is no text"
    case is Int.Type: "is no number"
    default: "is not what the reference says it is"
    }
}

private let hookEvents = Set(
    [HookMoment.before, .after].flatMap { moment in
        [
            "commit", "merge", "revert", "restore", "reset", "create-branch", "delete-branch", "create-tag",
            "delete-tag",
        ].map { "\(moment.rawValue)-\($0)" }
    })

/// The file as it is written.
private struct HookFile: Decodable {
    let hooks: [Written]
    let programs: OneOrMore?

    private enum CodingKeys: String, CodingKey, CaseIterable {
        case hooks, programs
    }

    init(from decoder: any Decoder) throws {
        try refuseUnknown(CodingKeys.self, in: decoder, what: "a hooks file")
        let values = try decoder.container(keyedBy: CodingKeys.self)
        hooks = try values.decode([Written].self, forKey: .hooks)
        programs = try values.decodeIfPresent(OneOrMore.self, forKey: .programs)
    }

    struct Written: Decodable {
        private let name: String
        private let on: OneOrMore
        private let branches: OneOrMore?
        private let tags: OneOrMore?
        private let run: String?
        private let at: String?
        private let env: OneOrMore?
        private let url: String?
        private let secret: String?
        private let attempts: Int?
        private let timeout: String?
        private let after: OneOrMore?

        private enum CodingKeys: String, CodingKey, CaseIterable {
            case name, on, branches, tags, run, at, env, url, secret, attempts, timeout, after
        }

        init(from decoder: any Decoder) throws {
            try refuseUnknown(CodingKeys.self, in: decoder, what: "a hook")
            let values = try decoder.container(keyedBy: CodingKeys.self)
            name = try values.decode(String.self, forKey: .name)
            on = try values.decode(OneOrMore.self, forKey: .on)
            branches = try values.decodeIfPresent(OneOrMore.self, forKey: .branches)
            tags = try values.decodeIfPresent(OneOrMore.self, forKey: .tags)
            run = try values.decodeIfPresent(String.self, forKey: .run)
            at = try values.decodeIfPresent(String.self, forKey: .at)
            env = try values.decodeIfPresent(OneOrMore.self, forKey: .env)
            url = try values.decodeIfPresent(String.self, forKey: .url)
            secret = try values.decodeIfPresent(String.self, forKey: .secret)
            attempts = try values.decodeIfPresent(Int.self, forKey: .attempts)
            timeout = try values.decodeIfPresent(String.self, forKey: .timeout)
            after = try values.decodeIfPresent(OneOrMore.self, forKey: .after)
        }

        func hook() throws(HookFault) -> Hook {
            if let unknown = on.texts.first(where: { !hookEvents.contains($0) }) {
                throw fault("there is no event '\(unknown)'")
            }
            let tagEvents = on.texts.filter { $0.hasSuffix("-tag") }
            if branches != nil, tagEvents.count == on.texts.count {
                throw fault("'branches' means nothing for events of tags only; write 'tags'")
            }
            if tags != nil, tagEvents.isEmpty {
                throw fault("'tags' means nothing without an event of tags, such as pre-create-tag")
            }
            if (branches == nil) != (tags == nil), !tagEvents.isEmpty, tagEvents.count < on.texts.count {
                throw fault("it has events of branches and of tags; write both 'branches' and 'tags' ('**' is all)")
            }
            guard let seconds = Self.seconds(timeout ?? "10m") else {
                throw fault("'\(timeout ?? "")' is no time; write 90s, 10m or 2h (at most 24h)")
            }
            return Hook(
                name: name, events: Set(on.texts), branches: try patterns(branches, "branches"),
                tags: try patterns(tags, "tags"), action: try action(), timeoutSeconds: seconds,
                after: after?.texts ?? [])
        }

        private func fault(_ reason: String) -> HookFault { HookFault(reason: "'\(name)': \(reason)") }

        /// All names when there are none.
        private func patterns(_ written: OneOrMore?, _ word: String) throws(HookFault) -> [String] {
            guard let written else { return ["**"] }
            if let odd = written.texts.first(where: { $0.isEmpty || $0.hasPrefix("refs/") || $0.hasPrefix("tags/") }) {
                throw fault("\(word): '\(odd)' is the name of no branch or tag; write it without a prefix")
            }
            return written.texts
        }

        private func action() throws(HookFault) -> Hook.Action {
            switch (run, url) {
            case (let text?, nil):
                if secret != nil || attempts != nil { throw fault("'secret' and 'attempts' go with 'url'") }
                let names = env?.texts ?? []
                if let odd = names.first(where: { !Self.isVariable($0) }) {
                    throw fault("env: '\(odd)' is no name of a variable, or one that Tarn sets itself")
                }
                if let at { try checkPlace(at) }
                return .command(Hook.Command(text: text, variables: names, place: at))
            case (nil, let url?):
                if at != nil || env != nil { throw fault("'at' and 'env' go with 'run'") }
                guard url.hasPrefix("https://") || url.hasPrefix("http://") else {
                    throw fault("'\(url)' is no http address")
                }
                let attempts = attempts ?? 3
                guard (1...10).contains(attempts) else { throw fault("attempts is a number from 1 to 10") }
                return .webhook(url: url, secretVariable: secret, attempts: attempts)
            default: throw fault("it needs either run or url")
            }
        }

        /// The result would hide what programs need to start.
        private static let reserved: Set<String> = [
            "bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "proc", "run", "sbin", "sys", "tmp", "usr", "var",
        ]

        private func checkPlace(_ place: String) throws(HookFault) {
            let parts = place.split(separator: "/", omittingEmptySubsequences: false)
            let isPlain = parts.dropFirst().allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." && !$0.contains("\0") }
            guard place.hasPrefix("/"), parts.count > 1, isPlain else {
                throw fault("at: '\(place)' is no absolute path such as /lake")
            }
            if parts.count == 2, Self.reserved.contains(String(parts[1])) {
                throw fault("at: '\(place)' is a directory of the system; choose another, such as /lake")
            }
        }

        private static func isVariable(_ name: String) -> Bool {
            guard let first = name.utf8.first, !(0x30...0x39).contains(first), !name.hasPrefix("TARN_") else {
                return false
            }
            return name.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, UInt8(ascii: "_"): true
                default: false
                }
            }
        }

        private static func seconds(_ text: String) -> Double? {
            let factors: [Character: Double] = ["s": 1, "m": 60, "h": 3600]
            guard let last = text.last else { return nil }
            let value = factors[last].flatMap { factor in Double(text.dropLast()).map { $0 * factor } } ?? Double(text)
            return value.flatMap { $0 > 0 && $0 <= 86_400 ? $0 : nil }
        }
    }

    /// A list that is not empty, or its only member without brackets.
    struct OneOrMore: Decodable {
        let texts: [String]

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let text = try? container.decode(String.self) {
                texts = [text]
            } else {
                texts = try container.decode([String].self)
            }
            if texts.isEmpty { throw HookFault(reason: "a list is empty; leave its word out, or name something") }
        }
    }
}

private struct AnyKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init?(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}

private func refuseUnknown<Keys: CodingKey & CaseIterable>(
    _: Keys.Type, in decoder: any Decoder, what: String
) throws {
    let known = Set(Keys.allCases.map(\.stringValue))
    for key in try decoder.container(keyedBy: AnyKey.self).allKeys where !known.contains(key.stringValue) {
        throw HookFault(reason: "'\(key.stringValue)' is no word of \(what)")
    }
}
