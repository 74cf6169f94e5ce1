package import ProllyTree
package import Versioning

/// Where everything lies in the bucket (docs/reference/FORMAT.md).
package enum ObjectKeys {
    package static let config = "tarn.json"
    package static let commits = "commits/"
    package static let refUpdates = "movements/"
    package static let trees = "trees/"
    package static let packs = "packs/"
    package static let lists = "lists/"
    package static let hookRecords = "hooks/"
    package static let signatures = "signatures/"

    package static let leases = "leases/"
    /// Who waits to move a branch through its gates.
    package static let queue = "queue/"
    package static let collected = "collected/"
    package static let moved = "moved/"
    package static let sweeps = "gc/sweeps.json"
    package static let clock = "gc/clock"

    package static func collected(_ tree: NodeID) -> String { collected + tree.hex }
    package static func moved(_ id: PackID) -> String { "moved/\(id.hex.prefix(2))/\(id.hex)" }
    package static func commit(_ id: CommitID) -> String { commits + id.hex }
    package static func refUpdate(_ id: RefUpdateID) -> String { refUpdates + id.hex }
    package static func node(_ id: NodeID) -> String { "trees/\(id.hex.prefix(2))/\(id.hex)" }
    package static func list(_ id: ContentID) -> String { "lists/\(id.hex.prefix(2))/\(id.hex)" }
    package static func hookRecord(_ commit: CommitID, _ id: HookRecordID) -> String {
        "hooks/\(commit.hex)/\(id.hex).json"
    }
    package static func signature(of id: String, name: String) -> String { "\(signatures)\(id)/\(name)" }
    package static func pack(_ id: PackID) -> String { "packs/\(id.hex.prefix(2))/\(id.hex)" }
    /// The pack that an object below `packs/` or `moved/` is about; `nil` for a key that no Tarn wrote.
    package static func packID(key: String) -> PackID? { key.split(separator: "/").last.flatMap { PackID(hex: $0) } }
    package static func refs(_ kind: RefName.Kind) -> String { "refs/\(kind.rawValue)/" }

    /// `/` in a ref's name is stored as `%2F`, so that `a` and `a/b` can both exist in a directory store.
    package static func ref(_ name: RefName) -> String {
        refs(name.kind) + name.name.split(separator: "/").joined(separator: "%2F")
    }

    package static func refName(_ kind: RefName.Kind, key: String) -> RefName? {
        guard key.hasPrefix(refs(kind)) else { return nil }
        let stored = key.dropFirst(refs(kind).count)
        let name = stored.split(separator: "%2F", omittingEmptySubsequences: false).joined(separator: "/")
        // A key that no Tarn wrote is not a ref.
        return try? RefName(kind, name)
    }
}
