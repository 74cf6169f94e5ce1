import BlockingIO
import ErrorMessages
import Glibc
import ObjectDatabase
import ObjectStorage
import Operations
import Versioning

extension Repository {
    /// Where the repository is, in one way of writing: the real path of a directory; bucket, prefix and endpoint in S3.
    func canonicalLocation(_ store: StoreArguments) throws -> String {
        let location = database.store.location
        if location.hasPrefix("s3://") {
            let endpoint =
                store.endpoint ?? environment("AWS_ENDPOINT_URL_S3") ?? environment("AWS_ENDPOINT_URL") ?? "AWS"
            return "\(location) at \(endpoint)"
        }
        return realPath(Array(location.utf8)).map { escapedText($0) } ?? location
    }
}

/// To which repository a workspace belongs, as its file `location` says. A copy of a repository has the same id, and must not take
/// the staged changes of the original.
enum WorkspaceBinding {
    /// It was never used so far.
    case none
    case to(String)
    /// The file is there, and does not say it.
    case unreadable(path: String, reason: String)

    private static let maximumBytes = 16 << 10

    init(of directory: String) {
        let path = directory + "/location"
        do {
            guard let bytes = try readSmallFile(path, limitBytes: Self.maximumBytes) else {
                self = .none
                return
            }
            let text = String(decoding: bytes, as: UTF8.self)
            let isLocation = (text.hasPrefix("/") || text.hasPrefix("s3://")) && Array(text.utf8) == bytes
            self = isLocation ? .to(text) : .unreadable(path: path, reason: "it names no repository")
        } catch {
            self = .unreadable(path: path, reason: Errno(code: error.errno).text)
        }
    }

    /// Why commands on the repository at `location` must not touch the workspace; `nil` when they may.
    func refusal(_ name: TerminalText, at location: String) -> CommandFailure? {
        switch self {
        case .none: return nil
        case .to(let known):
            if known == location { return nil }
            return CommandFailure(
                message: "the workspace \(name) belongs to the repository at \(known), not to the one at \(location)",
                hint: """
                    A copy needs workspaces of its own: mount with -o workspace=NAME. If the repository itself was moved, \
                    mount it with --write --adopt-workspace
                    """, kind: .refused)
        case .unreadable(let path, let reason):
            return CommandFailure(
                message: "the workspace \(name) does not say to which repository it belongs: \(path): \(reason)",
                hint: "If it is this one, mount it with --write --adopt-workspace, which writes the file anew",
                kind: .refused)
        }
    }
}

/// Makes sure that a workspace belongs to the repository at `location`. The first use says where it belongs.
///
/// - Parameter isAdopting: the repository was moved, and the workspace goes with it.
func bindWorkspace(_ directory: String, to location: String, adopting isAdopting: Bool) throws {
    let binding = WorkspaceBinding(of: directory)
    if case .to(location) = binding { return }
    if !isAdopting, let refusal = binding.refusal("\(directory)", at: location) { throw refusal }
    try replaceFile(directory + "/location", with: Array(location.utf8))
}
