import BlockingIO
import ObjectDatabase
import Operations
import Staging
import Synchronization
import TestSupport
import Testing
import VFS
import Versioning

/// W22: who looks while a commit, an update or a discard is under way misses nothing that is staged or committed.
@Suite struct CommitVisibilityTests {
    private struct Lookout: Sendable {
        var isOver = false
        var looks = 0
        var missed: [String] = []
    }

    /// Runs `body` while another thread looks again and again; answers what it missed.
    private func missed(
        _ what: @escaping @Sendable (MountedWorkspace) throws -> String?, in mount: MountedWorkspace,
        while body: () throws -> Void
    ) throws -> [String] {
        let state = Monitor(Lookout())
        let ended = Monitor(false)
        try startThread { [mount = Looking(mount: mount)] in
            while !state.update({ $0.isOver }) {
                let found = Result { try what(mount.mount) }
                state.update { state in
                    state.looks += 1
                    switch found {
                    case .success(nil): break
                    case .success(let text?): state.missed.append(text)
                    case .failure(let error): state.missed.append("\(error)")
                    }
                }
            }
            ended.update { $0 = true }
        }
        defer {
            state.update { $0.isOver = true }
            ended.wait { $0 ? () : nil }
        }
        state.wait { $0.looks > 0 ? () : nil }
        try body()
        return state.update { $0.missed }
    }

    // SAFETY: the file system is safe from many threads; the test's own thread does not change what the mount is.
    private struct Looking: @unchecked Sendable {
        let mount: MountedWorkspace
    }

    enum Look: CaseIterable {
        case lookup, listing, bytes
    }

    private static func look(_ look: Look, for name: String, at mount: MountedWorkspace) throws -> String? {
        switch look {
        case .lookup:
            _ = try mount.fileSystem.lookup(.root, EntryName(checking: Array(name.utf8)))
        case .listing:
            let names = try mount.names(in: .root)
            return names.contains(Array(name.utf8)) ? nil : "a listing lacks \(name), and has \(names.count) others"
        case .bytes:
            let bytes = String(decoding: try mount.read(name), as: UTF8.self)
            return bytes.hasPrefix("bytes") ? nil : "\(name) reads '\(bytes)'"
        }
        return nil
    }

    @Test(arguments: Look.allCases)
    func commitsHideNothing(_ look: Look) throws {
        let directory = try TemporaryDirectory()
        let mount = try MountedWorkspace(try makeRepository(), directory: directory.file("workspace"))
        try mount.makeFile("0", Array("bytes".utf8))
        // What the next commit takes out of the overlay, and the base before it lacks.
        let newest = Monitor("0")
        let missed = try missed({ try Self.look(look, for: newest.update { $0 }, at: $0) }, in: mount) {
            for round in 1...30 {
                _ = try mount.commit("round \(round)")
                try mount.makeFile("\(round)", Array("bytes".utf8))
                newest.update { $0 = "\(round)" }
            }
        }
        #expect(missed.isEmpty)
    }

    @Test func updatesAndDiscardsHideNothing() throws {
        let repository = try makeRepository()
        let directory = try TemporaryDirectory()
        let mount = try MountedWorkspace(repository, directory: directory.file("workspace"))
        try mount.makeFile("there", Array("bytes".utf8))
        _ = try mount.commit("ours")
        let other = try MountedWorkspace(repository, directory: directory.file("other"))
        let missed = try missed({ try Self.look(.bytes, for: "there", at: $0) }, in: mount) {
            for round in 0..<30 {
                try other.edit("there", at: 5, Array(" \(round)".utf8))
                _ = try other.commit("theirs \(round)")
                try mount.setMode("there", round.isMultiple(of: 2) ? 0o600 : 0o644)
                _ = try mount.fileSystem.update()
                if round.isMultiple(of: 3) { try mount.fileSystem.discard([]) }
                #expect(try mount.read("there") == Array("bytes \(round)".utf8))
            }
        }
        #expect(missed.isEmpty)
    }
}
