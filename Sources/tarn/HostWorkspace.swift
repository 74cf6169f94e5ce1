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
    /// What is staged; `nil` when it cannot be read.
    let staged: Int?
    let base: CommitID?
    /// The live mount that holds it.
    let mount: MountDescription?
    /// Somebody holds it, and it is no mount.
    let holder: String?

    /// All workspaces of this user on this host, by repository and name.
    static func all(_ logger: Logger) throws -> [HostWorkspace] {
        let root = try HostDirectories.state() + "/workspaces"
        return directories(in: root).flatMap { repository in
            directories(in: "\(root)/\(repository)").compactMap { entry in
                HostWorkspace(directory: "\(root)/\(repository)/\(entry)", logger)
            }
        }
    }

    /// A directory that is not there has nothing in it.
    private static func directories(in path: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
    }

    /// `nil` when there is no workspace in the directory.
    init?(directory: String, _ logger: Logger) {
        guard let info = try? Workspace.info(of: directory) else { return nil }
        self.directory = directory
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

    /// Whether it belongs to this repository, and not to a copy of it elsewhere.
    func belongs(to repository: UUID, at location: String) -> Bool {
        guard info.repositoryID == repository else { return false }
        guard let known = FileManager.default.contents(atPath: directory + "/location") else { return true }
        return String(decoding: known, as: UTF8.self) == location
    }

    var words: TerminalText {
        let number: TerminalText = staged.map { "\(count($0, "staged change"))" } ?? "changes that cannot be read"
        return number + (mount.map { ", mounted at \($0.mountPoint)" } ?? holder.map { ", in use by \($0)" } ?? "")
    }
}
