package import Versioning

/// What to do about an object of the repository that is damaged, missing or too large. Commits, nodes, lists, packs and ref
/// updates are fetched again from a mirror; each kind of the others has its own way.
package func hint(forObject key: String) -> TerminalText {
    switch key.prefix(while: { $0 != "/" }) {
    case "leases":
        "It may protect what is in use, so nothing is deleted beside it. When no mount, import, commit or mirror of this "
            + "repository is running, delete the object with the store's own tool, and try again"
    case "queue":
        "It decides only who comes first: delete the object with the store's own tool"
    case "gc":
        "When no 'tarn gc' is running, put an older version of the object back, or delete it with the store's own tool and "
            + "run 'tarn cache clear' on every host; then try again"
    case "collected":
        "Put an older version of the object back. Without one, delete it with the store's own tool and run "
            + "'tarn gc --delete', which notes again what the rules let go"
    case "moved":
        "Put an older version of the object back: it says where blocks lie since a pack was rewritten. 'tarn fsck' names "
            + "the paths"
    case "refs":
        "Put it back from a version of the bucket or from a mirror. 'tarn fsck' names everything that it affects"
    case "tarn.json": "Put it back from a version of the bucket"
    default:
        "'tarn fsck --read-data' names everything that it affects; 'tarn fsck --repair --from MIRROR' fetches it again"
    }
}
