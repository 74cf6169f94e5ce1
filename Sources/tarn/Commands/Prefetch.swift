import ArgumentParser
import BlockingIO
import ErrorMessages
import Glibc
import ObjectDatabase
import Operations
import ProllyTree
import VFS
import Versioning

struct PrefetchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prefetch",
        abstract: "Bring files into this host's block cache before they are read.",
        discussion: """
            With a revision or a path of it, or with --glob, everything there is fetched by few large requests, in the order in \
            which the store holds it. What does not fit the cache is refused before anything is fetched. With --order the files that \
            FILE lists are fetched in about that order (files that lie side by side in the store together), as many as fit. All mounts of the repository on this host share the cache.

            With --at, the mount at DIR takes the order: it keeps the next --ahead bytes of it local while a program reads the \
            files in that order, however large the whole is, and begins anew when the first files are read again. (What fits the cache whole is fetched by fewer requests without --at.) A new order \
            replaces the old one. The mount must be a read-only one of one commit. Lines may then be absolute paths below DIR.

            FILE has one path a line, in any bytes ('-' is standard input; with -0, paths end with NUL). A path that is no file \
            of the commit is an error, and nothing is fetched.

              tarn prefetch main:train/images            a directory
              tarn prefetch v1.2 --glob '**.parquet'     at any depth; '*' stops at '/'
              tarn prefetch v1.2 --order shuffled.txt
              find /lake/train -type f | shuf | tarn prefetch --order - --at /lake
            """)

    @Argument(help: "REV[:PATH] (default: the mounted revision, else main).") var revisionPath: String?
    @Option(
        name: .customLong("glob"), help: ArgumentHelp("Only files whose path below PATH matches.", valueName: "glob"))
    var globs: [String] = []
    @Option(help: ArgumentHelp("The files to fetch, in the order in which they will be read.", valueName: "file"))
    var order: String?
    @Flag(name: .customShort("0"), help: "Paths in FILE end with NUL, not with a line break.") var nulSeparated = false
    @Option(help: ArgumentHelp("The mount that is to fetch ahead of its reader.", valueName: "dir")) var at: String?
    @Option(help: ArgumentHelp("How far ahead; at most half the cache (default: 256M).", valueName: "size"))
    var ahead: String?
    @Option(
        name: .customLong("cache-size"),
        help: ArgumentHelp("The most that the block cache takes on disk from now on.", valueName: "size"))
    var cacheSize: String?
    @OptionGroup var repository: RepositoryArguments
    @OptionGroup var json: JSONArguments

    private static let defaultAheadBytes: UInt64 = 256 << 20

    func run() throws {
        if order == nil, at != nil || ahead != nil || nulSeparated {
            throw CommandFailure(message: "--at, --ahead and -0 need --order FILE", kind: .usage)
        }
        if order != nil, !globs.isEmpty {
            throw CommandFailure(message: "--glob and --order do not go together", kind: .usage)
        }
        let aheadBytes =
            try ahead.map { try parseSize($0, of: "look-ahead", atLeast: 1 << 20) } ?? Self.defaultAheadBytes
        if let at {
            guard revisionPath == nil, cacheSize == nil else {
                throw CommandFailure(
                    message: "--at DIR takes the mounted commit and its cache as they are", hint: "Leave the rest out",
                    kind: .usage)
            }
            try handOver(to: at, aheadBytes)
        } else {
            try fetch(partBytes: aheadBytes)
        }
    }

    // MARK: To a mount

    private func handOver(to directory: String, _ aheadBytes: UInt64) throws {
        guard let mount = MountDescription.of(path: directory),
            let place = KernelMount.of(path: unescapedBytes(directory))
        else {
            throw CommandFailure(message: "\(directory) is in no mount of Tarn's", kind: .notFound)
        }
        let top = try TreePath(local: directory + "/.", inMountOf: directory)
        guard mount.workspace == nil, mount.socket != nil,
            let hex = userAttribute(of: unescapedBytes(directory), "user.tarn.commit"),
            let commitID = CommitID(hex: String(decoding: hex, as: UTF8.self))
        else {
            throw CommandFailure(
                message: "the mount at \(mount.mountPoint) takes no order",
                hint: "Mount one commit read-only: tarn mount REPO DIR --ref REV", kind: .usage)
        }
        let point = place.point + [UInt8(ascii: "/")]
        let paths = try readList().map { line in
            line.map {
                $0.starts(with: point)
                    ? place.root + $0.dropFirst(point.count - 1) : top.bytes + [UInt8(ascii: "/")] + $0
            }
        }
        let repository = try repository.open(mount)
        let set = try PrefetchSet(
            of: repository.database, repository.database.commit(commitID), listed: paths, in: .root)
        let ahead = try SnapshotMount(mount: mount).prefetch(set.order, of: commitID, aheadBytes: aheadBytes)
        struct Result: Encodable {
            let commit: String
            let files: Int
            let bytes: UInt64
            let aheadBytes: UInt64
        }
        try json.output.show(Result(commit: commitID.hex, files: set.count, bytes: set.bytes, aheadBytes: ahead)) {
            """
            The mount at \(mount.mountPoint) fetches \(count(set.count, "file")) (\(humanSize(set.bytes))) in this order, \
            \(humanSize(ahead)) ahead of the reader.
            """
        }
    }

    private func unescaped(_ text: String) -> [CChar] { (unescapedBytes(text) + [0]).map { CChar(bitPattern: $0) } }

    // MARK: Into the cache

    private func fetch(partBytes: UInt64) throws {
        let limit = try cacheSize.map { try parseSize($0) }
        let paths = try order.map { _ in try readList() }
        let repository = try repository.open(cacheLimitBytes: limit, needsCache: true)
        try repository.database.refreshCacheTrust()
        let (revision, path) = try splitRevisionPath(revisionPath ?? self.repository.currentRevision())
        let found = try repository.database.resolve(revision)
        _ = try repository.database.entry(at: path, in: found.commit, named: revision)
        let room = repository.database.blockCacheRoomBytes ?? 0
        var set: PrefetchSet
        if let paths {
            set = try PrefetchSet(of: repository.database, found.commit, listed: paths, in: path)
            set.keepWhatFits(limitBytes: room)
            set.gatherNeighbours()
        } else {
            set = try PrefetchSet(
                of: repository.database, found.commit, below: path, matching: globs.map { Glob(unescapedBytes($0)) },
                named: revision)
            if set.count == 0, !globs.isEmpty {
                throw CommandFailure(
                    message: "no file below \(path) of \(revision) matches \(globs.joined(separator: ", "))",
                    hint: "'*' is anything but '/', '**' anything", kind: .notFound)
            }
            try set.checkRoom(limitBytes: room)
        }
        try fetch(set, partBytes, found.commitID, repository)
    }

    private func fetch(_ set: PrefetchSet, _ partBytes: UInt64, _ commitID: CommitID, _ repository: Repository) throws {
        let prefetch = Prefetch(set, in: repository.database)
        let (files, bytes) = (set.count, set.bytes)
        let (_, seconds) = try showingProgress({ prefetch.counts.text(files: files, bytes: bytes, $0) }) {
            try prefetch.run(partBytes: partBytes)
        }
        try show(prefetch, set, commitID, seconds)
    }

    private func show(_ prefetch: Prefetch, _ set: PrefetchSet, _ commitID: CommitID, _ seconds: Double) throws {
        struct FailedJSON: Encodable {
            let path: JSONPath
            let reason: String
        }
        struct Result: Encodable {
            let commit: String
            let files: Int
            let bytes: UInt64
            let fetchedBytes: UInt64
            let requests: UInt64
            let localBytes: UInt64
            let leftOutFiles: Int
            let failedFiles: Int
            let failed: [FailedJSON]
            let seconds: Double
        }
        let counts = prefetch.counts
        let failures = prefetch.failures
        let result = Result(
            commit: commitID.hex, files: counts.files, bytes: counts.bytes, fetchedBytes: counts.fetchedBytes,
            requests: counts.requests, localBytes: counts.localBytes, leftOutFiles: set.leftOutFiles,
            failedFiles: failures.count,
            failed: failures.named.map { FailedJSON(path: JSONPath($0.path), reason: $0.reason) }, seconds: seconds)
        try json.output.show(result) {
            var text: TerminalText = """
                \(count(counts.files, "file")) (\(humanSize(counts.bytes))) of \(commitID.hex.prefix(12)) in \
                \(oneDecimal(seconds)) s: fetched \(humanSize(counts.fetchedBytes)) by \
                \(count(Int(counts.requests), "request")), \(humanSize(counts.localBytes)) were here already.
                """
            if set.leftOutFiles > 0 {
                text +=
                    "\nThe last \(count(set.leftOutFiles, "file")) of the list do not fit the cache (see --cache-size)."
            }
            return text
        }
        for failure in failures.named { writeError("tarn: could not fetch \(failure.path): \(failure.reason)") }
        if failures.count > 0 {
            throw CommandFailure(
                message: "\(count(failures.count, "file")) could not be fetched",
                hint: "'tarn fsck --read-data' names everything that is damaged")
        }
    }

    // MARK: The list

    private static let maximumListBytes = 4 << 30

    /// The lines of the list; `nil` for blank ones.
    private func readList() throws -> [[UInt8]?] {
        let name = order ?? "-"
        let descriptor = name == "-" ? STDIN_FILENO : Glibc.open(unescaped(name), O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw ObjectDatabaseError.localIO(path: name, errno: errno) }
        defer { if name != "-" { close(descriptor) } }
        let bytes: [UInt8]?
        do throws(Errno) {
            bytes = try readToEnd(descriptor, limitBytes: Self.maximumListBytes)
        } catch {
            throw ObjectDatabaseError.localIO(path: name, errno: error.code)
        }
        guard let bytes else {
            throw CommandFailure(message: "\(name) is longer than \(humanSize(UInt64(Self.maximumListBytes)))")
        }
        return bytes.split(separator: nulSeparated ? 0 : UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            .map { $0.isEmpty ? nil : Array($0) }
    }
}

extension Prefetch.Counts {
    /// Files, bytes, rate and time left, of a set of so many.
    fileprivate func text(files setFiles: Int, bytes setBytes: UInt64, _ seconds: Double) -> TerminalText {
        let here = min(setBytes, max(bytes, fetchedBytes + localBytes))
        let rate = seconds > 0 ? Double(fetchedBytes) / seconds : 0
        var text: TerminalText =
            "\(files)/\(setFiles) files  \(humanSize(here))/\(humanSize(setBytes))  \(humanSize(UInt64(rate)))/s"
        if rate > 0, setBytes > here { text += "  \(Int(Double(setBytes - here) / rate) + 1) s left" }
        return text
    }
}
