// # ObjectStorage: blobs by key, with compare-and-swap
//
// This target stores bytes under keys, in an S3 bucket or in a local directory. It does not know
// what the bytes mean. Everything that is shared between hosts rests on one promise of it: a `put`
// on a condition happens only if the condition holds.
//
// ## Main types
// - `ObjectStore` is the protocol; `openStore` makes one from a `StoreLocation`.
// - `S3Store` and `DirectoryStore` implement it: one try a call, no retries.
// - `RetryingStore` lies over either and tries again what may pass. `MeteredStore` lies on top and
//   counts.
//
// `CompareAndSwapLoop` is the one loop round a compare-and-swap: it pauses, and it ends.
// `probeCompareAndSwap` finds out, for `tarn init`, whether a store keeps the promise.
//
// ## Folders
// - `S3/`: requests, signatures (`SignatureV4`), answers (`S3Answer`), errors (`S3Fault`).
// - `HTTP/`: `HTTPClient` over libcurl; `RequestPacer` and `RequestLimit` decide how many requests
//   are under way, `LatencyTracker` when a read is late.
// - `Credentials/`: where the AWS tools find theirs, in their order; renewed before they end.
// - `Directory/`: one file an object, published by a rename.
//
// ## Life of a GET (from the overview of ObjectDatabase)
// 1. `MeteredStore.get` counts, and `RetryingStore.get` calls the store until it answers, for as
//    long as the error may pass and the time is not up.
// 2. `S3Store.get` makes an `S3Request` with the range. `send` asks `CredentialProvider` for
//    credentials, signs, and sends again once if the clock, the region or the token was wrong.
// 3. `RequestPacer.exchange` waits in line for a permit. `HTTPClient.exchange` takes a connection
//    and runs on this thread. If the read is late and a hedge token is there, a second, identical
//    request runs beside it; the first whole answer wins.
// 4. `S3Answer.object` checks status, range and length. What is wrong is `StoreError.badAnswer`.
// A `DirectoryStore` opens the file and reads the range instead. Nobody here verifies content:
// **the answer goes back to ObjectDatabase**, and the block's hash says whether it is right.
//
// ## Life of a PUT on a condition (from the overview of Operations)
// 1. `S3Store.put` sends `If-None-Match: *` for `WriteCondition.absent`, and `If-Match` for
//    `WriteCondition.matches`, with or without quotes as `S3Quirks` says.
// 2. If the condition does not hold, the error is `StoreError.preconditionFailed`.
// 3. If the reply was lost, `RetryingStore` asks again on the same condition. Our own first try may
//    then refuse the second. So a caller that needs to know who won reads the object and looks for
//    its own mark: `updateRef` in Operations does (docs/explanation/design/003-lost-replies.md).
// A `DirectoryStore` writes a new file, syncs it, takes a flock(2) for the key, compares the
// version, renames, and syncs the directory (`publish`).
//
// Large objects are sent by `beginUpload`, `uploadPart` and `completeUpload`, parts in any order.
//
// ## Locks
// Each type has a mutex for its own memory, and holds it for no request. In `DirectoryStore` one of
// 64 lock files is held for a few system calls; who waits 30 s has met a stopped process.
//
// ## Rules
// - Calls block. Call from a thread of our own, never from Swift's cooperative pool.
// - An error says whether it may pass: `StoreError.isTransient`. Only that is tried again.
// - Only a request that changes nothing may be sent twice at once (`S3Request.accepts`).
// - A store that ignores conditions is refused, never worked around.
// - Keys keep the rules of `ObjectKey`, also in a store that would take others.
