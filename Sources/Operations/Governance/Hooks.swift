import ObjectDatabase
import ProllyTree
package import Versioning
import Yams

/// One hook of `.tarn/hooks.yaml`.
package struct Hook: Hashable, Sendable {
    package enum Action: Hashable, Sendable {
        /// A shell command.
        case command(String)
        /// An address that is told by a POST; the environment variable that holds the secret to sign it with.
        case webhook(url: String, secretVariable: String?, attempts: Int)
    }

    package let name: String
    /// `pre-merge`, `post-create-tag` …
    package let events: Set<String>
    /// Globs of branch or tag names.
    package let refs: [String]
    package let action: Action
    package let timeoutSeconds: Double
    /// Hooks of the same event that must have passed before.
    package let after: [String]
}

/// The hooks of one event that apply to a move, with the exact file they come from.
package struct ApplicableHooks: Sendable {
    package let event: String
    package let hooks: [Hook]
    /// The content id of the file: what a user trusts.
    package let file: ContentID
    /// Where the file lies: `main:.tarn/hooks.yaml`.
    package let origin: String

    package var isEmpty: Bool { hooks.isEmpty }
}

/// Runs hooks: a mount and processes are needed for that, which the command line has.
package protocol HookRunner: Sendable {
    /// Runs the hooks and answers the ids of their records, in order of hooks. Throws `.hooksUntrusted` and `.hooksRefused`.
    func run(_ hooks: ApplicableHooks, for move: RefUpdateRequest, in repository: Repository) throws -> [HookRecordID]
}

package enum HookMoment: String, Sendable {
    case before = "pre"
    case after = "post"
}

extension RefUpdateRequest {
    /// What happens, as hooks name it.
    package var event: String {
        let kind = ref.kind == .branch ? "branch" : "tag"
        return switch operation {
        case .commit, .import, .cherryPick: "commit"
        case .merge, .fastForward: "merge"
        case .revert: "revert"
        case .reset: "reset"
        case .create: "create-\(kind)"
        case .delete: "delete-\(kind)"
        case .protect, .retain, .approve, .withdraw: operation.rawValue
        }
    }

    /// A revert passes the gates of a merge, too.
    fileprivate func isAsked(by events: Set<String>, _ moment: HookMoment) -> Bool {
        events.contains("\(moment.rawValue)-\(event)")
            || operation == .revert && events.contains("\(moment.rawValue)-merge")
    }
}

extension Repository {
    package static let hooksPath = ".tarn/hooks.yaml"
    private static let maximumHookFileBytes: UInt64 = 1 << 20

    /// The hooks in a commit's tree, and the file's content id; `nil` when it has no such file. Throws `.hooksUnusable`.
    package func hookFile(in commitID: CommitID) throws -> (hooks: [Hook], file: ContentID)? {
        try database.retryingStale { try readHookFile(in: commitID) }
    }

    private func readHookFile(in commitID: CommitID) throws -> (hooks: [Hook], file: ContentID)? {
        guard let path = try? TreePath(parsing: Self.hooksPath),
            let entry = try database.tree(database.commit(commitID).tree).entry(at: path)
        else { return nil }
        guard let content = entry.entry.file, content.sizeBytes <= Self.maximumHookFileBytes else {
            throw RepositoryError.hooksUnusable(reason: "\(Self.hooksPath) is no file of at most 1 MiB")
        }
        var bytes: [UInt8] = []
        try forEachBlock(of: entry) { offset, block in
            bytes += [UInt8](repeating: 0, count: Int(offset) - bytes.count) + (block ?? [])
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw RepositoryError.hooksUnusable(reason: "\(Self.hooksPath) is not valid UTF-8")
        }
        do throws(HookFault) {
            return (try parseHooks(text), content.contentID)
        } catch {
            throw RepositoryError.hooksUnusable(reason: "\(Self.hooksPath): \(error.reason)")
        }
    }

