import ObjectDatabase
package import ProllyTree
import Synchronization
import Versioning

/// Inode numbers, and the commits that they stand for.
extension SnapshotFileSystem {
    enum Destination {
        case above(UInt64)
        case inside(SnapshotView, slot: Int, rank: UInt64)

        var isAboveCommits: Bool {
            if case .above = self { return true }
            return false
        }
    }

    func destination(_ inode: InodeNumber) -> Destination {
        let slot = Int(inode.value >> Self.rankBits)
        let low = inode.value & (1 << Self.rankBits - 1)
        if slot == 0, directory != nil { return .above(low) }
        if slot == 0, let following { return destination(slot: following.currentSlot, low: low) }
        return destination(slot: slot, low: low)
    }

    func destination(slot: Int, low: UInt64) -> Destination {
        slots.withLock { slots in
            let index = slot - firstSlot
            guard index >= 0, index < slots.views.count, low > 0, let view = slots.views[index] else {
                return .above(UInt64.max)
            }
            return .inside(view, slot: slot, rank: low - 1)
        }
    }

    /// The slot that shows a commit, a new one if needed; `nil` when there are no more.
    func slot(_ id: CommitID, _ commit: Commit) -> Int? {
        slots.withLock { slots in
            if let known = slots.byCommit[id] { return known + firstSlot }
            guard slots.views.count < Self.maximumSlots - firstSlot else { return nil }
            slots.views.append(SnapshotView(id, commit, database: database, fetcher: fetcher))
            slots.lookups.append(0)
            slots.byCommit[id] = slots.views.count - 1
            return slots.views.count - 1 + firstSlot
        }
    }

    /// The trees of the commits that are shown now.
    package func shownTrees() -> [NodeID] {
        slots.withLock { slots in slots.views.compactMap { $0?.commit.tree } }
    }

    /// Lets go of a commit that the root has moved away from and the kernel has forgotten.
    func releaseIfUnused(slot: Int) {
        guard let following, slot != following.currentSlot else { return }
        slots.withLock { slots in
            let index = slot - firstSlot
            guard index >= 0, index < slots.views.count, slots.lookups[index] == 0, let view = slots.views[index] else {
                return
            }
            slots.views[index] = nil
            slots.byCommit[view.commitID] = nil
        }
    }

    /// The kernel took a reference to something in a slot.
    func countLookup(slot: Int) {
        if following != nil { slots.withLock { $0.lookups[slot - firstSlot] += 1 } }
    }

    func inode(slot: Int, rank: UInt64) -> InodeNumber {
        InodeNumber(UInt64(slot) << Self.rankBits | (rank + 1))
    }
}
