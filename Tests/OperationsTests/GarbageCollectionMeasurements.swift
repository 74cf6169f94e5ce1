import Foundation
import Glibc
import ObjectDatabase
import ObjectStorage
import Operations
import ProllyTree
import TestSupport
import Testing
import Versioning

/// What a collection costs at a size that can be made here. Only on request: TARN_MEASURE_COLLECTION=<files>.
@Suite(.serialized, .enabled(if: ProcessInfo.processInfo.environment["TARN_MEASURE_COLLECTION"] != nil))
struct GarbageCollectionMeasurements {
    private let files = Int(ProcessInfo.processInfo.environment["TARN_MEASURE_COLLECTION"] ?? "") ?? 0

    private func residentBytes() -> Int {
        guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8) else { return 0 }
        return (text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * 4096
    }

    /// Orphaned objects of all three kinds beside a live tree.
    @Test func manyObjects() throws {
        let store = MemoryStore()
        let repository = try makeRepository(in: store)
        try repository.importing("live", "bytes")
        // Objects that nothing reaches, as many as asked for: made by hand, for the import would take longer.
        for number in 0..<files {
            let id = NodeID(hashing: Array("\(number)".utf8)).hex
            let kind = ["trees", "lists", "packs"][number % 3]
            let name = kind == "packs" ? String(id.prefix(32)) : id
            _ = try store.put("\(kind)/\(id.prefix(2))/\(name)", Array("orphan \(number)".utf8), .none)
        }
        let before = residentBytes()
        for deletes in [false, true] {
            let start = ContinuousClock.now
            let report = try reopen(store).collect(deletes: deletes)
            let seconds = Double((ContinuousClock.now - start).components.attoseconds) / 1e18
            let whole = Double((ContinuousClock.now - start).components.seconds) + seconds
            print(
                "\(deletes ? "delete" : "dry run"): \(report.dead.total.objects) dead objects in \(whole) s, "
                    + "\((residentBytes() - before) >> 20) MiB more resident")
            #expect(report.dead.total.objects == files)
        }
        #expect(try objectCount(store, "packs/") == 1)
    }

    /// A live tree of many files in many versions.
    @Test func manyFilesAndVersions() throws {
        let directory = try TemporaryDirectory()
        let store = try DirectoryStore(directory.path)
        let repository = try makeRepository(in: store)
        let source = try TemporaryDirectory()
        let files = files / 10
        for number in 0..<files { try source.write("file \(number)", Array("contents \(number)".utf8)) }
        _ = try repository.importDirectory(source.path, into: .main, .test())
        for number in 0..<20 { try repository.importing("file \(number * 37)", "changed") }
        try repository.keep("main", commits: 5)
        let before = residentBytes()
        let start = ContinuousClock.now
        let report = try reopen(store).collect(repackShare: 0.5)
        print(
            "\(files) files, 21 versions: \(ContinuousClock.now - start), live \(report.live.total.objects) objects, "
                + "dead \(report.dead.total.objects), \((residentBytes() - before) >> 20) MiB more resident")
        #expect(try reopen(store).fsck(data: false).damage.isEmpty)
    }
}
