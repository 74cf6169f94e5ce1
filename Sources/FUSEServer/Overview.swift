// # FUSEServer: a file system behind the kernel's FUSE
//
// This target takes the kernel's requests from libfuse, asks a `FileSystem` of VFS, and answers. It
// knows no repository, commit, block or store. It is the only importer of CFUSE, and the only place
// where an error becomes an errno.
//
// ## Main types
// - `FUSEServer` mounts a file system, serves it until the end, and unmounts.
// - `ServerContext` is what the callbacks of one session share; libfuse carries a pointer to it.
// - `Reply` is the one answer to a request.
//
// Beside them: `SessionCache` makes the kernel forget what it has cached. `Passthrough` hands the
// kernel files of this host, which it then reads by itself
// (docs/explanation/design/014-passthrough.md). `MessageCounts` counts for `tarn stats`.
// `ReadAhead` raises the kernel's own read-ahead.
//
// ## Files
// - `Arguments.swift` makes checked values of what a request carries (`FileOffset`, `FileRange` …).
// - `Callbacks.swift` has the callbacks that look, `WritingCallbacks.swift` those that change.
// - `Reply.swift` has all that is sent; `ErrnoTable.swift` has `VFSError.number`.
// - `Sources/CFUSE/loop.c` reads requests; `Sources/CFUSE/cfuse.c` has what libfuse has no call
//   for.
//
// ## Life of a read
// 1. A program calls read(2). If the kernel has the pages, it answers by itself.
// 2. If not, it sends a READ message. A thread of `tarn_session_loop` receives it, and another one
//    goes on to wait for the next message. libfuse calls `onRead`.
// 3. `onRead` calls `serve`, which finds the `ServerContext` and counts the message.
// 4. `tarn_reply_buffer` answers memory of this thread, which all its reads use in turn.
// 5. `FileSystem.read` fills it. **The read goes on in the overview of VFS.**
// 6. The bytes come back as `Reply.buffer`, and `ServerContext.send` hands them to the kernel. A
//    `VFSError` is sent as its errno instead.
//
// Two things come before the first read of a file:
// - `onLookup` answers an inode number and how long the kernel may remember it: a day in a commit,
//   a second in a writable mount.
// - `onOpen` answers ENOSYS where `FileSystemTraits.needsNoOpen` says so; then the kernel never
//   sends an open again. Where `Passthrough.open` finds the whole file in the block cache, the
//   kernel gets that file, and no read of it comes here.
//
// ## Life of a write
// `onWrite` calls `FileSystem.write` with the bytes where libfuse has received them. close(2)
// arrives as `onFlush`, fsync(2) as `onSync`. Both go on in the overview of VFS.
//
// ## Rules
// - What a request carries is a program's choice. It becomes a checked value in `Arguments.swift`;
//   behind it nothing is converted by force or added unchecked.
// - A request is answered exactly once. `serve` sees to it; answer nowhere else.
// - A callback is a plain function at file level. A closure in a main-actor context would inherit
//   that isolation and trap on libfuse's threads, without a warning of the compiler.
// - Callbacks block for as long as the store takes. There are `FUSEServer.Options.threads` of them.
// - Never call `SessionCache` on a thread that serves requests, nor under a lock that one may need:
//   the kernel lets it wait for requests under way.
// - `prepare` must run between mounting and serving, since it changes the answer to INIT.
//
// ## Locks
// `Passthrough` has one mutex. It looks for a file of this host outside it, since that takes time.
// `SessionCache` has one, which it holds while the kernel forgets, so that the session cannot end
// meanwhile. Neither is taken under the other.
