import BlockingIO
import ObjectDatabase
import ProllyTree
import Versioning

func message(_ error: ObjectDatabaseError) -> ErrorMessage {
    switch error {
    case .notARepository(let location):
        ErrorMessage(
            message: "there is no Tarn repository at \(location)", hint: "Make one with 'tarn init \(location)'",
            kind: .notFound)
    case .newerFormat(let object, let found, let supported):
        ErrorMessage(
            message: "\(object) has format \(found), and this tarn knows formats up to \(supported)",
            hint: "Install a newer tarn. If no tarn has written it, it is damaged. \(hint(forObject: object))")
    case .unsafeStore(let location, let reason):
        ErrorMessage(
            message: "\(location) cannot hold a repository: \(reason)",
            hint:
                "Concurrent commits would be lost there; use a store with conditional writes (If-Match, If-None-Match)")
    case .refNotFound(let name):
        ErrorMessage(
            message: "there is no \(name.kind == .branch ? "branch" : "tag") '\(name.name)'",
            hint: "'tarn \(name.kind == .branch ? "branch" : "tag") list' shows what there is", kind: .notFound)
    case .revisionNotFound(let text):
        ErrorMessage(
            message: "'\(text)' is no branch, tag or commit here",
            hint: "See 'tarn branch list', 'tarn tag list' and 'tarn log'", kind: .notFound)
    case .notThereYet(let ref, let text, let since):
        ErrorMessage(
            message: "'\(text)' names no commit: '\(ref.name)' begins at \(since.rfc3339.prefix(19))Z",
            hint: "'tarn audit log --ref \(ref.name)' shows where it was when", kind: .notFound)
    case .ambiguousRevision(let text, let candidates):
        ErrorMessage(
            message: "'\(text)' is the beginning of several commits: \(candidates.joined(separator: ", "))",
            hint: "Give more digits", kind: .usage)
    case .badRevision(let fault):
        ErrorMessage(message: "'\(fault.text)' is no revision: \(fault.reason)", kind: .usage)
    case .noParent(let id, let number):
        ErrorMessage(message: "commit \(id.hex.prefix(12)) has no parent \(number)", kind: .notFound)
    case .pathNotFound(let path, let revision):
        ErrorMessage(message: "there is no '\(path)' in \(revision)", kind: .notFound)
    case .corrupt(let object, let reason):
        ErrorMessage(message: "\(object) is corrupt: \(reason)", hint: hint(forObject: object))
    case .missingObject(let object, let neededBy):
        ErrorMessage(message: "\(object) is missing, needed by \(neededBy)", hint: hint(forObject: object))
    case .localIO(let path, let number): message(path: path, number)
    case .sourceUnusable(let path, let reason): ErrorMessage(message: "\(path): \(reason)")
    case .store(let error): message(error)
    case .collected(_, let record):
        ErrorMessage(
            message:
                "the data of commit \(record.commits.map { String($0.hex.prefix(12)) }.joined(separator: ", ")) was collected "
                + "by gc on \(record.when.rfc3339.prefix(19))Z under \(record.rule)",
            hint: "Its record is still in the log; a mirror may have its data", kind: .notFound)
    case .isMirror(let location, let source):
        ErrorMessage(
            message: "\(location) is a mirror of \(source), which takes no commits of its own",
            hint: "Commit there, or make this a repository of its own: tarn mirror --promote \(location)",
            kind: .refused)
    case .leaseLost(let age):
        ErrorMessage(
            message:
                "the lease on what was uploaded was last renewed \(age.wholeSeconds / 3600) hours ago, or was taken away, so that it may be gone",
            hint: "Nothing was changed; run the command again")
    case .interrupted: ErrorMessage(message: "interrupted")

    }
}
