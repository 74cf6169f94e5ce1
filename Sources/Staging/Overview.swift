// # Staging: what was changed and not committed
//
// A workspace is a directory on this host: a SQLite database with names and attributes, and data
// files with staged bytes. It is the only precious thing outside the bucket. This target knows no
// store, no mount and no FUSE. Entries of the base commit come in from the caller.
//
// ## Main types
// - `Workspace` is the opened directory: transactions, seals, moves of the base.
// - `Overlay` is the tables within one transaction, the current ones or the sealed ones.
// - `OverlayEntry` is one node of it: a file, directory or link that is new or changed. A file has
//   a `StagedContent`: which ranges show data files, zeros or committed files (`StagedRanges`).
//
// ## Files
// - `Workspace+….swift`: one topic each (seal, rebase, conflicts, discard, uploads ahead, use).
// - `StagedChanges.swift`: what an overlay changes against its base, path by path.
// - `BaseMove.swift`: what a move to another base must know of both.
// - `LogFile.swift`: the database's log as a file of ours, synced apart, with room taken ahead.
// - `WorkspaceLock.swift`: one process at a time.
//
// ## Life of a change (from the overview of VFS)
// 1. `Workspace.write` begins a transaction and hands an `Overlay` to its body. `insert`, `update`,
//    `setName` and `remove` change the tables. `nextChange` gives the change its number.
// 2. The transaction is kept, and survives the end of the process; or it is undone, and `undo` is
//    called before another begins.
// 3. `Workspace.makeDurable` makes all of it survive power loss. It begins to write the log, runs
//    the caller's sync of data files, then syncs the log.
// Bytes are written to data files by VFS (`openData`) and only their ranges come here.
//
// ## Life of a commit (from the overviews of Operations and VFS)
// 1. `Workspace.seal` copies the tables and notes the newest change; durable when it returns. Data
//    files are not copied: from now on each file's next write begins another one.
// 2. `forEachStagedChange` walks the sealed overlay against the base (`readSealed`).
// 3. `recordSealedCommit` notes which commit is about to be published, durably.
// 4. After the publication `Workspace.rebase` takes a `BaseMove`. What the current overlay has in
//    common with the sealed one leaves it; what was written since stays; what only others changed
//    is taken over, field by field. Paths that both changed come back as conflicts.
// 5. `finishMove` makes that durable and deletes data files that nothing shows.
// If the commit failed, `abandonSeal` drops the copy, and all is staged as before.
// `Workspace.update` is step 4 with nothing sealed.
//
// ## Locks
// `WorkspaceLock` (a flock(2)) is for one process, for as long as it holds the workspace. Inside it
// the database lets one transaction in at a time; `Counters` and `LogFile` have mutexes under that.
// Reading inside `write` on the same thread sees the changes of the transaction.
//
// ## Rules
// - A range may be in the database before its bytes are on the disk only where it covers nothing
//   older (`mayCoverOlderBytes`). Otherwise power loss would show neither the old bytes nor the
//   new.
// - Delete a data file only after the change that let go of it is durable.
// - Bytes of a data file that two files show, or that are sealed, are never written again.
// - On a full disk removing must still work: transactions that stage stop while there is a little
//   room, and `holdReserve` keeps a megabyte back.
// - A step of the schema that was released is never changed.
