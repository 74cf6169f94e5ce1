// # tarn: the program
//
// Arguments, output, exit codes, and what needs processes: mounts in the background, hooks,
// programs that are run. A command finds its repository, calls one use case of Operations, and
// prints. It has no rule of a repository's own.
//
// ## Main types
// - `Tarn` is the root command; `Tarn.main` runs one and ends the process by its exit code.
// - `OpenWorkspace` is a workspace, and who holds it: a live mount or this process.
// - `ControlServer` serves what commands ask of a live mount: a Unix socket, one JSON line a
//   request. `MountHolder` is the command's side of it.
//
// ## Files and folders
// - `Commands/`: a file for each command or family of commands.
// - `Hooks/`: `CommandHookRunner` runs hooks over a `TemporaryMount` of what would be published, if
//   the user trusts their file (`TrustedHooks`).
// - `Options.swift`: arguments that many commands take, and how a repository is opened.
// - `FailureMessages.swift`: `describe`, the words for errors that only commands see. All others
//   are in ErrorMessages. `Failure.swift` has the exit codes.
// - `StandardStreams.swift` is the only door to standard output and standard error;
//   `Output.swift`: text for people, JSON for programs, progress.
// - `KernelMount.swift`: mounts as the kernel tells them; `MountDescription.swift`: what one says
//   of itself.
// - `HostDirectories.swift`, `RuntimeDirectory.swift`: where state, cache and sockets lie.
// - `ControlSocket.swift` (the mount's side), `ControlClient.swift`, `ControlListener.swift`: the
//   control socket. `OpenWorkspace.swift` and `CommitLock.swift` say who holds a workspace, and
//   `WorkspaceBinding.swift` which place it belongs to.
// - `Daemon.swift`, `MountLease.swift`, `PeriodicTask.swift`: a mount in the background.
//   `Unmounting.swift`: its end.
//
// ## Life of a commit
// 1. `Tarn.main` parses the arguments, and `CommitCommand.run` begins.
// 2. `OpenWorkspace` finds the workspace: by the mount that the current directory lies in
//    (`KernelMount`, `MountDescription`), or by name; `bindWorkspace` refuses that of another
//    place. It opens the repository by `openRepository`: the store, with retries and counts, in an
//    `ObjectDatabase` with the host's block cache, in a `Repository` with the `CommandHookRunner`.
// 3. `WorkspaceLock` is free, and then this process holds the workspace by a `LocalHolder`. Or a
//    live mount has it and has written into it where its socket is; then the holder is a
//    `MountHolder`.
// 4. `CommitLock` keeps a second commit of the same workspace out.
// 5. `Repository.commitStaged` does the rest. **The commit goes on in the overview of Operations.**
//    Its `seal`, `rebase` and `abandonSeal` reach a live mount as lines on the socket:
//    `MountHolder` sends them, and `ControlServer` hands them to the `WorkspaceFileSystem` of VFS.
// 6. `show` prints the commit's id, or JSON. An error goes through `describe` and `fail`.
//
// ## Life of a mount
// 1. `Mount.run` checks the mount point. `Daemon.spawn` starts this program again, in the
//    background, and waits until it says that the mount is up.
// 2. `serveCommit` makes a `SnapshotFileSystem`; `serveBranch` takes the `WorkspaceLock`, finishes
//    a commit that broke off, and makes a `WorkspaceFileSystem` with the `BasePlanner` of its
//    `WorkspaceLease`, which tells the garbage collector. A read-only mount has a `MountLease`.
// 3. `FUSEServer.run` serves until the end. **A read goes on in the overview of FUSEServer.**
// 4. `Served.end` stops the threads, saves what is staged, and gives the lease back.
//
// ## Locks
// Between processes, in this order: `lock` of the workspace (`WorkspaceLock`), then `commit.lock`
// (`CommitLock`). A control request is served by one thread, one at a time; it may take the locks
// of VFS.
//
// ## Rules
// - A commit is a process of its own, because a mount must never read itself.
// - Untrusted hooks refuse the operation. They are never skipped.
// - Errors, hints and progress go to standard error; standard output has only the result.
// - What is printed is a `TerminalText` of Versioning, in which foreign text is escaped. Output
//   that cannot be written is a failure.
