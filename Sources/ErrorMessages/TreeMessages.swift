import ProllyTree
import Versioning

func message(_ error: TreeError) -> ErrorMessage {
    switch error {
    case .missing(let id): ErrorMessage(message: "tree node \(id) is missing", hint: "Run 'tarn fsck'")
    case .corrupt(let id, let reason):
        ErrorMessage(message: "tree node \(id) is corrupt: \(reason)", hint: "Run 'tarn fsck'")
    case .unreadable(_, let reason), .unwritable(_, let reason):
        message(of: reason) ?? ErrorMessage(message: logLine(of: reason))
    }
}

func message(_ error: VersioningError) -> ErrorMessage {
    switch error {
    case .tree(let error): message(error)
    case .badEntry(let key, let reason):
        ErrorMessage(
            message: "the tree's entry \(printableKey(key)) does not decode: \(reason)",
            hint: "'tarn fsck' names the commits that have it")
    }
}
