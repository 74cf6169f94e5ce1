import ArgumentParser
import BlockingIO
import ErrorMessages
import Foundation
import ObjectDatabase
import Operations
import ProllyTree
import Staging
import Versioning

struct Mounts: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the mounts of this host: where, of what, at which commit, and what is staged.",
        discussion: """
            Lists what this process sees, and your writable mounts in places that it does not see. A mount whose process has ended is \
            'dead': unmount it. One that 'does not answer' has a process that stands still.
            """)
    @OptionGroup var json: JSONArguments

    private struct Row: Encodable {
        let mountPoint: String
        let repository: String?
        /// What was asked for; absent for the whole repository.
        let revision: String?
        let commit: String?
        /// read-only, writable, dead, does not answer, of another user, elsewhere
        let state: String
        let staged: Int?
        let process: Int32?
    }

    func run() throws {
        let workspaces = try HostWorkspace.all(makeLogger(verbose: false))
        var rows: [Row] = []
        var seen: Set<String> = []
        for mount in KernelMount.all() {
            let row = Self.row(mount, workspaces)
            rows.append(row)
            seen.insert(row.mountPoint)
        }
        for workspace in workspaces {
            guard let mount = workspace.mount, !seen.contains(mount.mountPoint) else { continue }
            rows.append(
                Row(
                    mountPoint: mount.mountPoint, repository: mount.repository, revision: mount.revision,
                    commit: workspace.base?.hex, state: "elsewhere", staged: workspace.staged,
                    process: mount.processID))
        }
        try json.output.show(rows) {
            table(
                rows.map { row in
                    [
                        "\(row.mountPoint)", "\(row.revision ?? (row.repository == nil ? "" : "whole repository"))",
                        "\(row.commit?.prefix(12) ?? "")",
                        "\(row.state)" + (row.staged.map { ", \($0) staged" } ?? ""), "\(row.repository ?? "")",
                    ]
                })
        }
    }

    private static func row(_ mount: KernelMount, _ workspaces: [HostWorkspace]) -> Row {
        let point = escapedText(mount.point)
        func row(_ state: String) -> Row {
            Row(
                mountPoint: point, repository: nil, revision: nil, commit: nil, state: state, staged: nil, process: nil)
        }
        guard mount.isTrusted else { return row("of another user") }
        switch answer(of: mount.point) {
        case .none: return row("does not answer")
        case .dead?: return row("dead")
        case .description(let description, let commit)?:
            let workspace = workspaces.first { $0.directory == description.workspace }
            return Row(
                mountPoint: point, repository: description.repository, revision: description.revision, commit: commit,
                state: description.workspace == nil ? "read-only" : "writable", staged: workspace?.staged,
                process: description.processID)
        }
    }

    private enum Answer {
        case dead
        case description(MountDescription, commit: String?)
    }

    private static let patienceMilliseconds = 2000

    /// What a mount says of itself; `nil` when it says nothing for a while. Asked on a thread that may hang.
    private static func answer(of point: [UInt8]) -> Answer? {
        let found = Monitor<Answer?>(nil)
        let asking: @Sendable () -> Void = {
            guard let description = userAttribute(of: point, "user.tarn.mount").flatMap({ MountDescription(json: $0) })
            else { return found.update { $0 = .dead } }
            let commit = userAttribute(of: point, "user.tarn.commit").map { String(decoding: $0, as: UTF8.self) }
            found.update { $0 = .description(description, commit: commit) }
        }
        // Without a thread it cannot be asked.
        guard (try? startThread(asking)) != nil else { return nil }
        for _ in 0..<patienceMilliseconds / 10 {
            if let answer = found.look({ $0 }) { return answer }
            sleepMilliseconds(10)
        }
        return nil
    }
}
