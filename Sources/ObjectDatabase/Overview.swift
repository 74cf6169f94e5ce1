// # ObjectDatabase: the one door for stored bytes
//
// An opened repository, as it is read and as it is filled. All bytes of a repository come and go
// through here, and each is verified where it enters. This target knows no use case, no mount and
// no workspace. It moves no ref: that is done in Operations, beside the authorisation.
//
// ## Main types
// - `ObjectDatabase` is the opened repository: its store, nodes, lists, blocks and refs as read.
// - `BlockReader` reads blocks of files: from the host's cache, or by a ranged GET of a pack.
// - `ContentAddressedStore` keeps objects named by their content, in memory, on disk and in the
//   bucket. `TreeNodeStore` and `BlockListStore` are its two users.
//
// ## Folders
// - `Objects/`: commits, tree nodes, block lists, signatures, and how each is stored.
// - `Blocks/`: reading blocks; `PackForwarding` finds those that were moved to another pack.
// - `Ingest/`: reading files, cutting, hashing, packing, uploading.
// - `Refs/`: reading refs, and what a revision such as `main~2` names.
// - `CollectorProtocol/`: what every writer and reader owes to the garbage collector.
//
// ## Life of a read (from the overview of VFS)
// 1. `Tree` asks `TreeNodeStore.load` for the nodes from the root to the leaf: from memory, else by
//    `BlockCache.object`, else by a GET. `TwoPartObject` checks the node against its id.
// 2. `BlockListStore.map(of:)` makes the `FileMap`. A file of few blocks has them in its entry; for
//    a large one its block list is loaded as a node is.
// 3. `BlockReader.read` answers zeros at once. (Without a cache it goes to `BlockReader.fetch`.)
//    For other blocks it calls `BlockCache.read` with two closures: one hashes a block and compares
//    with its id, the other fetches it. **The read goes on in the overview of BlockCache**, which
//    calls the second one for a miss.
// 4. That closure asks `BlockReader.stored` for the bytes of the extent: one `ObjectStore.get` of a
//    range of the pack. **It goes on in the overview of ObjectStorage.** If the pack is gone,
//    `PackForwarding.next(of:)` says where the block is now.
// 5. `unpack` decompresses. The cache runs the first closure; bytes that do not have the block's
//    SHA-256 are thrown as `ObjectDatabaseError.corrupt`, and nobody sees them.
// Read-ahead takes `BlockReader.prefetch` instead: one GET for neighbouring blocks of a pack, each
// verified and kept by `BlockCache.store`. The read that waited for it ends at step 3, as a hit.
//
// ## Life of a commit (from the overview of Operations)
// 1. `ObjectDatabase.writing` takes the `WriteLease`, refuses a base whose data is collected, and
//    asks once whether cached copies are still to be believed (`refreshCacheTrust`).
// 2. `FileIngest.add` takes each file. `cutBlocks` cuts it where `Chunker` says: a small file on a
//    worker, a large one on the thread that adds it. On workers `PreparedBlock` hashes and
//    compresses. In the order of the files `PackPlacer` decides for each block: known already, or
//    into a pack. `PackWriter` fills packs, and an `UploadQueue` sends them. `FileIngest.finish`
//    waits until all packs are in the bucket.
// 3. `Tree.applying` hands new nodes to `TreeNodeStore.save`; `BlockListStore.save` takes lists.
//    Both are sent in the background, by `LocationRewriter.put`, which leaves a forwarding note
//    before it replaces a location that somebody may know.
// 4. `ObjectDatabase.flush` waits for them. Each writing has a version of its own, which no
//    collector deletes that had seen an older one.
// 5. `saveCommit` and `saveRefUpdate` write the two records, and sign them if there is a key.
// 6. Operations swaps the ref by `ObjectStore.put` on a condition.
// **Every upload goes on in the overview of ObjectStorage.**
//
// ## Locks
// Each type has one mutex or `Monitor`, held for its own memory and never during a request. Order:
// the busy mark of `WriteLease`, the mutex of `CacheTrust`, the memory of a
// `ContentAddressedStore`. The placer of `FileIngest` may wait for room in its `UploadQueue`;
// uploads take no lock of the placer.
//
// ## Rules
// - Verify first, then serve, keep or send on. An object that is asked for by id has that hash.
// - Never skip an upload because an object is there: it may be about to be collected. What a
//   reachable commit refers to, and what this session uploaded, may be referred to.
// - Whoever uploads or refers to objects does so inside `writing`.
// - Upload in this order: packs, then nodes and lists, then the commit, then the ref update.
// - Locations are in no id. Two copies of a node may differ in them, and both are right.
