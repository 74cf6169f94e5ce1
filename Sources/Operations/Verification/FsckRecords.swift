import ObjectDatabase
import ObjectStorage
import ProllyTree
import Versioning

/// Records beside the commits that stop a command when they do not decode: what the garbage collector, its writers and the gates
/// tell each other.
extension FsckRun {
    mutating func records() throws {
        let database = repository.database
        for object in try database.listKeys(ObjectKeys.leases) {
            note(reading: object.key) {
                _ = try database.lease(id: String(object.key.dropFirst(ObjectKeys.leases.count)))
            }
        }
        for object in try database.listKeys(ObjectKeys.queue) {
            note(reading: object.key) { _ = try MergeQueue.stored(object.key, database.store) }
        }
        note(reading: ObjectKeys.sweeps) { _ = try SweepJournal.load(from: database.store) }
        for tree in collected.subtracting(seenRecords).sorted() {
            note(reading: ObjectKeys.collected(tree)) { _ = try CollectedTree.load(tree, from: database.store) }
        }
        for object in try database.listKeys(ObjectKeys.moved) {
            note(reading: object.key) { try PackForwarding.check(object.key, database.store) }
        }
    }

    private mutating func note(reading key: String, _ body: () throws -> Void) {
        do { try body() } catch { note(ObjectFault(error, reading: key)) }
    }

    /// What is noted twice is said once (`joinedByObject`).
    mutating func note(_ fault: ObjectFault, in commit: CommitID? = nil) {
        report.damage.append(Damage(object: fault.object, reason: fault.reason, commit: commit))
    }
}
