import ObjectDatabase
import ObjectStorage
import ProllyTree
import Versioning

/// Which object of the repository an error is about, and what is wrong with it. Whoever checks notes it and goes on.
struct ObjectFault: Hashable {
    let object: String
    let reason: String

    init(object: String, reason: String) {
        self.object = object
        self.reason = reason
    }

    /// - Parameter key: what was being read; the error may be about another object that it leads to.
    init(_ error: any Error, reading key: String) {
        object = Self.object(of: error) ?? key
        reason = Repository.reason(error)
    }

    /// The object that is damaged, missing or not for this program; `nil` for an error that is about something else, as a store
    /// that does not answer.
    static func object(of error: any Error) -> String? {
        switch error {
        case ObjectDatabaseError.corrupt(let object, _), ObjectDatabaseError.missingObject(let object, _),
            ObjectDatabaseError.newerFormat(let object, _, _):
            object
        case ObjectDatabaseError.store(let error): object(of: error)
        case StoreError.tooLarge(let key, _), StoreError.notFound(let key), StoreError.rangeNotSatisfiable(let key): key
        case TreeError.missing(let id), TreeError.corrupt(let id, _): ObjectKeys.node(id)
        case TreeError.unreadable(_, let cause), TreeError.unwritable(_, let cause): object(of: cause)
        case VersioningError.tree(let error): object(of: error)
        default: nil
        }
    }

    /// Whether a tree, or a part of it, is not there or damaged.
    static func isMissingTree(_ error: any Error) -> Bool {
        switch error {
        case TreeError.missing, TreeError.corrupt, VersioningError.tree(.missing), VersioningError.tree(.corrupt),
            ObjectDatabaseError.collected, ObjectDatabaseError.missingObject:
            true
        case TreeError.unreadable(_, let cause), VersioningError.tree(.unreadable(_, let cause)): isMissingTree(cause)
        default: false
        }
    }
}
