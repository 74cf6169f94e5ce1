import ArgumentParser
import BlockingIO
import CLinux
import ErrorMessages
import FUSEServer
import Glibc
import Logging
import ObjectDatabase
import ObjectStorage
import Operations
import ProllyTree
import Staging
import Synchronization
import VFS
import Versioning

struct Mount: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show a commit, a branch or the whole repository as a directory tree.",
        discussion: """
            Without --ref, DIR has branches/, tags/ and commits/<id>/. With --ref it is that commit, read-only: it does not move when \
            the branch does, unless --follow says so: then DIR shows each new head of the branch, always one commit whole; files \
            and directories that are open stay on the commit they were opened on. With --write, --ref must be a branch, and what is written is staged in a workspace that survives unmount \
            and restart; see 'tarn status' and 'tarn commit'.

            The command returns when the mount is up and leaves a process behind; 'tarn umount DIR' ends it. \
            With -f it stays, and ends by SIGTERM or ^C. The log of a mount in the background is \
            ~/.local/state/tarn/log/<process id>.log.

            Options for -o, separated by commas:
              allow_other      other users may look (needs root or user_allow_other in /etc/fuse.conf)
              workspace=NAME   a second writable mount of one branch needs a workspace of its own
              poll=SECONDS     how often --follow looks for a new head (default 2)
              open=HOW         of a read-only mount: 'none' opens files without asking the mount, best for small files; 'passthrough'
                               lets the kernel read large files that are whole in the block cache by itself, at the speed of the disk
                               (Linux 6.9, root); 'auto', the default, chooses by the mean size of the commit's files
              upload=background  upload staged files before the commit, once nothing was written to them for some seconds
              owners=keep      a file of another user than the one who mounts records its owner (the default)
              owners=squash    everything belongs to whoever mounts; chown is refused
            """)

    @Argument(help: "The repository.") var repo: String
    @Argument(help: "An empty directory.") var directory: String
    @Option(name: .customLong("ref"), help: .init("The branch, tag or commit to show.", valueName: "rev"))
    var revision: String?
    @Flag(help: "Let the branch be changed; changes are staged until you commit.") var write = false
    @Flag(help: "Move to the branch's new head by itself (see -o poll).") var follow = false
    @Option(name: .customShort("o"), help: .init("Mount options.", valueName: "options")) var options: [String] = []
    @Flag(
        name: .customLong("adopt-workspace"),
        help: "Take over the workspace of a repository that was moved here from another location (with --write).")
    var adoptsWorkspace = false
    @Flag(name: [.customShort("f"), .long], help: "Stay in the foreground.") var foreground = false
    @Option(
        name: .customLong("cache-size"),
        help: ArgumentHelp("The most that the block cache takes on disk from now on.", valueName: "size"))
    var cacheSize: String?
    @Option(name: .customLong("ready-descriptor"), help: .hidden) var readyDescriptor: Int32?
    @OptionGroup(visibility: .hidden) var internals: InternalMountArguments
    @OptionGroup var store: StoreArguments

    func run() throws {
        let parsed = try MountOptions(options)
        let mountPoint = try checkMountPoint()
        guard !write || revision != nil else {
            throw CommandFailure(message: "--write needs --ref BRANCH", kind: .usage)
        }
        let owned = try readyDescriptor == nil ? nil : internals.owner.map(OwnedMount.init)
        defer { owned?.leaveNothing(mountPoint, internals.record, internals.recordReceipt) }
        guard !follow || (revision != nil && !write) else {
            throw CommandFailure(
                message: "--follow needs --ref BRANCH and no --write",
                hint: "In a writable mount, 'tarn update' takes the branch's new head", kind: .usage)
        }
        if foreground || readyDescriptor != nil {
            try serve(mountPoint, parsed)
        } else {
            try Daemon.spawn()
            if internals.owner == nil, let revision { tellCommit(shownAt: mountPoint, revision) }
        }
    }

    /// The mount point's absolute path. It must be an empty directory, unless one program alone sees the mount; FUSE must be there.
    private func checkMountPoint() throws -> String {
        guard let resolved = realpath(directory, nil) else {
            throw CommandFailure(
                message: "the mount point \(directory) does not exist", hint: "Make it first: mkdir \(directory)",
                kind: .notFound)
        }
        defer { free(resolved) }
        let path = String(cString: resolved)
        guard let stream = try openMountPoint(path) else {
            throw CommandFailure(
                message: "the mount point \(directory) cannot be used: \(String(cString: strerror(errno)))")
        }
        defer { closedir(stream) }
        let hides = internals.owner != nil
        if !hides, KernelMount.at(Array(path.utf8)) != nil {
            throw CommandFailure(
                message: "\(directory) is mounted already", hint: "Unmount it: tarn umount \(directory)")
        }
        var names = 0
        while readdir(stream) != nil { names += 1 }
        guard hides || names <= 2 else {
            throw CommandFailure(
                message: "the mount point \(directory) is not empty", hint: "Choose an empty directory")
        }
        guard access("/dev/fuse", R_OK | W_OK) == 0 else {
            let code = errno
            throw CommandFailure(
                message: "/dev/fuse cannot be used: \(String(cString: strerror(code)))",
                hint: code == EACCES || code == EPERM
                    ? "This user may not use it: ask for membership of the group that 'ls -l /dev/fuse' shows"
                    : "Load the fuse module (modprobe fuse); in a container, give it --device /dev/fuse")
        }
        guard Self.hasFusermount() else {
            throw CommandFailure(message: "fusermount3 is not installed", hint: "Install it: apt install fuse3")
        }
        return path
    }

    /// The directory, after a mount that lies there without its process, which was killed, was taken away; `nil` with errno.
    private func openMountPoint(_ path: String) throws -> OpaquePointer? {
        if let stream = opendir(path) { return stream }
        let failure = errno
        guard failure == ENOTCONN, KernelMount.at(Array(path.utf8)) != nil, try Unmounting.takeAway(Array(path.utf8))
        else {
            errno = failure
            return nil
        }
        writeError("tarn: the mount that was at \(directory) had ended without being unmounted; it was taken away")
        return opendir(path)
    }

    private static func hasFusermount() -> Bool {
        (environment("PATH") ?? "/usr/bin:/bin").split(separator: ":").contains {
            access("\($0)/fusermount3", X_OK) == 0
        }
    }

    private func serve(_ mountPoint: String, _ options: MountOptions) throws {
        tarn_return_large_memory()
        raiseDescriptorLimit()
        let logger = store.logger()
        let limit = try cacheSize.map { try parseSize($0) }
        let repository = try store.openRepository(repo, cacheLimitBytes: limit)
        let resolved = try revision.map { try repository.database.resolve($0) }
        // A tree that cannot be read is better refused here than shown as a directory full of errors.
        if let resolved { _ = try repository.database.tree(resolved.commit.tree).entry(at: .root) }
        let served: Served =
            if write, let resolved { try serveBranch(repository, resolved, mountPoint, options, logger) } else {
                try serveCommit(repository, resolved, mountPoint, options, logger)
            }
        var serverOptions = FUSEServer.Options(source: "tarn#\(repository.database.store.location)")
        serverOptions.allowsOthers = options.allowsOthers
        let started = now()
        let control = served.control
        serverOptions.statistics = { session in
            encodeRecord(
                MountStatistics(repository, mountPoint, socket: control?.path, since: started, session))
        }
        defer { served.end() }
        try FUSEServer.run(served.fileSystem, at: mountPoint, serverOptions, logger: logger) {
            if let readyDescriptor { Daemon.reportReady(readyDescriptor) }
            logger.notice("mounted \(repository.database.store.location) \(revision ?? "") at \(mountPoint)")
        }
    }

    /// A killed mount loses at most what was written and not flushed for so long.
    private static let saveSeconds = 5.0

    private static let openWorkspaces = Mutex<[Workspace]>([])

    private struct Served {
        let fileSystem: any FileSystem
        var control: ControlServer?
        let end: () -> Void
    }

    private func serveCommit(
        _ repository: Repository, _ resolved: ResolvedRevision?, _ mountPoint: String, _ options: MountOptions,
        _ logger: Logger
    ) throws -> Served {
        let listener = resolved == nil || follow ? nil : listener(logger)
        let fileSystem = SnapshotFileSystem(
            database: repository.database, commit: resolved, follows: follow,
            recorder: internals.record.map { _ in ReadRecorder(keepsRanges: internals.recordRanges) },
            opening: options.opening,
            mountDescription: describe(repository, mountPoint, socket: listener?.path).json,
            readThreads: repository.database.readThreads, logger: logger)
        let lease = try MountLease(showing: fileSystem, resolved, at: mountPoint, repository.database, logger)
        guard follow else {
            let control = listener.map { ControlServer($0, fileSystem: fileSystem, logger: logger) }
            try control?.start()
            let recording = try internals.record.map { try ReadRecording(of: fileSystem, to: $0, logger) }
            return Served(fileSystem: fileSystem, control: control) {
                control?.stop()
                lease.end(logger)
                recording?.end()
            }
        }
        guard let branch = resolved?.ref, branch.kind == .branch else {
            throw CommandFailure(message: "'\(revision ?? "")' is no branch, so it cannot be followed", kind: .usage)
        }
        let follower = try PeriodicTask(everySeconds: options.pollSeconds) { _ in
            do {
                // A branch that was deleted has no head to move to: the mount stays.
                if let head = try repository.database.head(of: branch) { try fileSystem.move(to: head) }
            } catch {
                logger.warning("looking for a new head of \(branch.name): \(logLine(of: error))")
            }
        }
        return Served(fileSystem: fileSystem) {
            follower.stop()
            lease.end(logger)
        }
    }

    /// A mount that cannot be spoken to still shows its commit.
    private func listener(_ logger: Logger) -> ControlListener? {
        do {
            return try ControlListener()
        } catch {
            logger.warning("'tarn prefetch --at' will not work: \(tarn.words(of: error))")
            return nil
        }
    }

    private func serveBranch(
        _ repository: Repository, _ resolved: ResolvedRevision, _ mountPoint: String, _ options: MountOptions,
        _ logger: Logger
    ) throws -> Served {
        guard let branch = resolved.ref, branch.kind == .branch else {
            throw CommandFailure(
                message: "'\(revision ?? "")' is no branch, so it cannot be written to",
                hint: "Make a branch from it: tarn branch create NAME --from \(revision ?? "REV")", kind: .usage)
        }
        let directory = try HostDirectories.workspace(
            repository.database.config.id, options.workspace ?? branch.name)
        try makeDirectories(directory)
        let listener = try ControlListener()
        let description = describe(repository, mountPoint, workspace: directory, socket: listener.path)
        let lock = try lockWorkspace(directory, description)
        try bindWorkspace(directory, to: repository.canonicalLocation(store), adopting: adoptsWorkspace)
        let info = WorkspaceInfo(
            repositoryID: repository.database.config.id, repositoryLocation: repository.database.store.location,
            branch: branch.name)
        let workspace = try Workspace(directory: directory, info: info, base: resolved.commitID, logger: logger)
        // Without a thread to be had, closing its database would wait for one for ever: it closes with the process.
        Self.openWorkspaces.withLock { $0.append(workspace) }
        try workspace.beginUse()
        try prepare(workspace, repository, head: resolved)
        let lease = try repository.protectBase(of: workspace)
        let fileSystem = try WorkspaceFileSystem(
            database: repository.database, workspace: workspace,
            basePlanner: repository.basePlanner(of: workspace, lease), mountDescription: description.json,
            squashesOwners: options.squashesOwners, readThreads: repository.database.readThreads, logger: logger)
        let control = ControlServer(listener, fileSystem: fileSystem, logger: logger)
        try control.start()
        let renewal = try MountLease.renewal(logger) { try lease.look() }
        let saver = try PeriodicTask(everySeconds: Self.saveSeconds) { _ in fileSystem.persistPeriodically() }
        let uploader = options.uploadsInBackground ? try backgroundUploads(fileSystem, repository, logger) : nil
        return Served(fileSystem: fileSystem, control: control) {
            uploader?.stop()
            saver.stop()
            control.stop()
            do {
                try fileSystem.flushAll()
                MountLease.end(logger) {
                    renewal.stop()
                    lease.endLogging()
                }
                try workspace.endUse()
            } catch {
                logger.error("saving staged changes: \(logLine(of: error))")
            }
            withExtendedLifetime(lock) {}
        }
    }

    private static let lockAttempts = 300
    private static let quietAttempts = 20

    /// The workspace's lock. A mount that was ended by a signal may still be saving when its directory is free already: it
    /// is waited for, at most half a minute.
    private func lockWorkspace(_ directory: String, _ description: MountDescription) throws -> WorkspaceLock {
        for attempt in 0..<Self.lockAttempts {
            do {
                return try WorkspaceLock(directory: directory, holder: description.json)
            } catch .inUse(let directory, let holder) {
                guard let mount = MountDescription(json: Array(holder.utf8)),
                    KernelMount.at(unescapedBytes(mount.mountPoint)) == nil
                else {
                    throw WorkspaceError.inUse(directory: directory, holder: holder)
                }
                if attempt == Self.quietAttempts {
                    writeError("tarn: waiting for process \(mount.processID), whose mount had this workspace, to end")
                }
                sleepMilliseconds(100)
            }
        }
        return try WorkspaceLock(directory: directory, holder: description.json)
    }

    private func backgroundUploads(
        _ fileSystem: WorkspaceFileSystem, _ repository: Repository, _ logger: Logger
    ) throws -> PeriodicTask {
        try PeriodicTask(everySeconds: Self.uploadSeconds) { isStopped in
            do {
                // Until nothing is left that has come to rest.
                while !isStopped(),
                    try repository.uploadAhead(
                        fileSystem.workspace, skipping: fileSystem.unsavedNodes(), isStopped: isStopped) > 0
                {}
            } catch {
                logger.warning("uploading ahead of the commit: \(logLine(of: error))")
            }
        }
    }

    private static let uploadSeconds = 2.0

    /// Finishes a commit that broke off, and begins at the branch's head when nothing is staged.
    private func prepare(_ workspace: Workspace, _ repository: Repository, head: ResolvedRevision) throws {
        if let committing = try? CommitLock(workspace) {
            try repository.recoverSeal(workspace, LocalHolder(workspace: workspace, repository: repository))
            withExtendedLifetime(committing) {}
        }
        guard try workspace.sealState() == nil, try workspace.base() != head.commitID else { return }
        if try workspace.isEmpty() {
            try workspace.moveBase(to: head.commitID)
        } else if try repository.stagedLines(workspace).isEmpty {
            // Special files, or names that share a file, are kept from before.
            _ = try repository.update(workspace, to: head.commitID)
        }
    }

    private func describe(
        _ repository: Repository, _ mountPoint: String, workspace: String? = nil, socket: String? = nil
    ) -> MountDescription {
        MountDescription(
            repository: repository.database.store.location,
            endpoint: store.endpoint ?? environment("AWS_ENDPOINT_URL_S3") ?? environment("AWS_ENDPOINT_URL"),
            region: store.region ?? environment("AWS_REGION") ?? environment("AWS_DEFAULT_REGION"),
            mountPoint: mountPoint, revision: revision,
            workspace: workspace, socket: socket)
    }
}

