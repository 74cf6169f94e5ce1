import ObjectDatabase
import ObjectStorage
import Operations
import ProllyTree
import TestSupport
import Testing
import Versioning

/// One flipped bit in an object of every kind: reading names the object or gives the right bytes, never others; fsck
/// finds it.
@Suite struct DamageTests {
    private let store = MemoryStore()
    private let small = Array("the small file's bytes".utf8)
    private let large: [UInt8]
    private let head: CommitID

    init() throws {
        var random = SeededRandom(seed: 21)
        large = random.bytes(12 << 20)
        let repository = try makeRepository(in: store)
        let source = try TemporaryDirectory()
        try source.write("small", small)
        try source.write("large", large)
        head = try repository.importDirectory(source.path, into: .main, .test()).commitID
    }

    private func keys(_ prefix: String) throws -> [String] {
        try store.list(prefix: prefix, after: nil, limit: 1000).objects.map(\.key)
    }

    /// Flips one bit, runs `body` on the repository as a new process sees it, and mends it again.
    private func withFlippedBit(_ key: String, _ bit: Int, _ body: (FaultyStore) throws -> Void) throws {
        let bytes = try store.get(key, range: nil, ifMatch: nil).bytes
        var flipped = bytes
        flipped[bit / 8 % bytes.count] ^= 1 << UInt8(bit % 8)
        _ = try store.put(key, flipped, .none)
        try body(FaultyStore(store))
        _ = try store.put(key, bytes, .none)
    }

    /// The objects that errors name while everything is read. Records an issue when other bytes are served.
    private func read(_ store: FaultyStore) throws -> Set<String> {
        var named: Set<String> = []
        for (path, bytes) in [("small", small), ("large", large)] {
            do {
                let repository = try reopen(store)
                let id = try repository.database.resolve("main").commitID
                #expect(id == head, "another commit was served")
                #expect(try repository.bytes(of: path, in: id) == bytes, "other bytes were served")
            } catch ObjectDatabaseError.corrupt(let object, _) {
                named.insert(object)
            } catch ObjectDatabaseError.missingObject(let object, _) {
                named.insert(object)
            } catch ObjectDatabaseError.newerFormat(let object, _, _) {
                named.insert(object)
            } catch TreeError.corrupt(let id, _) {
                named.insert("trees/\(id.hex.prefix(2))/\(id.hex)")
            }
        }
        return named
    }

    @Test(arguments: ["commits/", "trees/", "lists/", "packs/", "movements/"])
    func flippedBitIsNamedByReadingAndByFsck(prefix: String) throws {
        var random = SeededRandom(seed: 22)
        let clean = try reopen(store).fsck(data: true)
        #expect(clean.damage.isEmpty && clean.files == 2)
        for key in try keys(prefix) {
            // The random bytes at the end of an object of two parts say nothing.
            let ignored: UInt64 = ["trees/", "lists/"].contains(prefix) ? 16 : 0
            let count = try store.head(key).sizeBytes - ignored
            var harmless = 0
            for _ in 0..<(prefix == "packs/" ? 3 : 12) {
                let bit = random.below(Int(count) * 8)
                try withFlippedBit(key, bit) { store in
                    let named = try read(store)
                    #expect(named.isSubset(of: [key]), "\(key), bit \(bit)")
                    let report = try reopen(store).fsck(data: true)
                    if report.damage.isEmpty, named.isEmpty {
                        harmless += 1
                    } else {
                        #expect(report.damage.contains { $0.object == key }, "\(key), bit \(bit): \(report.damage)")
                    }
                }
            }
            // A zstd frame has a few bits that no decoder looks at.
            #expect(harmless <= (["trees/", "lists/"].contains(prefix) ? 2 : 0), "\(key)")
        }
    }

    @Test func everyPathOfADamagedPackIsNamed() throws {
        for key in try keys("packs/") {
            let isLarge = try store.head(key).sizeBytes > 1 << 20
            try withFlippedBit(key, 5) { store in
                #expect(try read(store) == [key])
                let damage = try reopen(store).fsck(data: true).damage
                #expect(damage.map(\.object) == [key])
                #expect(damage.first?.paths.map { "\($0)" } == [isLarge ? "large" : "small"])
            }
        }
    }

    @Test func damagedListNamesItsFile() throws {
        let key = try #require(try keys("lists/").first)
        try withFlippedBit(key, 8 * 60) { store in
            #expect(try read(store) == [key])
            let damage = try reopen(store).fsck(data: false).damage
            #expect(damage.map(\.object) == [key])
            #expect(damage.first?.paths.map { "\($0)" } == ["large"])
        }
    }

    @Test func flippedBitInARefNeverServesAnotherCommit() throws {
        let key = "refs/heads/main"
        // A flip may go unseen (a digit in upper case is the same digit); `read` checks what is served.
        for bit in 0..<min(Int(try store.head(key).sizeBytes) * 8, 400) {
            try withFlippedBit(key, bit) { _ = try read($0) }
        }
    }

    @Test func flippedBitInTheConfigurationIsNamed() throws {
        let key = "tarn.json"
        for bit in stride(from: 0, to: 60 * 8, by: 3) {
            try withFlippedBit(key, bit) { store in
                let named = try read(store)
                #expect(named.isSubset(of: [key]))
            }
        }
    }

    @Test(arguments: ["commits/", "trees/", "lists/", "packs/", "movements/"])
    func missingObjectIsNamedByFsck(prefix: String) throws {
        for key in try keys(prefix) {
            let bytes = try store.get(key, range: nil, ifMatch: nil).bytes
            try store.delete(key)
            let damage = try reopen(store).fsck(data: false).damage
            #expect(damage.contains { $0.object == key }, "\(key): \(damage)")
            _ = try store.put(key, bytes, .none)
        }
    }

    @Test(arguments: ["packs/", "trees/", "lists/", "commits/"])
    func truncatedObjectIsNamed(prefix: String) throws {
        for key in try keys(prefix) {
            let bytes = try store.get(key, range: nil, ifMatch: nil).bytes
            _ = try store.put(key, Array(bytes.dropLast()), .none)
            #expect(try read(FaultyStore(store)).isSubset(of: [key]))
            #expect(try reopen(store).fsck(data: false).damage.contains { $0.object == key }, "\(key)")
            _ = try store.put(key, bytes, .none)
        }
    }

    @Test func shortAnswerIsAnError() throws {
        let faulty = FaultyStore(store) { call in
            call.kind == .get && call.key.hasPrefix("packs/") ? .truncate(to: 5) : .pass
        }
        #expect(try read(faulty).count == keys("packs/").count)
    }
}
