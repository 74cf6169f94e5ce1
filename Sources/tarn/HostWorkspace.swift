import BlockingIO
import ErrorMessages
import FoundationEssentials
import Glibc
import Logging
import Staging
import Versioning

/// A workspace of this host, mounted or not.
struct HostWorkspace {
    /// By which `-o workspace=` and `--workspace` name it; a branch's unless said otherwise.
    let name: String
    let directory: String
    let info: WorkspaceInfo
    let binding: WorkspaceBinding
    /// What is staged; `nil` when it cannot be read.
    let staged: Int?
    let base: CommitID?
    /// The live mount that holds it.
    let mount: MountDescription?
    /// Somebody holds it, and it is no mount.
    let holder: String?

    /// All workspaces of this user on this host, by repository and name.
    ///
    /// - Parameter unreadable: is given what cannot be read, with the reason.
    static func all(_ logger: Logger, unreadable: (any Error) -> Void = { _ in }) throws -> [HostWorkspace] {
        let root = try HostDirectories.state() + "/workspaces"
        return directories(in: root).flatMap { repository in
            directories(in: "\(root)/\(repository)").compactMap { entry in
                do {
                    return try HostWorkspace(directory: "\(root)/\(repository)/\(entry)", logger)
                } catch {
                    unreadable(error)
                    return nil
                }
            }
        }
    }

    /// A directory that is not there has nothing in it.
    private static func directories(in path: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
    }

    /// `nil` when there is no workspace in the directory. Throws when there is one that does not say what it is.
    init?(directory: String, _ logger: Logger) throws {
        let info: WorkspaceInfo
        do {
            info = try Workspace.info(of: directory)
        } catch WorkspaceError.notThere {
            return nil
        }
        self.directory = directory
        binding = WorkspaceBinding(of: directory)
        self.info = info
        name = (directory.split(separator: "/").last ?? "").split(separator: "%2F").joined(separator: "/")
        // What cannot be opened is listed all the same.
        let workspace = try? Workspace(directory: directory, info: info, base: nil, readOnly: true, logger: logger)
        staged = try? workspace?.stagedCount()
        base = try? workspace?.base()
        switch Result(catching: { () throws(WorkspaceError) in try WorkspaceLock.holder(of: directory) }) {
        case .success(let text?):
            mount = MountDescription(json: Array(text.utf8))
            holder = mount == nil ? text : nil
        default: (mount, holder) = (nil, nil)
        }
    }

    /// Whether it belongs to this repository, and not to a copy of it elsewhere. One that does not say it may.
    func mayBelong(to repository: UUID, at location: String) -> Bool {
        guard info.repositoryID == repository else { return false }
        if case .to(let known) = binding { return known == location }
        return true
    }

    var words: TerminalText {
        var number: TerminalText = staged.map { "\(count($0, "staged change"))" } ?? "changes that cannot be read"
        if case .unreadable(let path, let reason) = binding { number += ", \(path): \(reason)" }
        return number + (mount.map { ", mounted at \($0.mountPoint)" } ?? holder.map { ", in use by \($0)" } ?? "")
    }
}
