import Crypto

/// Cuts bytes into content-defined blocks: FastCDC with normalised chunking (Xia et al., USENIX ATC 2016), gear hash
/// over a 64-byte window. Where a block ends depends only on the bytes since it began, so equal runs of bytes are cut
/// alike wherever they stand. Part of the format: docs/reference/FORMAT.md, "Blocks".
package enum Chunker {
    package static let minimumBytes = 256 << 10
    package static let averageBytes = 1 << 20
    package static let maximumBytes = 4 << 20
    /// Up to the average size a cut needs this many zero bits at the hash's top, beyond it fewer: sizes stay near the
    /// average.
    static let strictBits: UInt64 = 22
    static let looseBits: UInt64 = 18

    /// `gear[b]`: the first eight bytes, big-endian, of SHA-256("tarn gear" followed by the byte b).
    static let gear: [UInt64] = (0...255).map { byte in
        var hasher = SHA256()
        hasher.update(data: Array("tarn gear".utf8) + [UInt8(byte)])
        return hasher.finalize().prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// The length of the block that begins at the start of `bytes`. `bytes` reaches to the end of the file or holds at
    /// least `maximumBytes`; it is not empty.
    package static func cut(_ bytes: UnsafeRawBufferPointer) -> Int {
        if bytes.count <= minimumBytes { return bytes.count }
        let end = min(bytes.count, maximumBytes)
        let middle = min(end, averageBytes)
        return gear.withUnsafeBufferPointer { gear in
            var hash: UInt64 = 0
            var index = minimumBytes
            while index < middle {
                hash = (hash << 1) &+ gear[Int(bytes[index])]
                index += 1
                if hash >> (64 - strictBits) == 0 { return index }
            }
            while index < end {
                hash = (hash << 1) &+ gear[Int(bytes[index])]
                index += 1
                if hash >> (64 - looseBits) == 0 { return index }
            }
            return end
        }
    }
}
