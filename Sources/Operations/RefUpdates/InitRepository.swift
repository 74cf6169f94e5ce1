import FoundationEssentials
package import Logging
package import ObjectDatabase
package import ObjectStorage
import ProllyTree
import Versioning

extension Repository {
    package static let defaultBranch = "main"

    /// Throws `.occupied` when something lies in `store` that is no repository: its objects would stand among others.
    package static func refuseOccupied(_ store: any ObjectStore) throws {
        guard try store.find(ObjectKeys.config) == nil else { return }
        do {
            guard try store.list(prefix: "", after: nil, limit: 1).objects.isEmpty else {
                throw RepositoryError.occupied(location: store.location)
            }
        } catch StoreError.notFound {
            // Nothing is there to be listed.
        }
    }

    /// Makes a repository in an empty `store`: `tarn.json`, an empty first commit and the branch `main`.
    ///
    /// 1. Probe the store for compare-and-swap; refuse one without.
    /// 2. Write `tarn.json` on condition that there is none.
    /// 3. Write the empty tree and the first commit.
    /// 4. Create `main`.
    ///
    /// Throws `.unsafeStore`, `.alreadyARepository`. When it was interrupted after step 2, running it again finishes
    /// it.
    package static func create(
        in store: any ObjectStore, quirks: RepositoryConfig.StoreQuirks, author: String,
        options: ObjectDatabase.Options = ObjectDatabase.Options(),
        hookRunner: (any HookRunner)? = nil, logger: Logger
    ) throws -> Repository {
        var config = RepositoryConfig(id: UUID(), created: now(), store: quirks)
        do {
            _ = try store.put(ObjectKeys.config, encodeRecord(config), .absent)
        } catch .preconditionFailed {
            config = try RepositoryConfig.load(from: store)
            let found = try ObjectDatabase(store: store, config: config, options: options, logger: logger)
            guard try found.readRef(.branch(defaultBranch)) == nil else {
                throw RepositoryError.alreadyARepository(location: store.location)
            }
        }
        let database = try ObjectDatabase(store: store, config: config, options: options, logger: logger)
        let root = LocatedEntry(Entry(kind: .directory, mode: 0o755, modified: config.created))
        let tree = try SnapshotTree.build([root.item(at: .root)], in: database.nodes)
        try database.flush()
        let commit = try database.saveCommit(
            Commit(
                tree: tree.root, parents: [], author: author, committer: author, time: config.created,
                message: "Create the repository", metadata: [:], generation: 1,
                counts: Commit.Counts(directories: 1)))
        let move = RefUpdateRequest(
            ref: try .branch(defaultBranch), operation: .create, old: nil, new: commit, who: author,
            why: "Create the repository")
        let repository = Repository(database, hookRunner: hookRunner)
        _ = try repository.perform(repository.authorize(move), from: nil)
        return repository
    }
}
