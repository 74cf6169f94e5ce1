import ArgumentParser
import BlockCache
import Glibc
import ObjectDatabase
import Operations
import ProllyTree
import Versioning

struct CacheCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cache", abstract: "The block cache of a repository on this host.",
        discussion: """
            All mounts and commands of this user share it. Its limit is kept with it (10G at first) and changes only by 'tarn cache \
            set' and by --cache-size, for all at once.
            """,
        subcommands: [CacheStatusCommand.self, CacheSet.self, CacheClear.self],
        defaultSubcommand: CacheStatusCommand.self)

    struct CacheStatusCommand: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "status", abstract: "Show how full it is.")
        @OptionGroup var repository: RepositoryArguments
        @OptionGroup var json: JSONArguments

        func run() throws {
            let repository = try repository.open(needsCache: true)
            struct Result: Encodable {
                let usedBytes: UInt64
                let limitBytes: UInt64
                let segments: Int
                let objects: Int
            }
            guard let status = repository.database.cache?.status() else { return }
            let result = Result(
                usedBytes: status.usedBytes, limitBytes: status.limitBytes, segments: status.segments,
                objects: status.objects)
            try json.output.show(result) { "\(humanSize(result.usedBytes)) of \(humanSize(result.limitBytes)) used" }
        }
    }

    struct CacheSet: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "set", abstract: "Say how much it may take; what is beyond that is evicted at once.")
        @Option(help: ArgumentHelp("The most that it takes on disk: 512M, 10G.", valueName: "size")) var size: String
        @OptionGroup var repository: RepositoryArguments
        @OptionGroup var json: JSONArguments

        func run() throws {
            let opened = try repository.open(cacheLimitBytes: try parseSize(size), needsCache: true)
            struct Result: Encodable {
                let limitBytes: UInt64
            }
            let limit = opened.database.cache?.limitBytes ?? 0
            try json.output.show(Result(limitBytes: limit)) { "The block cache takes at most \(humanSize(limit))." }
        }
    }

    struct CacheClear: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "clear", abstract: "Empty it; live mounts go on and fetch again.")
        @OptionGroup var repository: RepositoryArguments

        func run() throws { try repository.open(needsCache: true).database.cache?.clear() }
    }
}
