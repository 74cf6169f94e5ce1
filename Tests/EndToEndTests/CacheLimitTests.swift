import Foundation
import TestSupport
import Testing

/// M6: the block cache's limit is the cache's, and changes only when somebody asks for it.
@Suite struct CacheLimitTests {
    private let sandbox: Sandbox

    init() throws {
        sandbox = try Sandbox()
        try sandbox.write("data/a", "1")
        try sandbox.tarn("import", "data", "-m", "first")
    }

    private func limit() throws -> UInt64 {
        struct Status: Decodable { let limitBytes: UInt64 }
        return try JSONDecoder().decode(Status.self, from: Data(sandbox.tarn("cache", "--json").output.utf8)).limitBytes
    }

    @Test func aLimitBeyondTheDiskIsRefusedWithItsSize() throws {
        try sandbox.tarn("cache", "set", "--size", "64M")
        for arguments in [["cache", "set", "--size", "900000T"], ["prefetch", "main", "--cache-size", "900000T"]] {
            let refused = try sandbox.tarn(arguments, code: 2)
            #expect(refused.errors.contains("989560464998400000") && refused.errors.contains("in all"), "\(refused)")
        }
        #expect(try limit() == 64 << 20)
        try sandbox.tarn("cache", "set", "--size", "1K", code: 2)
    }

    @Test(.enabled(if: FUSE.isAvailable, "no /dev/fuse")) func onlyWhoAsksChangesTheLimit() throws {
        #expect(try limit() == 10 << 30)
        try sandbox.tarn("cache", "set", "--size", "64M")
        let point = try sandbox.mount("m", "--ref", "main")
        try sandbox.tarn("run", "--ref", "main", "--at", sandbox.path("at"), "--", "true")
        try sandbox.tarn("prefetch", "main")
        #expect(try limit() == 64 << 20)
        try sandbox.tarn(
            "run", "--ref", "main", "--at", sandbox.path("at"), "--cache-size", "128M", "--", "true")
        #expect(try limit() == 128 << 20)
        try sandbox.unmount(point)
        try sandbox.unmount(sandbox.mount("n", "--ref", "main", "--cache-size", "32M"))
        #expect(try limit() == 32 << 20)
        sandbox.mountFails("--ref", "main", "--cache-size", "900000T")
    }
}

extension Sandbox {
    fileprivate func mountFails(_ arguments: String...) {
        #expect(throws: CommandFailed.self) { try mount("refused", arguments) }
    }
}
