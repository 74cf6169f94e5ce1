import Foundation
import Testing

/// What is staged on this host can be listed, moved and removed, and is not lost with its branch. SEMANTICS: M12.
@Suite(.enabled(if: FUSE.isAvailable, "no /dev/fuse"))
struct WorkspaceTests {
    private let sandbox: Sandbox

    init() throws {
        sandbox = try Sandbox()
        try sandbox.write("data/a", "one")
        try sandbox.tarn("import", sandbox.path("data"), "-m", "x")
        try sandbox.tarn("branch", "create", "day/1")
        try sandbox.tarn("branch", "create", "day/2")
    }

    private func stage(_ branch: String, _ text: String) throws {
        let point = try sandbox.mount("m", ["--ref", branch, "--write"])
        try sandbox.write("m/staged", text)
        try sandbox.unmount(point)
    }

    private func workspaces() throws -> [String] {
        struct Found: Decodable {
            let name: String
            let branch: String
            let staged: Int
            let mountPoint: String?
        }
        let json = try sandbox.tarn("workspace", "list", "--json").output
        return try JSONDecoder().decode([Found].self, from: Data(json.utf8)).map {
            "\($0.name) of \($0.branch): \($0.staged)\($0.mountPoint == nil ? "" : " mounted")"
        }
    }

    @Test func aBranchIsNotDeletedUnderStagedWork() throws {
        try stage("day/1", "precious")
        #expect(try workspaces() == ["day/1 of day/1: 1"])
        #expect(try sandbox.tarn("branch", "delete", "day/1", code: 4).errors.contains("1 staged change"))
        try sandbox.tarn("branch", "delete", "day/2")
        try sandbox.tarn("branch", "delete", "day/1", "--force")
        #expect(try workspaces() == ["day/1 of day/1: 1"])
    }

    @Test func stagedWorkMovesToAnotherBranch() throws {
        try stage("day/1", "precious")
        try sandbox.tarn("workspace", "move", "day/1", "--to", "day/2")
        #expect(try workspaces() == ["day/2 of day/2: 1"])
        let point = try sandbox.mount("m", ["--ref", "day/2", "--write"])
        #expect(try sandbox.read("m/staged") == "precious")
        #expect(try workspaces() == ["day/2 of day/2: 1 mounted"])
        try sandbox.tarn("workspace", "move", "day/2", "--to", "day/1", code: 4)
        try sandbox.tarn("workspace", "remove", "day/2", "--force", code: 4)
        try sandbox.tarn("commit", "-m", "moved", at: point)
        try sandbox.unmount(point)
        #expect(try sandbox.tarn("cat", "day/2:staged").output == "precious")
        try sandbox.tarn("workspace", "remove", "day/2")
        #expect(try workspaces() == [])
    }

    /// Whose staged changes these are is not guessed, and none are passed by.
    @Test(arguments: ["workspace.json", "overlay.sqlite"])
    func aWorkspaceThatLacksAFileIsNotTakenOver(_ file: String) throws {
        try stage("day/1", "precious")
        try sandbox.shell("mv state/workspaces/*/day%2F1/\(file) kept")
        let outcome = try sandbox.tarn(
            "mount", sandbox.repository, sandbox.path("m"), "--ref", "day/1", "--write", code: 1)
        #expect(outcome.errors.contains("\(file) is damaged"))
        if file == "workspace.json" {
            #expect(try sandbox.tarn("workspace", "list").errors.contains(file))
            #expect(try sandbox.tarn("workspace", "show", "day/1", code: 1).errors.contains(file))
            #expect(try sandbox.tarn("status", "--workspace", "day/1", code: 1).errors.contains(file))
        }
        try sandbox.shell("mv kept \"$(ls -d state/workspaces/*/day%2F1)/\(file)\"")
        let point = try sandbox.mount("m", ["--ref", "day/1", "--write"])
        #expect(try sandbox.read("m/staged") == "precious")
        try sandbox.unmount(point)
    }

    @Test(arguments: [": >", "echo elsewhere >", "head -c 100000 /dev/zero >", "mkfifo"])
    func allCommandsAgreeOnAWorkspaceWhoseLocationIsDamaged(_ damage: String) throws {
        try stage("day/1", "precious")
        try sandbox.shell("cd state/workspaces/*/day%2F1; rm location; \(damage) location")
        let list = try sandbox.tarn("workspace", "list").output
        #expect(list.contains("day/1") && list.contains("/location"))
        for command in [["show", "day/1"], ["remove", "day/1", "--force"], ["move", "day/1", "--to", "day/2"]] {
            #expect(try sandbox.tarn(["workspace"] + command, code: 4).errors.contains("/location"), "\(command)")
        }
        let point = try sandbox.mount("m", ["--ref", "day/1", "--write", "--adopt-workspace"])
        #expect(try sandbox.read("m/staged") == "precious")
        try sandbox.unmount(point)
        try sandbox.tarn("workspace", "show", "day/1")
    }

    /// What changed on both sides is a conflict, as after an update.
    @Test func aMoveTellsConflicts() throws {
        try stage("day/1", "mine")
        try sandbox.write("other/staged", "theirs")
        try sandbox.tarn("import", sandbox.path("other"), "--branch", "day/2", "-m", "others")
        let outcome = try sandbox.tarn("workspace", "move", "day/1", "--to", "day/2", code: 3)
        #expect(outcome.errors.contains("staged"))
        let point = try sandbox.mount("m", ["--ref", "day/2", "--write"])
        try sandbox.tarn("commit", "-m", "unseen", code: 3, at: point)
        try sandbox.unmount(point)
        try sandbox.tarn("workspace", "remove", "day/2", code: 4)
        try sandbox.tarn("workspace", "remove", "day/2", "--force")
        #expect(try workspaces() == [])
    }

    @Test func mountsAreListed() throws {
        let first = try sandbox.mount("first", ["--ref", "main"])
        let second = try sandbox.mount("second", ["--ref", "day/1", "--write"])
        try sandbox.write("second/staged", "x")
        struct Found: Decodable {
            let mountPoint: String
            let revision: String?
            let state: String
            let staged: Int?
        }
        func mounts() throws -> [String] {
            let json = try sandbox.tarn("mounts", "--json").output
            return try JSONDecoder().decode([Found].self, from: Data(json.utf8))
                .filter { $0.mountPoint == first || $0.mountPoint == second }
                .map { "\($0.revision ?? "-") \($0.state) \($0.staged ?? -1)" }
        }
        #expect(try mounts() == ["main read-only -1", "day/1 writable 1"])
        sandbox.kill(try sandbox.server(of: first), SIGSTOP)
        let stopped = try mounts()
        sandbox.kill(try sandbox.server(of: second), SIGKILL)
        try sandbox.shell("for i in $(seq 50); do ls '\(second)' > /dev/null 2>&1 || exit 0; sleep 0.1; done; exit 1")
        #expect(try mounts().last == "- dead -1")
        #expect(stopped.first == "- does not answer -1")
        try sandbox.shell("pkill -CONT -f '[t]arn mount .* \(first) '; fusermount3 -u -z '\(second)'")
        try sandbox.unmount(first)
    }
}
