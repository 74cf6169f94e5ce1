// # VFS: a commit, or a branch with staged changes, as a file system
//
// This target answers FUSE's verbs from trees, blocks and workspaces. It knows no libfuse and no
// use case, and its errors are its own (`VFSError`): FUSEServer makes an errno of them. What a move
// of a workspace's base needs comes in as a closure, `WorkspaceFileSystem.BasePlanner`, because
// commits know how to find it. Tests call it without a mount.
//
// ## Main types
// - `FileSystem` is the protocol that FUSEServer serves.
// - `SnapshotFileSystem` shows commits, which never change.
// - `WorkspaceFileSystem` shows a branch: the overlay of a `Workspace` over its base commit.
//
// ## Folders
// - `Snapshot/`: `SnapshotView` is one commit; `HeadFollowing` moves a mount's root to a new
//   commit; `RefDirectory` is the top of a mount of the whole repository; `ReadRecorder` notes what
//   is read.
// - `Workspace/`: `InodeTable` has the inodes that the kernel knows; a `WorkspaceInode` has a
//   `Backing`, an entry of the base or an entry of the overlay; `InodeTransaction` takes changes of
//   inodes back when their transaction fails; `SealBarrier` stops changes for a moment.
// - `ReadAhead/`: `BlockFetcher` brings blocks before they are read. `OpenFile` follows one reader,
//   `NeighbourReadAhead` a walk over small files, `ReadPlanFetcher` an order given beforehand.
//
// ## Life of a read (from the overview of FUSEServer)
// In a mount of a commit:
// 1. `SnapshotFileSystem.read` takes the inode number apart: which commit, and the rank of the
//    entry in its tree. No table of inodes is needed
//    (docs/explanation/design/001-stateless-inodes.md).
// 2. `SnapshotView.read` asks `OpenFileTable` for the `OpenFile` of that rank. If it is not there,
//    `Tree.item(atRank:)` finds the entry, and `BlockListStore.map(of:)` its `FileMap`: all blocks
//    of the file, and where each begins.
// 3. At the start of a small file, `NeighbourReadAhead.willRead` fetches it and its neighbours in
//    the pack.
// 4. `OpenFile.read` finds the block of the offset by `FileMap.blockIndex(at:)`. For a reader that
//    goes forward (also by the first read at offset 0) it has `BlockFetcher.prefetch` bring this
//    block and those behind it; after a jump, only the other blocks of the request.
// 5. `BlockFetcher.read` waits if a prefetch is bringing the block: that is the usual way of a cold
//    read. Then it calls `BlockReader.read`, which finds the block in the cache. After a jump, or
//    without a cache, `BlockReader.read` fetches it. **Both ways go on in the overview of
//    ObjectDatabase.**
// 6. If an object is missing, `ObjectDatabase.retryingStale` runs steps 2 to 5 once more, without
//    the copies that a sweep may have made stale.
//
// In a writable mount `WorkspaceFileSystem.read` looks at the inode's `Backing`. A file of the base
// is read by steps 3 and 4. A staged file is read piece by piece, as `StagedContent.source(at:)`
// says: zeros, bytes of a data file, or a committed file by step 4.
//
// ## Life of a write
// 1. `WorkspaceFileSystem.write` passes the `SealBarrier`.
// 2. `writable` puts the file into the overlay, if it is not there, and names the data file that
//    takes its bytes. The directories above are staged with it. That is one transaction.
// 3. `writeFully` writes to the data file, and `note` keeps the range in memory.
// 4. `flush`, `sync` or `persistPeriodically` put the ranges into the overlay by `persist`. `sync`
//    then waits until data and overlay are on the disk.
//
// What a change leaves behind (a removed file that nobody holds, bytes behind a cut) is given to
// the `DataFileReclaimer`, which makes room of it within seconds, or at once for who needs it.
//
// ## Life of a commit (from the overview of Operations)
// A commit is another process. Its requests arrive on the control socket's thread.
// 1. `WorkspaceFileSystem.seal` closes the barrier, saves all inodes, calls `Workspace.seal`, and
//    has every file's next write begin a new data file
//    (docs/explanation/design/002-seal-by-copy.md).
// 2. The commit is made and published without this mount. Writers go on.
// 3. `WorkspaceFileSystem.rebase` closes the barrier, asks the `BasePlanner`, and calls
//    `Workspace.rebase` under the table's lock, with the new base. Each inode is then read again
//    when it is next used.
// 4. `KernelCache.dropContent` and `dropName` make the kernel forget what is different now.
// If the commit failed, `WorkspaceFileSystem.abandonSeal` saves all inodes, begins new data files
// and calls `Workspace.abandonSeal`.
// **Sealing and rebasing go on in the overview of Staging.**
//
// ## Locks
// Their order is: seal barrier, inode table, data file reclaimer, database (a transaction), one
// inode. Read-ahead has locks of its own, and none of them is held during a GET. Nothing waits for
// the store under the table's lock, but for a tree node that `warm` loaded and the cache has
// dropped since.
//
// ## Rules
// - What fails below becomes a log line and `VFSError.inputOutput` in `reportingFailures`; a full
//   disk becomes `VFSError.noSpace`. The words are those of ErrorMessages.
// - Whoever changes an inode within a transaction calls `InodeTransaction.willChange` before.
// - Bytes of a data file that two files show are never written again.
// - A commit never reads through this mount: it would wait for itself.
