import ArgumentParser
import FoundationEssentials
import ObjectDatabase
import ObjectStorage
import Operations
import Versioning

struct Init: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make a repository.",
        discussion: """
            REPO is a directory (made if it is missing) or s3://bucket[/prefix] (the bucket must exist). The store is first tried for \
            conditional writes, without which concurrent commits could overwrite each other; a store that ignores them is refused. \
            The new repository has one empty commit and the branch 'main'.
            """)

    @Argument(help: "Where: a directory, file://… or s3://bucket[/prefix].") var repo: String
    @OptionGroup var store: StoreArguments
    @OptionGroup var author: AuthorArguments
    @OptionGroup var json: JSONArguments

    func run() throws {
        let author = try author.resolve()
        let base = try store.open(repo, creating: true)
        try Repository.refuseOccupied(base)
        guard case .safe(let quirks) = try probe(base) else { return }
        let opened = try openStore(
            StoreLocation.parse(repo), options: store.storeOptions(quoteIfMatch: quirks.quoteIfMatch))
        let repository = try Repository.create(
            in: opened, quirks: .init(quoteIfMatch: quirks.quoteIfMatch), author: author,
            options: store.databaseOptions(), hookRunner: CommandHookRunner(store: store), logger: store.logger())
        struct Result: Encodable {
            let repository: String
            let id: String
            let branch: String
        }
        let result = Result(
            repository: repository.database.store.location, id: repository.database.config.id.uuidString.lowercased(),
            branch: Repository.defaultBranch)
        try json.output.show(result) {
            """
            Made a repository at \(result.repository) with the empty branch 'main'.
            Next: tarn import DIR --repo \(repo) -m "First load"
            """
        }
    }

    private func probe(_ store: any ObjectStore) throws -> ProbeResult {
        let result = try probeCompareAndSwap(store, prefix: "")
        if case .unsafe(let reason) = result {
            throw ObjectDatabaseError.unsafeStore(location: store.location, reason: reason)
        }
        return result
    }
}
