import FoundationEssentials
import ProllyTree
import Versioning

/// Extended attributes that Tarn answers itself. They are not listed, so that copying tools do not carry them along.
enum TarnAttribute {
    /// The commit's id, on everything in it.
    static let commit = "user.tarn.commit"
    /// The content id, on files.
    static let content = "user.tarn.content"
    /// What is mounted, as JSON, on everything.
    static let mount = "user.tarn.mount"
    /// Where the repository is, on everything.
    static let repository = "user.tarn.repository"
    /// The revision as it was asked for, on everything in a mount of one.
    static let ref = "user.tarn.ref"

    /// The attributes that are the same on everything in a mount.
    ///
    /// - Parameter description: JSON with `repository` and perhaps `revision`, as text.
    static func ofMount(_ description: String) -> [[UInt8]: [UInt8]] {
        struct Facts: Decodable {
            let repository: String
            let revision: String?
        }
        var attributes = [Array(mount.utf8): Array(description.utf8)]
        // A mount that does not describe itself has nothing else to say.
        if let facts = try? JSONDecoder().decode(Facts.self, from: Data(description.utf8)) {
            attributes[Array(repository.utf8)] = Array(facts.repository.utf8)
            attributes[Array(ref.utf8)] = facts.revision.map { Array($0.utf8) }
        }
        return attributes
    }
}

/// The names of stored attributes that a mount shows: those that users give. A tree may hold others.
func shownNames(_ attributes: [ExtendedAttribute]) -> [[UInt8]] {
    attributes.map(\.name).filter(ExtendedAttribute.isUsers)
}

/// A stored attribute that is shown.
func shownAttribute(_ attributes: [ExtendedAttribute], _ name: [UInt8]) throws(VFSError) -> [UInt8] {
    guard ExtendedAttribute.isUsers(name), let attribute = attributes.first(where: { $0.name == name }) else {
        throw .noAttribute
    }
    return attribute.value
}

/// A stored attribute, or the content id of a file.
func entryAttribute(_ entry: Entry, _ name: [UInt8]) throws(VFSError) -> [UInt8] {
    try checkAttributeName(name)
    if name.elementsEqual(TarnAttribute.content.utf8), let file = entry.file { return Array(file.contentID.hex.utf8) }
    return try shownAttribute(entry.attributes, name)
}

/// Refuses what is no name of an attribute here, as ext4 does: an empty name in `user.`, and a namespace that Linux does not
/// have (xattr(7)). No file has an ACL (W21).
func checkAttributeName(_ name: [UInt8]) throws(VFSError) {
    if name.elementsEqual("user.".utf8) { throw .invalidArgument }
    let known = ["user.", "trusted.", "security.", "system.posix_acl_access", "system.posix_acl_default"]
    guard known.contains(where: { name.starts(with: $0.utf8) }) else { throw .notSupported }
}
