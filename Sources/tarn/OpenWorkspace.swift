import ArgumentParser
import ErrorMessages
import Glibc
import Logging
import ObjectDatabase
import ObjectStorage
import Operations
import Staging
import Versioning

struct WorkspaceArguments: ParsableArguments {
    @OptionGroup var repository: RepositoryArguments

    @Option(
        help: ArgumentHelp(
            "The workspace, when you are not in its mount (named after its branch unless mounted with -o workspace=NAME).",
            valueName: "name"))
    var workspace: String?
}

/// A workspace, and who holds it: a live mount, or this process.
struct OpenWorkspace {
    let repository: Repository
    let workspace: Workspace
    let mount: MountDescription?
    /// Set when a mount is live.
    let liveMount: MountHolder?
    /// Held while no mount is live.
    private let lock: WorkspaceLock?

    init(_ arguments: WorkspaceArguments) throws {
        let mount = arguments.repository.mountHere()
        let directory: String
        if arguments.workspace == nil, let mount {
            guard let mounted = mount.workspace else {
                throw CommandFailure(
                    message: "the mount at \(mount.mountPoint) is read-only; nothing is staged in it",
                    hint: "Mount the branch with --write")
            }
            directory = mounted
            repository = try arguments.repository.open(mount)
        } else {
            repository = try arguments.repository.open()
            guard let name = arguments.workspace else {
                throw CommandFailure(
                    message: "you are in no mount, so that no workspace is meant",
                    hint: "Go into the writable mount, or name one with --workspace ('tarn workspace list' shows them)",
                    kind: .usage)
            }
            directory = try HostDirectories.workspace(repository.database.config.id, name)
        }
        guard access(directory, F_OK) == 0 else {
            guard errno == ENOENT || errno == ENOTDIR else {
                throw WorkspaceError.localIO(path: directory, errno: errno)
            }
            throw CommandFailure(
                message: "there is no workspace at \(directory)",
                hint: "Go into the writable mount, or name its workspace with --workspace", kind: .notFound)
        }
        let store = mount.map { arguments.repository.reaching($0) } ?? arguments.repository.store
        let (lock, live) = try Self.hold(directory)
        self.lock = lock
        self.mount = live ?? mount
        liveMount = live.map { MountHolder(mount: $0) }
        workspace = try Workspace(openingExisting: directory, logger: repository.database.logger)
        // Whoever held it last may have been killed; this process writes no bytes.
        if lock != nil {
            try workspace.beginUse()
            try workspace.endUse()
        }
        try bindWorkspace(directory, to: repository.canonicalLocation(store), adopting: false)
        guard workspace.info.repositoryID == repository.database.config.id else {
            throw WorkspaceError.belongsElsewhere(
                directory: directory, found: workspace.info.repositoryLocation,
                wanted: repository.database.store.location)
        }
    }

    /// Takes the workspace for this process, or answers the live mount that holds it.
    private static func hold(_ directory: String) throws -> (WorkspaceLock?, MountDescription?) {
        let command = CommandLine.arguments.dropFirst().joined(separator: " ")
        let result = Result { () throws(WorkspaceError) in
            try WorkspaceLock(directory: directory, holder: "process \(getpid()) (tarn \(command))")
        }
        switch result {
        case .success(let lock): return (lock, nil)
        case .failure(.inUse(_, let holder)):
            if let live = MountDescription(json: Array(holder.utf8)), live.socket != nil { return (nil, live) }
            throw WorkspaceError.inUse(directory: directory, holder: holder)
        case .failure(let error): throw error
        }
    }

    /// Makes sure that what a live mount holds in memory is in the workspace.
    func flush() throws {
        try liveMount?.flush()
    }

    /// Shows conflicts, and notes that the user knows of them: after the showing, so that no edit from before counts as a decision.
    ///
    /// - Parameter isShown: which of the conflicts `show` shows; by default all that are not decided.
    func telling(_ isShown: (StagedConflict) -> Bool = { $0.resolution == nil }, _ show: () throws -> Void) throws {
        let conflicts = try workspace.conflicts().filter(isShown)
        try show()
        try StandardStreams.flush()
        if conflicts.allSatisfy({ $0.told != nil }) { return }
        do {
            // What was written before is in the overlay then, under an earlier number.
            try flush()
            try workspace.noteTold(conflicts)
        } catch {
            // Nothing is lost: the next commit tells them again.
            repository.database.logger.info("the conflicts are told again by the next commit: \(error)")
        }
    }

    func path(_ text: String) throws -> TreePath {
        if let mount, MountDescription.ofCurrentDirectory()?.workspace == mount.workspace {
            return try TreePath(local: text, inMountOf: ".")
        }
        return try TreePath(parsing: text)
    }

    /// Puts what is staged on the branch's head, after finishing what a commit that broke off left.
    func update() throws -> (head: CommitID, conflicts: [TreePath]) {
        guard let liveMount else {
            try repository.recoverSeal(workspace, LocalHolder(workspace: workspace, repository: repository))
            return try repository.update(workspace)
        }
        try repository.recoverSeal(workspace, liveMount)
        return try liveMount.update()
    }

    /// Whether a path is neither staged nor in the base. What lies in directories that are staged is not looked for.
    private func isNowhere(_ path: TreePath) throws -> Bool {
        guard let top = path.components.first else { return false }
        let staged = try workspace.read { try $0.lookup(.root, top) }
        guard case .untouched = staged else { return false }
        return try repository.database.tree(repository.database.commit(workspace.base()).tree).entry(at: path) == nil
    }

    func discard(_ paths: [TreePath]) throws {
        for path in paths where try isNowhere(path) {
            throw CommandFailure(message: "there is nothing at '\(path)', staged or committed", kind: .notFound)
        }
        if let liveMount { return try liveMount.discard(paths) }
        try workspace.discard(paths)
        try workspace.makeDurable()
    }
}