    /// The hooks that a move meets, before it and after it. The destination's own version of the file decides, so that what is brought in cannot
    /// weaken the gate; for creating and deleting, `main`'s.
    func hooks(for move: RefUpdateRequest) throws -> (before: ApplicableHooks, after: ApplicableHooks) {
        let main = try RefName.branch(Self.defaultBranch)
        let decides = move.operation == .create || move.operation == .delete ? main : move.ref
        let holder = decides == move.ref ? move.old : try move.main ?? database.head(of: decides)
        let found: (hooks: [Hook], file: ContentID)?
        do {
            found = try holder.flatMap(hookFile)
        } catch RepositoryError.hooksUnusable(let reason) {
            // No gate is skipped: nobody can say what it would be. Else nothing could ever mend the file.
            guard decides == move.ref, try mendsOnlyHooks(move) else {
                throw RepositoryError.hooksUnusable(reason: "\(decides.name):\(reason)")
            }
            found = nil
        }
        func hooks(_ moment: HookMoment) -> ApplicableHooks {
            let hooks = found?.hooks.filter { hook in
                move.isAsked(by: hook.events, moment) && hook.refs.contains { Glob($0).matches(move.ref.name) }
            }
            return ApplicableHooks(
                event: "\(moment.rawValue)-\(move.event)", hooks: hooks ?? [],
                file: found?.file ?? ContentID(hashing: []), origin: "\(decides.name):\(Self.hooksPath)")
        }
        return (hooks(.before), hooks(.after))
    }
}

extension Repository {
    /// Refuses a move that would publish a hooks file which nobody understands: everything after it would be refused.
    func refuseBrokenHooks(_ move: RefUpdateRequest) throws {
        guard move.isMadeOfNewContent, let new = move.new else { return }
        do {
            _ = try hookFile(in: new)
        } catch RepositoryError.hooksUnusable(let reason) {
            throw RepositoryError.hooksBroken(reason: reason)
        }
    }

    /// Whether a move changes the hooks file, its directory, and times of directories, and nothing else.
    private func mendsOnlyHooks(_ move: RefUpdateRequest) throws -> Bool {
        guard move.isMadeOfNewContent, let old = move.old, let new = move.new else { return false }
        let file = try TreePath(parsing: Self.hooksPath)
        var isOnlyThat = true
        try database.tree(database.commit(old).tree).pathChanges(to: database.tree(database.commit(new).tree)) {
            change in
            isOnlyThat = change.path == file || change.path == file.parent || change.isOnlyTimeOfDirectory
            return isOnlyThat
        }
        return isOnlyThat
    }
}

extension RefUpdateRequest {
    /// It shows a tree that the branch did not have. (A reset brings back what was.)
    fileprivate var isMadeOfNewContent: Bool {
        guard ref.kind == .branch else { return false }
        return switch operation {
        case .commit, .import, .cherryPick, .merge, .fastForward, .revert: true
        case .reset, .create, .delete, .protect, .retain, .approve, .withdraw: false
        }
    }
}

package struct HookFault: Error, Sendable {
    package let reason: String
}

/// Reads a hooks file strictly: a word that is not known may be a gate that would be skipped.
package func parseHooks(_ text: String) throws(HookFault) -> [Hook] {
    guard yamlAliases(in: text) <= maximumAliases else {
        throw HookFault(reason: "it uses more than \(maximumAliases) aliases (*name); write out what they stand for")
    }
    let file: HookFile
    do {
        file = try YAMLDecoder().decode(HookFile.self, from: text)
    } catch {
        throw HookFault(reason: words(error).split(separator: "\n").joined(separator: " "))
    }
    var names: Set<String> = []
    var hooks: [Hook] = []
    for written in file.hooks {
        let hook = try written.hook()
        guard names.insert(hook.name).inserted else { throw HookFault(reason: "two hooks are named '\(hook.name)'") }
        if let unknown = hook.after.first(where: { name in !hooks.contains { $0.name == name } }) {
            throw HookFault(reason: "'\(hook.name)' comes after '\(unknown)', which is not above it")
        }
        hooks.append(hook)
    }
    return hooks
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
    case DecodingError.dataCorrupted(let context):
        context.underlyingError.map(words) ?? context.debugDescription
    case DecodingError.keyNotFound(let key, _): "a hook needs '\(key.stringValue)'"
    case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
        context.debugDescription
    default: "\(error)"
    }
}

