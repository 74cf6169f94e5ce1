/// What clients of Tarn must not do to the branches and tags that a pattern names: commit to them directly, reset them,
/// delete them. Merges, reverts and restores are allowed, through the branch's hooks and with the approvals that the rule asks for.
package struct ProtectionRule: Hashable, Sendable, Codable {
    /// A `Glob` of branch names, or of tag names after `tags/`.
    package var pattern: String
    /// How many people must have approved what is merged.
    package var approvals: Int
    /// Whether every commit that is brought in, and every approval, must be signed by whom it names; absent: no.
    package var signed: Bool?

    package init(pattern: String, approvals: Int = 0, signed: Bool = false) {
        self.pattern = pattern
        self.approvals = approvals
        self.signed = signed ? true : nil
    }

    /// Why a pattern can cover no branch and no tag; `nil` when it may.
    package static func fault(inPattern pattern: String) -> String? {
        let name = pattern.hasPrefix("tags/") ? String(pattern.dropFirst("tags/".count)) : pattern
        if name.isEmpty || name.hasSuffix("/") || name.hasPrefix("/") { return "it names no branch or tag" }
        if ["refs/", "heads/"].contains(where: pattern.hasPrefix) { return "write a branch's name without a prefix" }
        let allowed = name.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
            default: "._-/*?".utf8.contains(byte)
            }
        }
        return allowed ? nil : "names have letters, digits and . _ - / only, and a pattern '*', '**' and '?' besides"
    }

    package var wantsSignatures: Bool { signed == true }

    package func covers(_ ref: RefName) -> Bool {
        switch ref.kind {
        case .branch: !pattern.hasPrefix("tags/") && Glob(pattern).matches(ref.name)
        case .tag: pattern.hasPrefix("tags/") && Glob(pattern).matches("tags/\(ref.name)")
        case .rules, .approvals: false
        }
    }

    package func refuses(_ operation: RefUpdate.Operation) -> Bool {
        switch operation {
        case .commit, .import, .cherryPick, .reset, .delete: true
        case .create, .merge, .fastForward, .revert, .restore, .protect, .retain, .approve, .withdraw: false
        }
    }
}

/// The rules of a repository, as the newest commit of the ref `rules/protection` holds them in its metadata.
package struct ProtectionRules: Hashable, Sendable, Codable {
    package var format = 1
    /// In the order of patterns, each once.
    package var rules: [ProtectionRule]

    package init(_ rules: [ProtectionRule] = []) {
        self.rules = rules.sorted { $0.pattern < $1.pattern }
    }

    package func covering(_ ref: RefName) -> [ProtectionRule] { rules.filter { $0.covers(ref) } }

    /// With `rule` in place of the one of the same pattern.
    package func adding(_ rule: ProtectionRule) -> ProtectionRules {
        ProtectionRules(rules.filter { $0.pattern != rule.pattern } + [rule])
    }
}