/// What `-o` says.
struct MountOptions {
    var allowsOthers = false
    var workspace: String?
    var squashesOwners = false
    var pollSeconds = 2.0
    var uploadsInBackground = false
    var opening = Opening.auto

    init(_ lists: [String]) throws {
        for option in lists.flatMap({ $0.split(separator: ",") }) {
            switch option {
            case "allow_other": allowsOthers = true
            case _ where option.hasPrefix("poll="):
                guard let seconds = Double(option.dropFirst("poll=".count)), (0.1...86_400).contains(seconds) else {
                    throw CommandFailure(message: "'\(option)': seconds from 0.1 to 86400", kind: .usage)
                }
                pollSeconds = seconds
            case _ where option.hasPrefix("open="):
                guard let opening = Opening(rawValue: String(option.dropFirst("open=".count))) else {
                    throw CommandFailure(message: "'\(option)': auto, none or passthrough", kind: .usage)
                }
                self.opening = opening
            case "upload=background": uploadsInBackground = true
            case "upload=commit": uploadsInBackground = false
            case "owners=keep": squashesOwners = false
            case "owners=squash": squashesOwners = true
            case _ where option.hasPrefix("workspace="):
                let name = String(option.dropFirst("workspace=".count))
                _ = try RefName.branch(name)
                workspace = name
            default:
                throw CommandFailure(
                    message: "'\(option)' is no mount option", hint: "See 'tarn mount --help'", kind: .usage)
            }
        }
    }
}

/// `512M`, `10G`, `1T`, or bytes; powers of 1,024.
func parseSize(_ text: String, of what: String = "cache size", atLeast: UInt64 = 16 << 20) throws -> UInt64 {
    let digits = text.prefix { $0.isNumber }
    let units: [String: UInt64] = ["": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40]
    guard let value = UInt64(digits), let unit = units[text.dropFirst(digits.count).uppercased()],
        value <= UInt64.max / unit, value * unit >= atLeast
    else {
        throw CommandFailure(
            message: "'\(text)' is no \(what)", hint: "Write 512M or 10G; at least \(atLeast >> 20)M", kind: .usage)
    }
    return value * unit
}
