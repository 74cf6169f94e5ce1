import BlockingIO
import ObjectDatabase
import ObjectStorage
package import Versioning

/// How long the commits of branches stay: as long as `days` or `commits` keeps them, whichever keeps more.
package struct RetentionRule: Hashable, Sendable, Codable {
    /// Which branches (`Glob`).
    package var branches: String
    /// What the branch showed in so many days.
    package var days: Int?
    /// The newest so many commits.
    package var commits: Int?
    package var who: String
    package var when: Timestamp

    package init(branches: String, days: Int?, commits: Int?, who: String, when: Timestamp) {
        self.branches = branches
        self.days = days
        self.commits = commits
        self.who = who
        self.when = when
    }

    package var words: String {
        let parts = [
            days.map { "\($0) day\($0 == 1 ? "" : "s")" }, commits.map { "\($0) commit\($0 == 1 ? "" : "s")" },
        ].compactMap { $0 }
        return "the rule '\(branches): \(parts.joined(separator: " or "))'"
    }
}

/// The rules of a repository, as the newest commit of the ref `rules/retention` holds them. A branch that no rule names
/// keeps everything.
package struct RetentionRules: Hashable, Sendable, Codable {
    package var format = 1
    package var rules: [RetentionRule] = []

    package init() {}

    /// The rules of a ref; none for a tag, which stays for ever.
    package func rules(for name: RefName) -> [RetentionRule] {
        name.kind == .tag ? [] : rules.filter { Glob($0.branches).matches(name.name) }
    }
}

extension Repository {
    package func retention() throws -> RetentionRules { try storedRules(RetentionRules.self).rules }

    /// Sets the rule of a glob, or removes it (`nil`). Answers the rules as they are then; throws `.retentionNotFound`
    /// when there is none to remove.
    @discardableResult
    package func setRetention(_ branches: String, to rule: RetentionRule?, who: String) throws -> RetentionRules {
        let why = rule?.words ?? "no rule for '\(branches)'"
        return try changeRules(who: who, why: why) { old in
            var rules: RetentionRules = old
            let index = rules.rules.firstIndex { $0.branches == branches }
            switch (index, rule) {
            case (let index?, let rule?): rules.rules[index] = rule
            case (let index?, nil): rules.rules.remove(at: index)
            case (nil, let rule?): rules.rules.append(rule)
            case (nil, nil): throw RepositoryError.retentionNotFound(branches)
            }
            return rules
        }
    }
}
