/// What can go wrong in a workspace.
package enum WorkspaceError: Error, Hashable, Sendable {
    /// Another process uses it; `holder` is what that process wrote about itself.
    case inUse(directory: String, holder: String)
    /// It belongs to another repository or branch than asked for.
    case belongsElsewhere(directory: String, found: String, wanted: String)
    /// Written by a newer Tarn.
    case newerFormat(directory: String, found: Int)
    case database(path: String, reason: String)
    /// A stored record does not decode.
    case corrupt(path: String, reason: String)
    case localIO(path: String, errno: Int32)
    /// What was written to the file may not be on the disk, and never will be: its sync failed (see `SyncFailures`).
    case syncFailed(path: String, errno: Int32)
    /// The workspace takes no more changes because the sync of that file failed.
    case readOnly(path: String, errno: Int32)
    /// A directory was moved so that a path below it is longer than a tree holds.
    case pathTooLong(beginning: [UInt8])
    case notThere(directory: String)
    /// A commit is under way (or broke off) on what is sealed.
    case alreadySealed
    case notSealed
}
