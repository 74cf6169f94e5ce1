// # Operations: what people do to a repository
//
// The use cases, one file each, and the moves of refs beside their authorisation. This target knows
// no terminal, no FUSE and no process. Two things it is given: a `HookRunner`, which has mounts and
// programs, and a `StagingHolder`, which has the workspace. Others call it; it calls nothing above.
//
// ## Main types
// - `Repository` is a struct: an `ObjectDatabase` and a hook runner. Each use case is a function of
//   it, whose comment has its steps by number.
// - `RefUpdateAuthorization` is leave to move a ref once. Only `authorize` makes one.
// - `StagingHolder` is who holds a workspace: a live mount, or this process (`LocalHolder`).
//
// ## Folders
// - `Import/`, `Commit/`, `Merge/`, `Export/`: what makes commits, and what takes files out.
// - `RefUpdates/`: asking for leave, moving a ref, publishing a commit, branches and tags.
// - `Governance/`: protection rules, approvals, the hooks file, hook records.
// - `History/`: ancestors, changes, blame, disk usage.
// - `Verification/`: fsck with its repair, audit. `Mirror/`: copying to another store.
// - `GarbageCollection/`: `GarbageCollectionRun`, retention rules. What writers owe to it is in
//   ObjectDatabase.
//
// ## Life of a commit (from the overview of tarn)
// `Repository.commitStaged` in `Commit/CommitStaged.swift`:
// 1. `recoverSeal`: if an earlier commit broke off, its commit is looked for in the branch's ref
//    updates. If it is there, the workspace is rebased onto it; if not, the seal is given up.
// 2. `refuseIfProtected`, before anything is uploaded in vain. Then `ObjectDatabase.writing`, so
//    that the garbage collector leaves alone what follows.
// 3. `StagingHolder.seal`. **It goes on in the overviews of VFS (live mount) and Staging.**
// 4. `upload`: `forEachStagedChange` walks the sealed overlay. A file with new bytes goes into
//    `FileIngest`, read by `StagedFileSource`, which cuts anew only round the edits. What
//    `uploadAhead` has uploaded before is taken as it is. The edits go into the tree by
//    `Tree.applying`. **Uploads go on in the overview of ObjectDatabase.**
// 5. `publish` in `RefUpdates/PublishCommit.swift`, for each head again:
//    a. read the branch by `liveRef`;
//    b. if it is not the workspace's base, or a conflict was noted before, `mergeTrees` merges onto
//       it. A conflict that nobody decided is noted in the workspace, gives the seal up, and is
//       thrown;
//    c. `ObjectDatabase.flush`, then `saveCommit`: now all of it is in the bucket;
//    d. `authorize` asks the rules, the approvals and the hooks about exactly this commit;
//    e. `Workspace.recordSealedCommit` notes the commit, for step 1 of the next one;
//    f. `perform` calls `updateRef`, which writes the ref update and swaps the ref on condition
//       that it is unchanged. **The swap goes on in the overview of ObjectStorage.**
//    `updating` begins again at a. when somebody else was faster, after a pause, at most
//    `CompareAndSwapLoop.maximumAttempts` times.
// 6. `StagingHolder.rebase`: what the commit holds leaves the overlay, and what was written since
//    stays staged on the new base. `basePlanner` finds what the move needs.
// Killed before the swap, everything is still staged. Killed after it, step 1 finishes step 6.
//
// A merge, a revert, a cherry-pick and an import make their tree in another way and go through the
// same `publish`. A branch or tag is made, reset or deleted by `authorize` and `perform` alone.
//
// ## Locks
// None of its own. The lease, the caches and the upload queues of `ObjectDatabase` have theirs. Two
// commits on two hosts meet in the compare-and-swap, and nowhere else.
//
// ## Rules
// - No ref moves but by `updateRef`, and it takes a `RefUpdateAuthorization`, whose initialiser is
//   private to its file. A use case that forgets the rules does not compile. Only a mirror's refs,
//   which `updateRef` refuses to move, are copied as the source has them.
// - Before `authorize`, what the ref will point to is in the bucket: hooks look at a mount of it.
// - Hooks that run after a move cannot take it back; `announce` logs what fails.
// - Errors carry facts (`RepositoryError`). The sentences are in tarn and ErrorMessages.
