import Foundation
import Glibc
import Testing

/// Calls with arguments at and beyond their limits come to what they come to on a directory of the host, and no call ends
/// a mount. SEMANTICS: W28.
@Suite(.enabled(if: FUSE.isAvailable, "no /dev/fuse"))
struct BoundaryTests {
    @Test func argumentsBeyondTheirLimitsAreAnsweredAsElsewhere() throws {
        let sandbox = try Sandbox()
        // tmpfs has the same limits as a mount; the workspace's disk shows through.
        let memory = "/dev/shm/tarn-e2e-\(UInt64.random(in: .min ... .max))"
        defer { try? FileManager.default.removeItem(atPath: memory) }
        sandbox.environment["TARN_STATE_DIR"] = memory + "/state"
        try sandbox.shell(
            "mkdir -p '\(memory)'/plain/d; cd '\(memory)'/plain; head -c 10000 /dev/urandom > f; touch d/a d/b d/c")
        try sandbox.tarn("import", memory + "/plain", "-m", "first")
        let writable = try sandbox.mount("w", "--ref", "main", "--write")
        let mounts = [
            try sandbox.mount("r", "--ref", "main"), try sandbox.mount("follow", "--ref", "main", "--follow"),
            try sandbox.mount("all") + "/branches/main",
        ]
        func told(_ directory: String, _ how: String) throws -> String {
            try sandbox.shell("python3 '\(Sandbox.packageRoot)'/Tests/POSIX/boundaries.py '\(directory)' \(how)")
        }
        let readings = try told(memory + "/plain", "reading")
        #expect(readings.contains("lseek -1 4 -> ENXIO"))
        for point in mounts + [writable] { try expectSame(told(point, "reading"), readings, point) }
        try expectSame(told(writable, "writing"), told(memory + "/plain", "writing"), writable)
        for point in mounts + [writable] { #expect(try sandbox.shell("cat '\(point)/f' | wc -c") == "10000\n") }
        for point in ["r", "follow", "all", "w"] { try sandbox.unmount(sandbox.path(point)) }
    }

    private func expectSame(_ mount: String, _ plain: String, _ name: String) {
        let (mount, plain) = (mount.split(separator: "\n"), plain.split(separator: "\n"))
        #expect(mount.count == plain.count, "\(name)")
        let differing = zip(mount, plain).filter { $0 != $1 }.prefix(10).map { "\($0), not \($1)" }
        #expect(differing.isEmpty, "\(name)")
    }
}