private let hookEvents = Set(
    [HookMoment.before, .after].flatMap { moment in
        [
            "commit", "merge", "revert", "reset", "create-branch", "delete-branch", "create-tag", "delete-tag",
        ].map { "\(moment.rawValue)-\($0)" }
    })

/// The file as it is written.
private struct HookFile: Decodable {
    let hooks: [Written]

    struct Written: Decodable {
        var name: String
        var on: OneOrMore
        var branches: OneOrMore?
        var tags: OneOrMore?
        var run: String?
        var url: String?
        var secret: String?
        var attempts: Int?
        var timeout: String?
        var after: OneOrMore?

        enum CodingKeys: String, CodingKey, CaseIterable {
            case name, on, branches, tags, run, url, secret, attempts, timeout, after
        }

        init(from decoder: any Decoder) throws {
            let known = Set(CodingKeys.allCases.map(\.rawValue))
            for key in try decoder.container(keyedBy: AnyKey.self).allKeys where !known.contains(key.stringValue) {
                throw HookFault(reason: "'\(key.stringValue)' is no word of a hook")
            }
            let values = try decoder.container(keyedBy: CodingKeys.self)
            name = try values.decode(String.self, forKey: .name)
            on = try values.decode(OneOrMore.self, forKey: .on)
            branches = try values.decodeIfPresent(OneOrMore.self, forKey: .branches)
            tags = try values.decodeIfPresent(OneOrMore.self, forKey: .tags)
            run = try values.decodeIfPresent(String.self, forKey: .run)
            url = try values.decodeIfPresent(String.self, forKey: .url)
            secret = try values.decodeIfPresent(String.self, forKey: .secret)
            attempts = try values.decodeIfPresent(Int.self, forKey: .attempts)
            timeout = try values.decodeIfPresent(String.self, forKey: .timeout)
            after = try values.decodeIfPresent(OneOrMore.self, forKey: .after)
        }

        func hook() throws(HookFault) -> Hook {
            if let unknown = on.texts.first(where: { !hookEvents.contains($0) }) {
                throw HookFault(reason: "'\(name)': there is no event '\(unknown)'")
            }
            let action: Hook.Action
            switch (run, url) {
            case (let command?, nil): action = .command(command)
            case (nil, let url?):
                guard url.hasPrefix("https://") || url.hasPrefix("http://") else {
                    throw HookFault(reason: "'\(name)': '\(url)' is no http address")
                }
                action = .webhook(url: url, secretVariable: secret, attempts: min(max(attempts ?? 3, 1), 10))
            default: throw HookFault(reason: "'\(name)' needs either run or url")
            }
            guard let seconds = Self.seconds(timeout ?? "10m") else {
                throw HookFault(reason: "'\(name)': '\(timeout ?? "")' is no time; write 90s, 10m or 2h (at most 24h)")
            }
            return Hook(
                name: name, events: Set(on.texts), refs: (branches?.texts ?? tags?.texts) ?? ["**"], action: action,
                timeoutSeconds: seconds, after: after?.texts ?? [])
        }

        private static func seconds(_ text: String) -> Double? {
            let factors: [Character: Double] = ["s": 1, "m": 60, "h": 3600]
            guard let last = text.last else { return nil }
            let value = factors[last].flatMap { factor in Double(text.dropLast()).map { $0 * factor } } ?? Double(text)
            return value.flatMap { $0 > 0 && $0 <= 86_400 ? $0 : nil }
        }
    }

    /// A list, or its only member without brackets.
    struct OneOrMore: Decodable {
        let texts: [String]

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let text = try? container.decode(String.self) {
                texts = [text]
            } else {
                texts = try container.decode([String].self)
            }
        }
    }

    private struct AnyKey: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init?(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }
}
