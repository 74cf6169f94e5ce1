import ArgumentParser
import BlockingIO
import ErrorMessages
import Foundation
import ObjectDatabase
import Operations
import ProllyTree
import Staging
import Versioning

struct WorkspaceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "workspace", abstract: "List, show, remove and move the workspaces of this host.",
        discussion: """
            A workspace holds what is staged in a writable mount. It is named after its branch unless the mount was made with -o \
            workspace=NAME, and stays when the mount ends.
            """,
        subcommands: [ListWorkspaces.self, ShowWorkspace.self, RemoveWorkspace.self, MoveWorkspace.self],
        defaultSubcommand: ListWorkspaces.self)

    struct ListWorkspaces: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "List your workspaces on this host, of all repositories.")
        @OptionGroup var json: JSONArguments

        func run() throws {
            let found = try HostWorkspace.all(makeLogger(verbose: false)) { error in
                writeError("tarn: a workspace cannot be read: \(words(of: error))")
            }
            try json.output.show(found.map(WorkspaceJSON.init)) {
                table(
                    found.map { one in
                        [
                            "\(one.name)", one.name == one.info.branch ? "" : "of \(one.info.branch)",
                            "\(one.info.repositoryLocation)", one.words,
                        ]
                    })
            }
        }
    }

    struct ShowWorkspace: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "show", abstract: "Show one workspace.")
        @Argument(help: "Its name.") var name: String
        @OptionGroup var repository: RepositoryArguments
        @OptionGroup var json: JSONArguments

        func run() throws {
            let one = try workspace(name, repository.open(), repository).found
            try json.output.show(WorkspaceJSON(one)) {
                table([
                    ["workspace", "\(one.name)"], ["branch", "\(one.info.branch)"],
                    ["repository", "\(one.info.repositoryLocation)"],
                    ["based on", "\(one.base.map { String($0.hex.prefix(12)) } ?? "unknown")"],
                    ["state", one.words], ["directory", "\(one.directory)"],
                ])
            }
        }
    }

    struct RemoveWorkspace: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "remove",
            abstract: "Remove a workspace; with --force, what is staged in it is thrown away.")
        @Argument(help: "Its name.") var name: String
        @Flag(help: "Throw away what is staged.") var force = false
        @OptionGroup var repository: RepositoryArguments

        func run() throws {
            let repository = try self.repository.open()
            let (found, lock) = try workspace(name, repository, self.repository, taking: true)
            guard force || found.staged == 0 else {
                throw CommandFailure(
                    message: "the workspace '\(name)' has \(found.words.shown)",
                    hint: "Commit it, move it to another branch, or throw it away with --force", kind: .refused)
            }
            // The lease of a damaged one ends by itself.
            let lease = try? Workspace(openingExisting: found.directory, logger: repository.database.logger).baseLease()
            // First the name, so that nothing that was half removed is found under it.
            let away = found.directory + ".removed"
            try? FileManager.default.removeItem(atPath: away)
            guard rename(found.directory, away) == 0 else { throw SystemFailure(path: found.directory) }
            withExtendedLifetime(lock) {}
            do {
                try FileManager.default.removeItem(atPath: away)
            } catch {
                throw CommandFailure(message: "what was in the workspace was not all removed: it is in \(away)")
            }
            if let lease { try repository.database.removeLease(id: lease) }
        }
    }

    struct MoveWorkspace: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "move", abstract: "Put what is staged in a workspace on another branch.",
            discussion: """
                What is staged goes on the head of that branch, as 'tarn update' does it: a path that was changed on both sides is a \
                conflict to resolve before the commit. Exit code 3 when there are conflicts.
                """)
        @Argument(help: "The workspace's name.") var name: String
        @Option(name: .customLong("to"), help: ArgumentHelp("The branch.", valueName: "branch")) var target: String
        @OptionGroup var repository: RepositoryArguments

        func run() throws {
            let repository = try self.repository.open()
            let (found, lock) = try workspace(name, repository, self.repository, taking: true)
            let head = try repository.database.liveRef(.branch(target)).commit
            let newName = found.name == found.info.branch ? target : found.name
            let directory = try HostDirectories.workspace(repository.database.config.id, newName)
            if directory != found.directory, access(directory, F_OK) == 0 {
                throw CommandFailure(
                    message: "there is a workspace '\(newName)' already",
                    hint: "Remove it: tarn workspace remove \(newName)", kind: .refused)
            }
            let conflicts: [TreePath]
            do {
                let workspace = try Workspace(openingExisting: found.directory, logger: repository.database.logger)
                try workspace.beginUse()
                try repository.recoverSeal(workspace, LocalHolder(workspace: workspace, repository: repository))
                conflicts = try workspace.base() == head ? [] : repository.update(workspace, to: head)
                try workspace.endUse()
            }
            try Workspace.assign(found.directory, to: RefName.branch(target).name)
            if directory != found.directory, rename(found.directory, directory) != 0 {
                throw SystemFailure(path: directory)
            }
            withExtendedLifetime(lock) {}
            guard conflicts.isEmpty else {
                throw CommandFailure(
                    message: "\(count(conflicts.count, "path")) changed here and on \(target): "
                        + conflicts.map { "\($0)" }.joined(separator: ", "),
                    hint: "Mount the branch and decide with tarn resolve PATH --ours|--theirs", kind: .conflict)
            }
        }
    }
}

