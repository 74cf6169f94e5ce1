import BlockingIO
import Glibc
import ObjectDatabase
import ProllyTree
import Staging
import Versioning

/// A staged file's bytes as they will be committed: staged ranges over the base's blocks, zeros elsewhere.
final class StagedFileSource: ByteSource {
    private let content: StagedContent
    private let workspace: Workspace
    private let blocks: BlockReader
    private let base: FileMap?
    private let cloned: [ClonedEntryID: FileMap]
    private var descriptors: [DataFileID: Int32] = [:]
    /// The committed block read last: cutting reads in small steps.
    private var lastBlock: (id: BlockID, bytes: [UInt8])?

    var sizeBytes: UInt64 { content.sizeBytes }

    init(_ content: StagedContent, workspace: Workspace, repository: Repository) throws {
        self.content = content
        self.workspace = workspace
        blocks = repository.database.blocks
        base = try content.base.map { try repository.database.lists.map(of: $0) }
        cloned = try content.cloned.mapValues { try repository.database.lists.map(of: $0) }
    }

    deinit {
        for descriptor in descriptors.values { close(descriptor) }
    }

    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws {
        var done = 0
        while done < buffer.count {
            let position = offset + UInt64(done)
            let source = content.source(at: position)
            let count = Int(min(UInt64(buffer.count - done), source.end - position))
            let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + count])
            switch source.source {
            case .zeros: piece.initializeMemory(as: UInt8.self, repeating: 0)
            case .data(let data):
                try readWhole(
                    descriptor(data), at: source.from, into: piece, path: Array(workspace.dataPath(data).utf8))
            case .base: try read(base, at: source.from, into: piece)
            case .cloned(let entry): try read(cloned[entry], at: source.from, into: piece)
            }
            done += count
        }
    }

    /// Reads bytes of a committed file.
    private func read(_ map: FileMap?, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws {
        guard let map else { preconditionFailure("a committed piece has its entry") }
        var done = 0
        while done < buffer.count {
            let position = offset + UInt64(done)
            let index = map.blockIndex(at: position)
            let placed = map.list.blocks[index]
            let within = Int(position - map.starts[index])
            let count = min(buffer.count - done, Int(placed.block.length) - within)
            if lastBlock?.id != placed.block.id {
                lastBlock = (placed.block.id, try blocks.whole(placed))
            }
            lastBlock?.bytes.withUnsafeBytes { bytes in
                UnsafeMutableRawBufferPointer(rebasing: buffer[done..<done + count])
                    .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[within..<within + count]))
            }
            done += count
        }
    }

    /// Around an edit every committed block that is read comes from the store.
    private static let stepBytes = 512 << 10

    private func descriptor(_ data: DataFileID) throws -> Int32 {
        if let open = descriptors[data] { return open }
        let open = try workspace.openData(data, create: false)
        descriptors[data] = open
        return open
    }

    func holeLength(at offset: UInt64) -> UInt64 {
        let piece = content.source(at: offset)
        return piece.source == .zeros ? piece.end - offset : 0
    }

    // MARK: Cutting

    /// Hands out the file's blocks in order. Blocks of the base that no staged byte touches are taken over unread;
    /// around an edit cutting runs until it meets an old boundary, so that equal bytes are always cut alike.
    func emitBlocks<Token>(_ emit: (FileIngest<Token>.Run) throws -> Void) throws {
        guard let base, !base.list.blocks.isEmpty else {
            try cutWhole(self, emit)
            return
        }
        var offset: UInt64 = 0
        while offset < sizeBytes {
            offset = try reuse(base, from: offset, emit)
            if offset >= sizeBytes { return }
            try cutBlocks(self, from: offset, stepBytes: Self.stepBytes) { start, length, bytes in
                try emit(bytes.map { .bytes($0) } ?? .zeros(length: length))
                offset = start + UInt64(length)
                return !isReusable(base, at: offset)
            }
        }
    }

    /// Emits the base's blocks from `start`, which is a boundary of both, as long as they are whole and untouched.
    private func reuse<Token>(
        _ base: FileMap, from start: UInt64, _ emit: (FileIngest<Token>.Run) throws -> Void
    ) throws -> UInt64 {
        var offset = start
        while isReusable(base, at: offset) {
            let index = base.blockIndex(at: offset)
            try emit(.existing(base.list.blocks[index]))
            offset = base.starts[index + 1]
        }
        return offset
    }

    /// Whether a block of the base begins at `offset` and would be cut here just as it was: none of its bytes is
    /// staged, and it does not end where only the old file's end cut it.
    private func isReusable(_ base: FileMap, at offset: UInt64) -> Bool {
        guard offset < min(base.sizeBytes, sizeBytes) else { return false }
        let index = base.blockIndex(at: offset)
        guard base.starts[index] == offset else { return false }
        let end = base.starts[index + 1]
        let isLast = end == base.sizeBytes
        guard !isLast || sizeBytes == base.sizeBytes else { return false }
        let piece = content.source(at: offset)
        return piece.source == .base && piece.end >= end
    }
}
