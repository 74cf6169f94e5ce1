import Foundation
import ObjectDatabase
import ObjectStorage
import Operations
import ProllyTree
import TestSupport
import Testing
import VFS
import Versioning

/// Random operations on a writable mount against a model in memory, interleaved with commits that succeed, fail, break
/// off after their publication, or run while writing goes on.
@Suite struct WorkspaceModelTests {
    @Test(arguments: seeds())
    func anySequenceOfOperationsAgreesWithTheModel(seed: UInt64) throws {
        let run = try ModelRun(seed: seed)
        try run.go(steps: 220)
    }

    /// Fixed ones that found something, and `TARN_TEST_SEEDS=from-to` for a longer search.
    static func seeds() -> [UInt64] {
        if let text = ProcessInfo.processInfo.environment["TARN_TEST_SEEDS"] {
            let bounds = text.split(separator: "-").compactMap { UInt64($0) }
            if bounds.count == 2 { return Array(bounds[0]...bounds[1]) }
        }
        return Array(1...12)
    }
}
