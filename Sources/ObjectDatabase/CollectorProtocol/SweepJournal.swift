import BlockingIO
package import ObjectStorage
package import Versioning

/// `gc/sweeps.json`: runs of the garbage collector that delete, or have deleted lately.
package struct SweepJournal: Codable {
    package struct Run: Codable {
        package var id: String
        package var began: Timestamp
        package var ended: Timestamp?
        /// Changes as long as the run lives.
        package var pulse: Int
        /// When it changed last, by the run's clock.
        package var alive: Timestamp?
        /// It has begun to delete. Before that it has only noted what it is going to delete (`collected/`).
        package var deletes: Bool?
        /// It has ended, and each of its requests was answered: none can arrive any more.
        package var isSettled: Bool?

        package init(id: String, began: Timestamp) {
            self.id = id
            self.began = began
            pulse = 0
        }
    }

    package var format = 1
    package var runs: [Run] = []
    /// When the last of the runs ended that are not listed any more.
    package var lastEnded: Timestamp?

    /// Forgets runs of long ago.
    package mutating func removeRuns(_ isOld: (Run) -> Bool) {
        // One that broke off has long been dead.
        let ends = runs.filter(isOld).map { $0.ended ?? now() } + (lastEnded.map { [$0] } ?? [])
        lastEnded = ends.max()
        runs.removeAll(where: isOld)
    }

    /// The journal as it is; `nil` before the first sweep.
    package static func load(from store: any ObjectStore) throws -> SweepJournal? {
        try store.find(ObjectKeys.sweeps).map { try decode($0.bytes) }
    }

    private static func decode(_ bytes: [UInt8]) throws(ObjectDatabaseError) -> SweepJournal {
        try decodeObject(bytes, key: ObjectKeys.sweeps)
    }

    /// A run that has shown no life for so long has ended.
    package static let deadAfterMilliseconds = 180_000

    package static func waitForEnd(of run: Run, in store: any ObjectStore) throws {
        var pulse = run.pulse
        var silentMilliseconds = 0
        while silentMilliseconds < deadAfterMilliseconds {
            let present = try load(from: store)?.runs.first { $0.id == run.id }
            guard let present, present.ended == nil else { return }
            if present.pulse != pulse { silentMilliseconds = 0 }
            pulse = present.pulse
            sleepMilliseconds(200)
            silentMilliseconds += 200
        }
    }

    /// Changes the object by compare-and-swap.
    package static func update(in store: any ObjectStore, _ body: (inout SweepJournal) throws -> Void) throws {
        try store.update(ObjectKeys.sweeps) { found in
            var journal = try found.map { try decode($0.bytes) } ?? SweepJournal()
            try body(&journal)
            return encodeRecord(journal)
        }
    }
}
