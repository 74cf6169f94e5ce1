import Glibc
import Testing

/// `tarn mirror`, `fsck --repair` and `du` through the command line, to every kind of store.
@Suite struct MirrorTests {
    /// K1, K4, K6
    @Test(arguments: Place.available)
    func mirrorIsUsedRepairsAndIsPromoted(place: Place) throws {
        let sandbox = try Sandbox(place)
        try sandbox.write("source/a", "the first bytes")
        try sandbox.tarn("import", sandbox.path("source"), "-m", "first")
        try sandbox.tarn("tag", "create", "v1")
        let target = place == .directory ? sandbox.path("mirror") : sandbox.repository + "-mirror"
        #expect(try sandbox.tarn("mirror", target).output.contains("Moved 2 refs"))
        #expect(try sandbox.tarn("cat", "v1:a", "--repo", target).output == "the first bytes")
        try sandbox.tarn("audit", "verify", "--repo", target)
        let refused = try sandbox.tarn("import", sandbox.path("source"), "-m", "x", "--repo", target, code: 4)
        #expect(refused.errors.contains("is a mirror of"))
        #expect(try sandbox.tarn("mirror", target).output.contains("2 up to date already"))
        if place == .directory {
            try sandbox.shell(
                "rm -r '\(sandbox.repository)/packs' && for f in '\(sandbox.repository)'/trees/*/*; do echo x > $f; done"
            )
            try sandbox.tarn("fsck", code: 1)
            let repaired = try sandbox.tarn("fsck", "--read-data", "--repair", "--from", target).output
            #expect(repaired.contains("fetched again: packs/") && repaired.contains("No damage left"))
            #expect(try sandbox.tarn("cat", "v1:a").output == "the first bytes")
        }
        try sandbox.tarn("mirror", "--promote", target)
        try sandbox.write("source/b", "the mirror's own")
        try sandbox.tarn("import", sandbox.path("source"), "-m", "own", "--repo", target)
        #expect(try sandbox.tarn("mirror", target, code: 4).errors.contains("a repository of its own"))
        #expect(try sandbox.tarn("du", "--repo", target).output.contains("v1"))
        // The collector on this kind of store.
        try sandbox.tarn("retention", "set", "main", "--commits", "1")
        try sandbox.tarn("gc", "--delete", "--grace", "0")
        #expect(try sandbox.tarn("cat", "main:a").output == "the first bytes")
        #expect(try sandbox.tarn("fsck", "--read-data").output.contains("No damage found"))
    }
}
