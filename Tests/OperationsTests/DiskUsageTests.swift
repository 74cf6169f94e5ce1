import ObjectDatabase
import ObjectStorage
import Operations
import TestSupport
import Testing
import Versioning

@Suite struct DiskUsageTests {
    /// D1
    @Test func sharedAndOwnBytesAreTold() throws {
        let repository = try makeRepository()
        var random = SeededRandom(seed: 3)
        let source = try TemporaryDirectory()
        try source.write("common", random.bytes(100_000))
        _ = try repository.importDirectory(source.path, into: .main, .test())
        for (name, size) in [("a", 10_000), ("b", 20_000)] {
            try repository.createRef(.branch(name), at: repository.head(), who: "Test", why: "")
            let more = try TemporaryDirectory()
            try more.write("own \(name)", random.bytes(size))
            _ = try repository.importDirectory(more.path, into: .branch(name), .test())
        }
        try repository.createRef(.tag("v1"), at: repository.head(.branch("a")), who: "Test", why: "")
        let report = try repository.diskUsage(
            of: RefName.Kind.allCases.flatMap { try repository.database.listRefs($0) })
        let stored = Dictionary(uniqueKeysWithValues: report.refs.map { ($0.ref.qualified, $0.storedBytes) })
        let own = Dictionary(uniqueKeysWithValues: report.refs.map { ($0.ref.qualified, $0.uniqueStoredBytes) })
        #expect(stored == ["heads/main": 100_000, "heads/a": 110_000, "heads/b": 120_000, "tags/v1": 110_000])
        #expect(own == ["heads/main": 0, "heads/a": 0, "heads/b": 20_000, "tags/v1": 0])
        #expect(report.storedBytes == 130_000 && report.sharedStoredBytes == 110_000)
        #expect(report.refs.map(\.logicalBytes).sorted() == [100_000, 110_000, 110_000, 120_000])
    }
}
