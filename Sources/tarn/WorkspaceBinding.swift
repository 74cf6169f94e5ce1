import BlockingIO
import ErrorMessages
import FoundationEssentials
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

/// Makes sure that a workspace belongs to the repository at `location`: a copy of a repository has the same id, and must not
/// take the staged changes of the original. The first use says where it belongs.
///
/// - Parameter isAdopting: the repository was moved, and the workspace goes with it.
func bindWorkspace(_ directory: String, to location: String, adopting isAdopting: Bool) throws {
    let path = directory + "/location"
    if let data = FileManager.default.contents(atPath: path) {
        let known = String(decoding: data, as: UTF8.self)
        if known == location { return }
        guard isAdopting else {
            throw CommandFailure(
                message:
                    "the workspace \(directory) belongs to the repository at \(known), not to the one at \(location)",
                hint: """
                    A copy needs workspaces of its own: mount with -o workspace=NAME. If the repository itself was moved, \
                    mount it with --write --adopt-workspace
                    """, kind: .refused)
        }
    }
    do {
        try Data(location.utf8).write(to: URL(filePath: path), options: .atomic)
    } catch {
        throw SystemFailure(path: path)
    }
}
