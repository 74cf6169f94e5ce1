import ObjectDatabase
import Versioning

extension FileMap {
    /// Whether the block at `offset` (< `sizeBytes`) is a hole, and where it ends.
    func hole(at offset: UInt64) -> (isHole: Bool, end: UInt64) {
        let index = blockIndex(at: offset)
        return (list.blocks[index].isZeros, starts[index + 1])
    }
}

/// SEEK_DATA and SEEK_HOLE of lseek(2) over a file of `size` bytes whose pieces `piece` tells.
func seek(
    from offset: UInt64, to target: SeekTarget, size: UInt64, _ piece: (UInt64) throws -> (isHole: Bool, end: UInt64)
) throws -> UInt64 {
    guard offset < size else { throw VFSError.noSuchOffset }
    var position = offset
    while position < size {
        let (isHole, end) = try piece(position)
        if isHole == (target == .hole) { return position }
        position = end
    }
    if target == .hole { return size }
    throw VFSError.noSuchOffset
}
