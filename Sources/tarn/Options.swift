import ArgumentParser
import ErrorMessages
import FoundationEssentials
import Glibc
import Logging
import ObjectDatabase
import ObjectStorage
import Operations
import Synchronization
import Versioning

struct StoreArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "S3 endpoint, if not AWS (default: $AWS_ENDPOINT_URL_S3, $AWS_ENDPOINT_URL).", valueName: "url"))
    var endpoint: String?

    @Option(help: ArgumentHelp("S3 region (default: $AWS_REGION, the profile's).", valueName: "name"))
    var region: String?

    @Option(help: ArgumentHelp("Seconds until a store that does not answer is given up.", valueName: "seconds"))
    var timeout: Double = 60

    @Option(
        name: .customLong("cache-dir"),
        help: ArgumentHelp("Where the block cache lies (default: $TARN_CACHE_DIR, ~/.cache/tarn).", valueName: "dir"))
    var cacheDirectory: String?

    @Flag(name: .shortAndLong, help: "Say more on stderr.")
    var verbose = false
}

struct RepositoryArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The repository: a directory, file://… or s3://bucket[/prefix] (default: the mount you are in, $TARN_REPO).",
            valueName: "repo"))
    var repo: String?

    @OptionGroup var store: StoreArguments
}

struct JSONArguments: ParsableArguments {
    @Flag(help: "Print JSON.")
    var json = false

    var output: Output { Output(json: json) }
}

struct MetadataArguments: ParsableArguments {
    @Option(name: .customLong("metadata"), help: ArgumentHelp("Metadata to record.", valueName: "key=value"))
    var metadata: [String] = []

    /// The value of each key. Throws when an argument is not `key=value`.
    func parsed() throws -> [String: String] {
        var values: [String: String] = [:]
        for pair in metadata {
            guard let cut = pair.firstIndex(of: "="), cut != pair.startIndex else {
                throw CommandFailure(
                    message: "'\(pair)' is no metadata", hint: "Write --metadata key=value", kind: .usage)
            }
            values[String(pair[..<cut])] = String(pair[pair.index(after: cut)...])
        }
        return values
    }
}

struct AuthorArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Who you are: 'Name <email>' (default: $TARN_AUTHOR, git's user.name and user.email).", valueName: "author")
    )
    var author: String?

    /// `Name <address>`, in the one way to write it. Throws when nobody can be found: an audit trail needs a person.
    func resolve() throws -> String {
        let found = try find()
        guard let author = Author(parsing: found) else {
            throw CommandFailure(
                message: "'\(found)' cannot be an author: it is not a name and an address",
                hint: "Write 'Name <email>' on one line, with an address of ASCII letters", kind: .usage)
        }
        return "\(author)"
    }

    private func find() throws -> String {
        if let author = author ?? environment("TARN_AUTHOR") { return author }
        let name = environment("GIT_AUTHOR_NAME") ?? gitConfig("user.name")
        let email = environment("GIT_AUTHOR_EMAIL") ?? gitConfig("user.email")
        if let name, let email { return "\(name) <\(email)>" }
        throw CommandFailure(
            message: "who are you?",
            hint: "Set TARN_AUTHOR='Name <email>', give --author, or set git's user.name and user.email", kind: .usage)
    }
}

/// An environment variable that is set and not empty.
func environment(_ name: String) -> String? {
    guard let value = getenv(name) else { return nil }
    let text = String(cString: value)
    return text.isEmpty ? nil : text
}

/// A value of git's configuration; `nil` without git or without a value.
private func gitConfig(_ key: String) -> String? {
    let found = try? runFilter(["git", "config", "--get", key])
    guard let found, found.code == 0, let line = found.output.split(separator: UInt8(ascii: "\n")).first else {
        return nil
    }
    return String(decoding: line, as: UTF8.self)
}

func makeLogger(verbose: Bool) -> Logger {
    Logger(label: "tarn", factory: { _ in StandardErrorLog(logLevel: verbose ? .debug : .notice) })
}

extension StoreArguments {
    func logger() -> Logger { makeLogger(verbose: verbose) }

    func open(_ location: String, creating: Bool = false) throws -> any ObjectStore {
        try openStore(StoreLocation.parse(location), options: storeOptions(quoteIfMatch: false, creating: creating))
    }

    func storeOptions(quoteIfMatch: Bool, creating: Bool = false) -> StoreOptions {
        var options = StoreOptions()
        options.endpoint = endpoint
        options.region = region
        options.timeoutSeconds = timeout
        options.quirks = S3Quirks(quoteIfMatch: quoteIfMatch)
        options.create = creating
        return options
    }

