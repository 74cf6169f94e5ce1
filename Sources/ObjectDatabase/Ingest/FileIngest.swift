import BlockingIO
import Glibc
import ProllyTree
import Synchronization
package import Versioning

/// Takes files in, in order: cuts, hashes and compresses on workers, then places the blocks in packs in the order in
/// which the files were added. Small files travel in batches; a large file's blocks are spread over the workers and get
/// packs of their own.
///
/// `Token` says which file a result belongs to. One thread adds; memory is bounded by the pipeline's limit.
package final class FileIngest<Token: Sendable>: Sendable {
    /// A run of a file's bytes, from start to end without gaps.
    package enum Run: Sendable {
        case bytes(BlockBytes)
        case zeros(length: Int)
        /// A block that is in the bucket already and stays referenced.
        case existing(PlacedBlock)
    }

    /// Calls its argument with every block of the file in order, then answers the token to report the file under.
    package typealias Producer = @Sendable ((Run) throws -> Void) throws -> Token

    /// The blocks of a file's earlier versions that a reachable tree references; asked where the producer runs.
    package typealias Earlier = @Sendable () throws -> [BlockID: Extent]

    private enum Piece: Sendable {
        case files([(token: Token, blocks: [Block])])
        case largeFileBegins(hasOwnPacks: Bool)
        case largeFileBlock(Block)
        case largeFileEnds(Token)
    }

    private enum Block: Sendable {
        case prepared(PreparedBlock)
        case existing(PlacedBlock)

        init(_ run: Run, _ known: KnownBlocks) {
            switch run {
            case .bytes(let bytes): self.init(bytes, known)
            case .zeros(let length): self = .prepared(.zeros(length: length))
            case .existing(let placed): self = .existing(placed)
            }
        }

        private init(_ bytes: BlockBytes, _ known: KnownBlocks) {
            let prepared = PreparedBlock(bytes, isKnown: known.contains)
            if let extent = known.ofFile[prepared.reference.id] {
                self = .existing(PlacedBlock(block: prepared.reference, extent: extent))
            } else {
                self = .prepared(prepared)
            }
        }
    }

    /// Blocks that are in the bucket and stay referenced.
    private struct KnownBlocks: Sendable {
        /// What the placer knows too.
        let ofAll: [BlockID: Extent]
        /// Of earlier versions of this file.
        let ofFile: [BlockID: Extent]

        func contains(_ id: BlockID) -> Bool { ofAll[id] != nil || ofFile[id] != nil }
    }

    private struct Output {
        var largeFile: [PlacedBlock]?
    }

    private let output = Mutex(Output())
    private let placer: Mutex<PackPlacer>
    private let known: [BlockID: Extent]
    private let pipeline: Mutex<OrderedPipeline<Piece>?> = Mutex(nil)
    private let batch = Mutex<(files: [(producer: Producer, earlier: Earlier)], bytes: UInt64)>(([], 0))
    private let complete: Completion

    /// Called with the ingest itself (for `settle`), the file's token and blocks, and the totals so far.
    package typealias Completion = @Sendable (FileIngest, Token, BlockList, PackPlacer.Totals) throws -> Void

    /// Small files are handed to a worker together up to this many bytes or files.
    private static var batchBytes: UInt64 { 4 << 20 }
    private static var batchFiles: Int { 256 }
    /// A file from this size on has packs of its own and its blocks are hashed in parallel.
    package static var largeFileBytes: UInt64 { 8 << 20 }
    /// More than cores: small files are read by the workers, who wait for the disk.
    private static var workers: Int { max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))) + 2 }

    /// - Parameter known: blocks that a reachable tree references; they are not uploaded again.
    /// - Parameter complete: called with each file, in order, never by two threads at once. Its blocks may still be on
    ///   their way to the bucket: `settle` waits for them.
    package init(
        database: ObjectDatabase, known: [BlockID: Extent],
        complete: @escaping Completion
    ) {
        self.known = known
        placer = Mutex(PackPlacer(database: database, known: known))
        self.complete = complete
        let started = OrderedPipeline<Piece>(threads: Self.workers, limit: Self.workers * 4) { [weak self] piece in
            try self?.consume(piece)
        }
        pipeline.withLock { $0 = started }
    }

    /// Adds a file of `sizeBytes`. `isNew` says that none of its blocks is expected to exist yet: then a large one gets
    /// packs of its own. A small file's producer runs later on a worker, a large one's now on this thread.
    package func add(
        sizeBytes: UInt64, isNew: Bool = true, earlier: @escaping Earlier = { [:] }, _ producer: @escaping Producer
    ) throws {
        guard sizeBytes < Self.largeFileBytes else {
            try submitBatch()
            try addLarge(isNew: isNew, KnownBlocks(ofAll: known, ofFile: earlier()), producer)
            return
        }
        let isFull = batch.withLock { batch in
            batch.files.append((producer, earlier))
            batch.bytes += sizeBytes
            return batch.bytes >= Self.batchBytes || batch.files.count >= Self.batchFiles
        }
        if isFull { try submitBatch() }
    }

    /// Waits until every file was completed and all blocks are in the bucket. Nothing can be added afterwards.
    package func finish() throws {
        try submitBatch()
        try running().finish()
        try settle()
    }

    /// Gives up after an error of the adding thread's own.
    package func cancel() {
        pipeline.withLock { $0?.cancel() }
    }

    /// Ends the pack under way and waits until everything placed so far is in the bucket. Only from `complete` or after
    /// `finish`.
    package func settle() throws {
        try placer.withLock { try $0.finish() }
    }

    private func running() -> OrderedPipeline<Piece> {
        guard let pipeline = pipeline.withLock({ $0 }) else { preconditionFailure("set by init") }
        return pipeline
    }

    private func submitBatch() throws {
        let files = batch.withLock { batch in
            defer { batch = ([], 0) }
            return batch.files
        }
        guard !files.isEmpty else { return }
        try running().submit { [known] in
            .files(
                try files.map { file in
                    let known = KnownBlocks(ofAll: known, ofFile: try file.earlier())
                    var blocks: [Block] = []
                    let token = try file.producer { blocks.append(Block($0, known)) }
                    return (token, blocks)
                })
        }
    }

    private func addLarge(isNew: Bool, _ known: KnownBlocks, _ producer: Producer) throws {
        let pipeline = running()
        try pipeline.submit { .largeFileBegins(hasOwnPacks: isNew) }
        let token = try producer { run in
            try pipeline.submit { .largeFileBlock(Block(run, known)) }
        }
        try pipeline.submit { .largeFileEnds(token) }
    }

    private func consume(_ piece: Piece) throws {
        switch piece {
        case .files(let files):
            for (token, blocks) in files {
                try report(token, BlockList(try blocks.map { try place($0) }))
            }
        case .largeFileBegins(let hasOwnPacks):
            if hasOwnPacks { placer.withLock { $0.beginLargeFile() } }
            output.withLock { $0.largeFile = [] }
        case .largeFileBlock(let block):
            let placed = try place(block)
            let count = output.withLock { output in
                output.largeFile?.append(placed)
                return output.largeFile?.count ?? 0
            }
            guard count <= BlockList.maximumBlocks else { throw FileTooLong() }
        case .largeFileEnds(let token):
            try placer.withLock { try $0.endLargeFile() }
            let file = output.withLock { output in
                defer { output.largeFile = nil }
                return output.largeFile
            }
            try report(token, BlockList(file ?? []))
        }
    }

    private func place(_ block: Block) throws -> PlacedBlock {
        switch block {
        case .prepared(let prepared):
            return PlacedBlock(block: prepared.reference, extent: try placer.withLock { try $0.place(prepared) })
        case .existing(let placed):
            placer.withLock { $0.noteReused(placed.block) }
            return placed
        }
    }

    private func report(_ token: Token, _ list: BlockList) throws {
        try complete(self, token, list, placer.withLock { $0.totals })
    }
}

/// Hands the blocks of a whole source to `emit`.
package func cutWhole<Token>(_ source: some ByteSource, _ emit: (FileIngest<Token>.Run) throws -> Void) throws {
    try cutBlocks(source) { _, length, bytes in
        try emit(bytes.map { .bytes($0) } ?? .zeros(length: length))
        return true
    }
}
