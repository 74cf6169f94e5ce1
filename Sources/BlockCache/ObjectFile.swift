/// What a whole object looks like on disk: its bytes, then their count and a checksum (eight bytes each, little
/// endian). The caller's `verify` may not cover every byte (the location part of a tree node is in no hash), and a
/// power loss may leave a file of the right length with other bytes.
enum ObjectFile {
    static let trailerBytes = 16

    static func encode(_ bytes: [UInt8]) -> [UInt8] {
        var file = bytes
        file.reserveCapacity(bytes.count + trailerBytes)
        for value in [UInt64(bytes.count), bytes.withUnsafeBytes(checksum)] {
            withUnsafeBytes(of: value.littleEndian) { file.append(contentsOf: $0) }
        }
        return file
    }

    /// nil: not what `encode` made.
    static func decode(_ file: [UInt8]) -> [UInt8]? {
        let count = file.count - trailerBytes
        guard count >= 0 else { return nil }
        let isWhole = file.withUnsafeBytes { bytes in
            let length = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: count, as: UInt64.self))
            let sum = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: count + 8, as: UInt64.self))
            return length == UInt64(count) && sum == checksum(UnsafeRawBufferPointer(rebasing: bytes[..<count]))
        }
        return isWhole ? Array(file[..<count]) : nil
    }

    /// Against accidents, not against people.
    private static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var hash: UInt64 = 0x5441_524E_4F42_4A31
        func mix(_ word: UInt64) {
            hash = (hash ^ word) &* 0x9E37_79B9_7F4A_7C15
            hash ^= hash >> 32
        }
        let whole = bytes.count & ~7
        for offset in stride(from: 0, to: whole, by: 8) {
            mix(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
        }
        var rest = UInt64(bytes.count)
        for offset in whole..<bytes.count { rest = rest << 8 | UInt64(bytes[offset]) }
        mix(rest)
        return hash
    }
}
