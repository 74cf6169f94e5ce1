import ProllyTree
import Versioning

/// Where everything lies in the bucket (docs/FORMAT.md).
package enum ObjectKeys {
    package static let config = "tarn.json"
    static let commits = "commits/"
    static let movements = "movements/"
    static let trees = "trees/"
    static let packs = "packs/"
    static let lists = "lists/"
    static let hookRecords = "hooks/"
    static let signatures = "signatures/"

    static let leases = "leases/"
    static let collected = "collected/"
    static let moved = "moved/"
    static let retention = "retention.json"
    static let sweeps = "gc/sweeps.json"
    static let doomed = "gc/doomed/"
    static let clock = "gc/clock"

    static func collected(_ tree: NodeID) -> String { collected + tree.hex }
    static func moved(_ id: PackID) -> String { "moved/\(id.hex.prefix(2))/\(id.hex)" }
    static func doomed(run: String, page: Int) -> String { "\(doomed)\(run)/\(page)" }
    static func commit(_ id: CommitID) -> String { commits + id.hex }
    static func movement(_ id: MovementID) -> String { movements + id.hex }
    static func node(_ id: NodeID) -> String { "trees/\(id.hex.prefix(2))/\(id.hex)" }
    static func list(_ id: ContentID) -> String { "lists/\(id.hex.prefix(2))/\(id.hex)" }
    static func hookRecord(_ commit: CommitID, _ id: HookRecordID) -> String { "hooks/\(commit.hex)/\(id.hex).json" }
    static func signature(of id: String, name: String) -> String { "\(signatures)\(id)/\(name)" }
    static func pack(_ id: PackID) -> String { "packs/\(id.hex.prefix(2))/\(id.hex)" }
    /// The pack that an object below `packs/` or `moved/` is about; `nil` for a key that no Tarn wrote.
    static func packID(key: String) -> PackID? { key.split(separator: "/").last.flatMap { PackID(hex: $0) } }
    static func refs(_ kind: RefName.Kind) -> String { "refs/\(kind.rawValue)/" }

    /// `/` in a ref's name is stored as `%2F`, so that `a` and `a/b` can both exist in a directory store.
    static func ref(_ name: RefName) -> String {
        refs(name.kind) + name.name.split(separator: "/").joined(separator: "%2F")
    }

    static func refName(_ kind: RefName.Kind, key: String) -> RefName? {
        guard key.hasPrefix(refs(kind)) else { return nil }
        let stored = key.dropFirst(refs(kind).count)
        let name = stored.split(separator: "%2F", omittingEmptySubsequences: false).joined(separator: "/")
        // A key that no Tarn wrote is not a ref.
        return try? RefName(kind, name)
    }
}
