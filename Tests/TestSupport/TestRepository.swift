import Foundation
package import Logging
import ObjectDatabase
package import ObjectStorage
package import Operations
import ProllyTree
package import Staging
package import Versioning

extension Logger {
    /// Says nothing.
    package static let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
}

package func makeRepository(in store: any ObjectStore = MemoryStore()) throws -> Repository {
    var options = ObjectDatabase.Options()
    options.ioThreads = 2
    return try Repository.create(
        in: store, quirks: .init(quoteIfMatch: true), author: "Test <test@example.org>", options: options,
        logger: .silent)
}

/// The repository in `store` as another process would see it: nothing cached, but for what lies in `cache`.
package func reopen(_ store: any ObjectStore, cache: TemporaryDirectory? = nil) throws -> Repository {
    var options = ObjectDatabase.Options()
    options.ioThreads = 2
    options.cacheDirectory = cache?.path
    return try Repository(opening: store, options: options, logger: .silent)
}

extension RefName {
    package static let main: RefName = {
        guard let name = try? RefName(.branch, "main") else { preconditionFailure("'main' is a name") }
        return name
    }()
}

extension CommitInfo {
    package static func test(_ message: String = "test") -> CommitInfo {
        CommitInfo(author: "Test <test@example.org>", message: message)
    }
}

extension Repository {
    package func head(_ branch: RefName = .main) throws -> CommitID { try database.liveRef(branch).commit }

    /// A workspace of `branch` at its head, in `directory`.
    package func workspace(in directory: String, branch: RefName = .main) throws -> Workspace {
        let info = WorkspaceInfo(
            repositoryID: database.config.id, repositoryLocation: database.store.location, branch: branch.name)
        return try Workspace(directory: directory, info: info, base: try head(branch), logger: .silent)
    }

    /// All bytes of a file of a commit.
    package func bytes(of path: String, in id: CommitID) throws -> [UInt8] {
        let commit = try database.commit(id)
        return try contents(of: database.entry(at: TreePath(parsing: path), in: commit, named: id.hex))
    }

    package func contents(of entry: LocatedEntry) throws -> [UInt8] {
        var bytes: [UInt8] = []
        try forEachBlock(of: entry) { offset, block in
            bytes += [UInt8](repeating: 0, count: Int(offset) - bytes.count)
            bytes += block ?? []
        }
        bytes += [UInt8](repeating: 0, count: Int(entry.entry.sizeBytes) - bytes.count)
        return bytes
    }

    /// Every path of a commit but the root, in the order of keys.
    package func paths(in id: CommitID) throws -> [String] {
        var paths: [String] = []
        try database.tree(database.commit(id).tree).forEachDescendant(of: .root) { path, _ in
            paths.append("\(path)")
            return true
        }
        return paths
    }
}
