package import ObjectDatabase
package import Versioning

extension Repository {
    /// The protection rules, and the ref that holds them; none when they were never set. Throws `.corrupt`.
    package func protectionRules() throws -> (rules: ProtectionRules, snapshot: RefSnapshot?) {
        try storedRules(ProtectionRules.self)
    }

    /// Changes the protection rules. See `changeRules`.
    package func changeProtection(
        who: String, why: String, _ change: (ProtectionRules) throws -> ProtectionRules
    ) throws -> ProtectionRules {
        try changeRules(who: who, why: why, change)
    }
}
