import Foundation
import Glibc
import Testing

/// `tarn gc` beside mounts, through the command line.
@Suite struct CollectionTests {
    private let sandbox: Sandbox

    init() throws {
        sandbox = try Sandbox()
        for number in 0..<3 {
            try sandbox.write("source/a", "version \(number)")
            try sandbox.tarn("import", sandbox.path("source"), "-m", "version \(number)")
        }
    }

    private func collect() throws -> String {
        // A second of the store's clock.
        sleep(2)
        return try sandbox.tarn("gc", "--delete", "--grace", "0").output
    }

    /// G1, G2, G6
    @Test func expiredCommitIsNamedAndSaysWhereItsDataWent() throws {
        let old = try sandbox.tarn("log", "--oneline", "main~1").lines[0].prefix(12)
        try sandbox.tarn("retention", "set", "main", "--commits", "1")
        sleep(2)
        let dry = try sandbox.tarn("gc", "--grace", "0").output
        #expect(dry.contains("the rule 'main: 1 commit'") && dry.contains("--delete deletes"))
        #expect(try collect().contains("Deleted"))
        #expect(try sandbox.tarn("cat", "main:a").output == "version 2")
        let gone = try sandbox.tarn("cat", "main~1:a", code: 5)
        #expect(gone.errors.contains("was collected by gc on 20") && gone.errors.contains("main: 1 commit"))
        #expect(gone.errors.contains(old))
        mkdir(sandbox.path("gone"), 0o755)
        let mount = try sandbox.tarn("mount", sandbox.repository, sandbox.path("gone"), "--ref", "main~1", code: 5)
        #expect(mount.errors.contains("was collected by gc on 20"))
        #expect(try sandbox.tarn("log").output.contains("version 0"))
        try sandbox.tarn("audit", "verify")
        #expect(try sandbox.tarn("fsck", "--read-data").output.contains("No damage found"))
    }

    /// G4
    @Test func mountsAreLeasedWhileTheyLive() throws {
        let mount = try sandbox.mount("old", "--ref", "main~1")
        let writable = try sandbox.mount("work", "--ref", "main", "--write")
        try sandbox.write("work/b", "staged")
        try sandbox.write("source/a", "version 3")
        try sandbox.tarn("import", sandbox.path("source"), "-m", "version 3")
        try sandbox.tarn("retention", "set", "main", "--commits", "1")
        #expect(try collect().contains("2 mount"))
        #expect(try sandbox.read("old/a") == "version 1")
        try sandbox.tarn("commit", "-m", "on an expired base", at: writable)
        #expect(try sandbox.tarn("cat", "main:b").output == "staged")
        try sandbox.unmount(mount)
        try sandbox.unmount(writable)
        #expect(try !collect().contains("mount"))
        try sandbox.tarn("cat", "main~3:a", code: 5)
        #expect(try sandbox.tarn("fsck", "--read-data").output.contains("No damage found"))
    }
}
