import Foundation
import Testing

/// A large real tree, in and out again. SEMANTICS: B3, R2.
@Suite(.serialized, .enabled(if: FUSE.isAvailable, "no /dev/fuse"))
struct LargeTreeTests {
    /// The Swift toolchain's own directory: about 3 GB.
    private func toolchain(_ sandbox: Sandbox) throws -> String {
        try sandbox.shell("dirname \"$(dirname \"$(readlink -f \"$(command -v swift)\")\")\"").trimmingCharacters(
            in: .whitespacesAndNewlines)
    }

    @Test(arguments: Place.available.filter { $0 != .moto })
    func toolchainIsTheSameThroughTheMount(_ place: Place) throws {
        let sandbox = try Sandbox(place)
        let source = try toolchain(sandbox)
        try sandbox.tarn("import", source, "-m", "toolchain")
        try sandbox.shell("rm -rf cache")
        let point = try sandbox.mount("m", "--ref", "main", "--cache-size", "6G")
        try sandbox.shell("diff -r --no-dereference '\(source)' '\(point)'")
        let list = "find . -printf '%y %m %T@ %l %p\\n' | LC_ALL=C sort"
        try sandbox.shell("diff <(cd '\(source)' && \(list)) <(cd '\(point)' && \(list))")
        try sandbox.unmount(point)
    }

    /// R2: another order and another history, the same tree.
    @Test func sameBytesGiveTheSameTree() throws {
        let one = try Sandbox()
        let two = try Sandbox()
        try one.shell(
            "mkdir data; cd data; for i in $(seq 300); do mkdir -p d$((i % 7)); seq $i > d$((i % 7))/f$i; done; find . -exec touch -d 2020-01-01 {} +"
        )
        try one.tarn("import", "data", "-m", "at once")
        let source = one.path("data")
        for part in [3, 0, 6, 1, 5, 2, 4] {
            try two.tarn("import", "\(source)/d\(part)", "--to", "d\(part)", "-m", "part")
        }
        try two.tarn("import", source, "-m", "the rest")
        func tree(_ sandbox: Sandbox) throws -> Substring? {
            try sandbox.tarn("log", "-n", "1").lines.first { $0.hasPrefix("Tree:") }?.split(separator: " ").last
        }
        #expect(try tree(one) == tree(two))
    }
}