private struct WorkspaceJSON: Encodable {
    let name: String
    let branch: String
    let repository: String
    let base: String?
    let staged: Int?
    let mountPoint: String?
    let directory: String

    init(_ one: HostWorkspace) {
        name = one.name
        branch = one.info.branch
        repository = one.info.repositoryLocation
        base = one.base?.hex
        staged = one.staged
        mountPoint = one.mount?.mountPoint
        directory = one.directory
    }
}

/// The workspace of this name and repository.
///
/// - Parameter taking: for this process alone. Throws when a mount or another command has it.
private func workspace(
    _ name: String, _ repository: Repository, _ arguments: RepositoryArguments, taking: Bool = false
) throws -> (found: HostWorkspace, lock: WorkspaceLock?) {
    let directory = try HostDirectories.workspace(repository.database.config.id, name)
    let location = try repository.canonicalLocation(arguments.store)
    guard let found = try HostWorkspace(directory: directory, repository.database.logger),
        found.info.repositoryID == repository.database.config.id
    else {
        throw CommandFailure(
            message: "there is no workspace '\(name)' of this repository", hint: "'tarn workspace list' shows all",
            kind: .notFound)
    }
    if let refusal = found.binding.refusal("'\(name)'", at: location) { throw refusal }
    guard taking else { return (found, nil) }
    if let mount = found.mount {
        throw CommandFailure(
            message: "the workspace '\(name)' is mounted at \(mount.mountPoint)",
            hint: "Unmount it: tarn umount \(mount.mountPoint)", kind: .refused)
    }
    return (found, try WorkspaceLock(directory: directory, holder: "process \(getpid()) (tarn workspace)"))
}

/// Throws when something is staged for a branch, on this host.
func refuseWhenStaged(
    for branch: RefName, _ repository: Repository, _ arguments: RepositoryArguments
) throws {
    let location = try repository.canonicalLocation(arguments.store)
    let own = try HostDirectories.workspace(repository.database.config.id, branch.name)
    do {
        _ = try HostWorkspace(directory: own, repository.database.logger)
    } catch {
        throw CommandFailure(
            message: "the workspace of this branch cannot be read, and may hold staged changes: \(words(of: error))",
            hint: "Look at it, and remove the directory if nothing in it is needed; --force leaves it", kind: .refused)
    }
    for found in try HostWorkspace.all(repository.database.logger)
    where found.info.branch == branch.name && found.staged != 0
        && found.mayBelong(to: repository.database.config.id, at: location)
    {
        throw CommandFailure(
            message: "the workspace '\(found.name)' of this branch has \(found.words.shown)",
            hint: """
                Commit it, move it ('tarn workspace move \(found.name) --to BRANCH'), or delete the branch with --force, \
                which leaves the workspace
                """, kind: .refused)
    }
}
