import ObjectDatabase
import ObjectStorage
import Operations
import ProllyTree
import TestSupport
import Testing
import Versioning

/// fsck fetches again what is damaged, and goes on where the store fails.
@Suite struct RepairTests {
    private let store = MemoryStore(location: "source")
    private let mirror = MemoryStore(location: "mirror")
    private let repository: Repository
    private static let prefixes = ["packs/", "trees/", "lists/", "commits/", "movements/"]

    init() throws {
        repository = try makeRepository(in: store)
        var random = SeededRandom(seed: 11)
        let source = try TemporaryDirectory()
        try source.write("large", random.bytes(20 << 20))
        for number in 0..<300 { try source.write("small \(number)", random.bytes(300)) }
        _ = try repository.importDirectory(source.path, into: .main, .test())
        try repository.importing("a", "one")
        _ = try repository.mirror(to: mirror, targetQuirks: .init(quoteIfMatch: true))
    }

    private func keys(_ prefix: String) throws -> [String] {
        try store.list(prefix: prefix, after: nil, limit: 1000).objects.map(\.key)
    }

    /// K6
    @Test(arguments: prefixes, ["missing", "damaged"])
    func everyKindOfObjectIsFetchedAgain(prefix: String, how: String) throws {
        for key in try keys(prefix) {
            let bytes = try store.get(key, range: nil, ifMatch: nil).bytes
            if how == "missing" {
                try store.delete(key)
            } else {
                var flipped = bytes
                flipped[bytes.count / 2] ^= 1
                _ = try store.put(key, flipped, .none)
            }
            let report = try reopen(store).repair(from: reopen(mirror), data: true)
            #expect(report.check.damage.isEmpty && report.failed.isEmpty, "\(key): \(report.check.damage)")
            #expect(report.repaired == [key])
            #expect(
                try store.get(key, range: nil, ifMatch: nil).bytes == bytes || ["trees/", "lists/"].contains(prefix))
        }
    }

    /// K6
    @Test func everythingAtOnceIsFetchedAgain() throws {
        var damaged = 0
        for prefix in Self.prefixes {
            for key in try keys(prefix) {
                try store.delete(key)
                damaged += 1
            }
        }
        let report = try reopen(store).repair(from: reopen(mirror), data: true)
        #expect(report.check.damage.isEmpty, "\(report.check.damage) \(report.failed)")
        #expect(report.repaired.count >= damaged - 1)
    }

    /// K6: wrong bytes are not taken.
    @Test func damagedMirrorIsNotBelieved() throws {
        for prefix in Self.prefixes {
            let key = try #require(try keys(prefix).first)
            let bytes = try store.get(key, range: nil, ifMatch: nil).bytes
            var flipped = bytes
            flipped[bytes.count / 2] ^= 1
            _ = try mirror.put(key, flipped, .none)
            try store.delete(key)
            let report = try reopen(store).repair(from: reopen(mirror), data: true)
            #expect(report.failed.map(\.object) == [key] && !report.check.damage.isEmpty, "\(key)")
            #expect(throws: (any Error).self) { try store.head(key) }
            _ = try store.put(key, bytes, .none)
            _ = try mirror.put(key, bytes, .none)
        }
    }

    /// K7
    @Test func checkGoesOnPastWhatTheStoreDoesNotGive() throws {
        for prefix in Self.prefixes {
            let key = try #require(try keys(prefix).first)
            let faulty = FaultyStore(store) { call in
                call.kind == .get && call.key == key ? .failBefore(.lostReply(key)) : .pass
            }
            let report = try reopen(faulty).fsck(data: true)
            #expect(report.damage.contains { $0.object == key || $0.reason.contains(key) }, "\(key): \(report.damage)")
            #expect(report.refs == 1)
        }
    }

    /// K6
    @Test func otherRepositoryIsRefused() throws {
        let other = try makeRepository()
        #expect(throws: MirrorFault.self) { try reopen(store).repair(from: other, data: false) }
    }
}
