// # BlockingIO: threads that wait, and calls of the system
//
// What every target needs to block well: monitors, pools, descriptors, child processes. It knows
// nothing of ours. The data path of Tarn is synchronous: a call blocks its thread until there is an
// answer, on a thread of libfuse or of a pool here, never on Swift's cooperative pool, which has as
// many threads as the machine has cores.
//
// ## Main types
// - `Monitor` is a value behind a lock, with waiting for it to change.
// - `WorkerPool` is a fixed number of threads with a bounded queue.
// - `ChildProcess` is a program that was started; it can be waited for.
//
// ## Files
// - `Monitor.swift`, `WorkerPool.swift` (with `startThread` and `concurrently`),
//   `OrderedPipeline.swift`: threads.
// - `Descriptors.swift`: reading and writing in full, pipes. `SystemErrors.swift`: `SystemFailure`
//   names the path, `Errno` only the number.
// - `SimulatedHost.swift`: clocks, sleep and random numbers of a thread whose host is simulated.
// - `ChildProcess.swift`, `Directories.swift`, `Holder.swift`, `Sleep.swift`: calls of the system.
// - `LocalTree.swift`: a local directory and what is below it, reached by descriptors.
// - `BoundedCache.swift`: a dictionary with a limit. `Hex.swift`: hexadecimal digits.
//
// ## Life of a job
// 1. `OrderedPipeline.submit` waits while as many jobs are unfinished as its limit allows. That
//    bounds the memory of all of them.
// 2. `WorkerPool.submit` puts the job into the queue and wakes one thread.
// 3. The thread runs it and keeps the result under its number.
// 4. Whoever finds the next number done consumes it, one thread at a time, in the order of
//    submission.
// 5. The first error stops the pipeline: later jobs are skipped, and `submit` or `finish` throws
//    it.
//
// ## Locks
// A `Monitor` holds its lock while the closure runs: keep closures short, and never wait for
// anything else in one. Every change wakes all who wait; say `wakes: false` where nobody waits for
// it.
//
// ## Rules
// - Every queue here has a limit, and whoever fills it waits.
// - Reading, writing, waiting and sleeping go on after EINTR here; callers need not.
// - A child gets the descriptors that it is given, and no other. It begins with no signal blocked,
//   although the thread that starts it may block some.
// - A cache that is full drops its oldest quarter. It is never emptied because it is full.
