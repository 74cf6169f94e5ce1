import BlockingIO
package import ObjectDatabase
package import Versioning

package struct GarbageOptions: Sendable {
    /// Delete; else only say what would be deleted.
    package var deletes = false
    /// What is younger stays, whoever needs it.
    package var grace = Duration.days(7)
    /// Rewrite packs of which at least this share is dead, 0 ... 1.
    package var repackShare: Double?
    /// How far the clocks of the store's servers may be apart.
    package var clockSlack = Duration.zero
    /// Collect as if it were then, for tests.
    package var present: Timestamp?

    package init() {}
}

package struct GarbageReport: Sendable {
    package struct Amount: Hashable, Sendable {
        package var objects = 0
        package var bytes: UInt64 = 0

        mutating func add(_ bytes: UInt64) {
            objects += 1
            self.bytes += bytes
        }

        static func + (left: Amount, right: Amount) -> Amount {
            Amount(objects: left.objects + right.objects, bytes: left.bytes + right.bytes)
        }
    }

    package struct Kinds: Hashable, Sendable {
        package var nodes = Amount()
        package var lists = Amount()
        package var packs = Amount()

        package var total: Amount { nodes + lists + packs }
    }

    package struct Expired: Sendable {
        package let commit: CommitID
        package let seconds: Int64
        package let message: String
        /// Why it goes.
        package let reason: String
    }

    package var keptCommits = 0
    /// Commits whose data goes with this run.
    package var expired: [Expired] = []
    /// Commits whose data went with an earlier one.
    package var collectedBefore = 0
    package var live = Kinds()
    /// In use by nobody and old enough to go.
    package var dead = Kinds()
    /// In use by nobody, but younger than the grace period or than a running upload.
    package var young = Kinds()
    /// Packs in use that hold bytes which nobody uses; `bytes` counts those.
    package var partlyDead = Amount()
    /// Those of them that `repackShare` names.
    package var repackable = Amount()
    /// Packs that were rewritten; `bytes` counts what was copied.
    package var repacked = Amount()
    package var leases: [Lease] = []
    package var deleted = Amount()
}
