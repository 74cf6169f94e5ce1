import TestSupport
import Testing

/// A command in a mount means that mount, and the commit that it shows.
@Suite(.enabled(if: FUSE.isAvailable, "no /dev/fuse"))
struct MountedRevisionTests {
    @Test func theCommitThatIsShownIsMeant() throws {
        let sandbox = try Sandbox()
        try sandbox.write("data/a", "1")
        let old = try sandbox.tarn("import", "data", "-m", "old").commit
        try sandbox.shell("mkdir pinned")
        let said = try sandbox.tarn("mount", sandbox.repository, "pinned", "--ref", "main").errors
        #expect(said.contains("shows main, commit \(old.prefix(12))"))
        let pinned = sandbox.path("pinned")
        try sandbox.write("data/a", "2")
        let new = try sandbox.tarn("import", "data", "-m", "new").commit
        #expect(try sandbox.tarn("log", "-n1", at: pinned).output.contains(old))
        #expect(try sandbox.tarn("show", at: pinned).output.contains(old))
        #expect(try sandbox.tarn("blame", at: pinned).output.hasPrefix(old.prefix(12)))
        #expect(try sandbox.tarn("stats", at: pinned).output.contains("commit \(old)"))
        #expect(try sandbox.tarn("diff", "main", at: pinned).output.contains("M  a"))
        try sandbox.tarn("tag", "looked-at", at: pinned)
        #expect(try sandbox.tarn("show", "looked-at").output.contains(old))
        // From outside the branch is meant.
        #expect(try sandbox.tarn("log", "-n1").output.contains(new))
        #expect(try sandbox.shell("getfattr --only-values -n user.tarn.ref pinned") == "main")
        #expect(try sandbox.shell("getfattr --only-values -n user.tarn.repository pinned/a") == sandbox.repository)
        try sandbox.unmount(pinned)
    }

    @Test func theMountWinsAndAMismatchIsSaid() throws {
        let sandbox = try Sandbox()
        let other = try Sandbox()
        try sandbox.write("data/here", "1")
        try sandbox.tarn("import", "data", "-m", "here")
        let point = try sandbox.mount("m", "--ref", "main")
        sandbox.environment["TARN_REPO"] = other.repository
        let listed = try sandbox.tarn("ls", at: point)
        #expect(listed.output.contains("here") && listed.errors.contains("which counts, and not TARN_REPO"))
        let named = try sandbox.tarn("ls", "--repo", other.repository, at: point)
        #expect(!named.output.contains("here") && named.errors.contains("--repo names"))
        #expect(try sandbox.tarn("status", code: 2).errors.contains("you are in no mount"))
        try sandbox.unmount(point)
    }

    /// M5: no branch hides another.
    @Test func branchesBelowTheNameOfAnotherAreReached() throws {
        let sandbox = try Sandbox()
        for name in ["a", "a/b", "a/b/c", "d/e/f", "d/e/f/g"] {
            try sandbox.tarn("branch", "create", name)
            try sandbox.write("data/name", name)
            try sandbox.tarn("import", "data", "--branch", name, "-m", name)
        }
        try sandbox.shell("mkdir all")
        try sandbox.tarn("mount", sandbox.repository, "all")
        #expect(
            try sandbox.shell("cd all/branches && find . -name name -exec cat {} ';' -exec echo ';' | sort")
                == "a\na/b\na/b/c\nd/e/f\nd/e/f/g\n")
        #expect(try sandbox.shell("ls all/branches") == "a\na%2Fb\na%2Fb%2Fc\nd\nmain\n")
        #expect(try sandbox.read("all/branches/d%2Fe%2Ff/name") == "d/e/f")
        try sandbox.shell("! [ -e all/branches/a%2Fnone ] && ! [ -e all/branches/%2F ]")
        try sandbox.unmount(sandbox.path("all"))
    }

    @Test func anOccupiedPlaceIsNoRepository() throws {
        let sandbox = try Sandbox()
        try sandbox.write("full/file", "x")
        for words in [["init", sandbox.path("full")], ["mirror", sandbox.path("full")]] {
            #expect(try sandbox.tarn(words, code: 4).errors.contains("is not empty, and no repository"))
        }
        try sandbox.shell("[ \"$(ls full)\" = file ]")
    }
}