    /// The user's signature goes on every record.
    func databaseOptions() -> ObjectDatabase.Options {
        var options = ObjectDatabase.Options()
        options.signer = environment("TARN_SIGNING_KEY").map(SSHSigner.init)
        return options
    }

    /// Opens the repository at `location`, with the store's quirks that `init` found.
    ///
    /// - Parameter needsCache: a block cache that cannot be opened is an error; otherwise it is a warning.
    func openRepository(
        _ location: String, cacheLimitBytes: UInt64? = nil, usesCache: Bool = true, needsCache: Bool = false
    ) throws -> Repository {
        var options = databaseOptions()
        options.needsCache = needsCache
        options.cacheDirectory = usesCache ? try cacheDirectory ?? HostDirectories.cache() : nil
        options.cacheLimitBytes = cacheLimitBytes
        let parsed = try StoreLocation.parse(location)
        let first = try openStore(parsed, options: storeOptions(quoteIfMatch: false))
        let config = try RepositoryConfig.load(from: first)
        let store = config.store.quoteIfMatch ? try openStore(parsed, options: storeOptions(quoteIfMatch: true)) : first
        let database = try ObjectDatabase(
            store: MeteredStore(store), config: config, options: options, logger: logger())
        if let failure = database.cacheFailure {
            database.logger.warning("\(logLine(of: failure)); reading on without one")
        }
        return Repository(
            database, hookRunner: CommandHookRunner(store: self),
            verifier: environment("TARN_ALLOWED_SIGNERS").map(AllowedSigners.init))
    }
}

extension RepositoryArguments {
    /// The repository that the arguments, the environment or the current directory name.
    ///
    /// - Parameters:
    ///   - cacheLimitBytes: what the block cache may take from now on; `nil` leaves its limit.
    ///   - needsCache: see `openRepository`.
    func open(cacheLimitBytes: UInt64? = nil, needsCache: Bool = false) throws -> Repository {
        if let mount = mountHere() {
            return try open(mount, cacheLimitBytes: cacheLimitBytes, needsCache: needsCache)
        }
        if let location = repo ?? environment("TARN_REPO") {
            return try store.openRepository(location, cacheLimitBytes: cacheLimitBytes, needsCache: needsCache)
        }
        throw CommandFailure(
            message: "which repository?", hint: "Give --repo, set TARN_REPO, or go into a mounted tree", kind: .usage)
    }

    /// The mount that this process stands in. It wins over `TARN_REPO`; `nil` when `--repo` names another repository. That they
    /// differ is said.
    func mountHere() -> MountDescription? {
        guard let mount = MountDescription.ofCurrentDirectory() else { return nil }
        let named = repo ?? environment("TARN_REPO")
        guard let named, !Self.isSame(named, mount.repository) else { return mount }
        let isTold = Self.isMismatchTold.withLock { isTold in
            defer { isTold = true }
            return isTold
        }
        if !isTold {
            writeError(
                repo == nil
                    ? "tarn: you are in a mount of \(mount.repository), which counts, and not TARN_REPO (\(named))"
                    : "tarn: you are in a mount of \(mount.repository); --repo names \(named), which counts")
        }
        return repo == nil ? mount : nil
    }

    /// The revision that a command is about when none is named: the commit that the mount here shows, else `main`.
    func currentRevision() -> String {
        guard let mount = mountHere() else { return Repository.defaultBranch }
        let shown = userAttribute(of: Array(".".utf8), "user.tarn.commit").map { String(decoding: $0, as: UTF8.self) }
        return shown ?? mount.revision ?? Repository.defaultBranch
    }

    private static let isMismatchTold = Mutex(false)

    private static func isSame(_ left: String, _ right: String) -> Bool {
        func place(_ text: String) -> StoreLocation? {
            // What names no place is told when it is opened.
            guard let parsed = try? StoreLocation.parse(text) else { return nil }
            guard case .directory(let path) = parsed else { return parsed }
            return .directory(realPath(unescapedBytes(path)).map { escapedText($0) } ?? path)
        }
        return place(left) == place(right)
    }

    /// The mounted repository, reached as the mount reaches it.
    func open(
        _ mount: MountDescription, cacheLimitBytes: UInt64? = nil, needsCache: Bool = false
    ) throws -> Repository {
        try reaching(mount).openRepository(
            mount.repository, cacheLimitBytes: cacheLimitBytes, needsCache: needsCache)
    }

    /// The store as the mount reaches it.
    func reaching(_ mount: MountDescription) -> StoreArguments {
        var arguments = store
        arguments.endpoint = arguments.endpoint ?? mount.endpoint
        arguments.region = arguments.region ?? mount.region
        return arguments
    }
}
