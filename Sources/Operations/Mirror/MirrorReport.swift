package import FoundationEssentials
import ObjectDatabase
package import Versioning

package struct MirrorReport: Sendable {
    package var refsMoved: [RefName] = []
    package var refsUnchanged = 0
    /// Refs whose target has ref updates that the source lacks: left as they are.
    package var diverged: [RefName] = []
    package var commits = 0
    /// Commits whose data the source itself has not any more.
    package var collectedCommits = 0
    package var refUpdates = 0
    package var nodes = 0
    package var lists = 0
    package var packs = 0
    package var packBytes: UInt64 = 0
    /// Packs that an earlier run had copied.
    package var packsPresent = 0
    /// Rules and records that are copied as they are.
    package var otherObjects = 0
}

package enum MirrorFault: Error, Sendable {
    case otherRepository(location: String, found: UUID, wanted: UUID)
    /// It is a repository of its own: made by `init`, or promoted.
    case notAMirror(location: String)
    case noRefMatches([String])
}
