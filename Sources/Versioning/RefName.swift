/// The name of a branch or tag, or of what a repository keeps with a chain of ref updates besides.
package struct RefName: Hashable, Sendable {
    package enum Kind: String, Sendable, CaseIterable {
        case branch = "heads"
        case tag = "tags"
        /// The protection rules.
        case rules
        /// Who approved that a commit be merged: `<branch>/<commit>`.
        case approvals

        /// The kinds that name what users work on.
        package static let named: [Kind] = [.branch, .tag]
    }

    package let kind: Kind
    package let name: String

    /// Throws unless `name` is 1...200 characters of `A–Z a–z 0–9 . _ - /`, no component is empty or begins with `.` or
    /// `-` or ends with `.lock`, and it holds no `..`. (git's rules, narrowed to what is safe in a URL and a shell.)
    package init(_ kind: Kind, _ name: String) throws(RefNameFault) {
        if let reason = Self.fault(in: name) { throw RefNameFault(name: name, reason: reason) }
        self.kind = kind
        self.name = name
    }

    package static func branch(_ name: String) throws(RefNameFault) -> RefName { try RefName(.branch, name) }
    package static func tag(_ name: String) throws(RefNameFault) -> RefName { try RefName(.tag, name) }

    /// `heads/main`: how ref updates and people name it apart from a tag of the same name.
    package var qualified: String { "\(kind.rawValue)/\(name)" }

    private static func fault(in name: String) -> String? {
        if name.isEmpty || name.utf8.count > 200 { return "a name has 1 to 200 characters" }
        let allowed = name.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
            case UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "/"): true
            default: false
            }
        }
        if !allowed { return "use letters, digits, '.', '_', '-' and '/'" }
        for component in name.split(separator: "/", omittingEmptySubsequences: false) {
            if component.isEmpty { return "'/' must stand between two names" }
            if component.hasPrefix(".") || component.hasPrefix("-") { return "no part may begin with '.' or '-'" }
            if component.hasSuffix(".lock") { return "no part may end with '.lock'" }
        }
        return name.utf8.elementsEqual("HEAD".utf8)
            ? "'HEAD' is no branch" : name.contains("..") ? "'..' is a range" : nil
    }
}

package struct RefNameFault: Error, Hashable, Sendable {
    package let name: String
    package let reason: String
}
