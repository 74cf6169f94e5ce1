// # BlockCache: verified bytes on the host's disk
//
// A bounded cache of blocks and small objects, in one directory, shared by all processes that open
// it. It knows no repository, commit or hash: the caller brings the key, and the functions that
// verify and fetch. Losing any part of it costs fetching again.
//
// ## Main types
// - `BlockCache` is what others call.
// - `CacheDisk` is the files and the index of one open directory.
// - `CacheIndex` is the table of segments, mapped by every process.
//
// `BlockAddress` and `CacheKey` say which bytes are meant. A segment is 8 MiB of a pack, or one
// object; it is what is evicted.
//
// ## Files
// - `CacheDisk+….swift`: opening, reading, evicting, recovering after a kill, whole files.
// - `BlockTables.swift`, `SegmentTable.swift`: which blocks were written into which segment.
// - `VerifiedBlocks.swift`: what this process has hashed. `SingleFlight.swift`: one load at a time.
// - `DeferredWrites.swift`: writes that no reader waits for. `OpenFiles.swift`: descriptors.
// - `KeyedDirectory.swift`, `ObjectFile.swift`, `DiskIO.swift`: the files themselves.
//
// ## Life of a read (from the overview of ObjectDatabase)
// 1. `BlockCache.read` calls `serve`. If `VerifiedBlocks` has the block, and the index says that
//    its segment is the same as then, one pread(2) fills the buffer. The index is asked again after
//    it: an eviction changes the generation before it takes a byte.
// 2. If not, `SingleFlight.run` lets one thread load the block; all others wait for its result.
// 3. That thread calls `CacheDisk.readBlock` and hashes what it finds. Bytes that are wrong count
//    as a miss, with a line in the log.
// 4. For a miss, `fetchVerified` calls the caller's `fetch` and then the caller's `verify`. **The
//    fetch goes on in step 4 of the overview of ObjectDatabase, and in that of ObjectStorage.**
// 5. Whoever waited gets the bytes. Then `CacheDisk.fill` keeps them, at once or by
//    `DeferredWrites`: under the exclusive lock it makes room, evicts what claims the same bytes,
//    notes the block in `BlockTables`, writes, and adjusts the index.
//
// ## Locks
// `ExclusiveLock` is a mutex, then a flock(2) that all processes share; then comes a shard of
// `OpenFiles`. Only writing and evicting takes it. Nothing is fetched under it. Waiting for it is
// bounded: a stopped process must not stop the others, and a block that is not kept is no error.
// Readers take no lock. They trust bytes only if the generation was even, and equal, before and
// after. A `WholeFile` is a shared flock(2) on a pack's file: nobody shortens or lengthens it
// meanwhile.
//
// ## Rules
// - No failure of the cache is a failure of a read. Serve, complain at most once a minute, go on.
// - Only bytes that were verified are stored. Each process verifies what it finds before it serves
//   it.
// - `fetch` may store other blocks, but must not read the same one: it would wait for itself.
// - A range of a pack is written once: where a block lies is a claim, and two may claim one place.
// - Change the generation before the bytes go.
// - A process that forks opens the cache afterwards.
