import BlockingIO
import Glibc
import ProllyTree
import Synchronization

/// Blocks of nothing but zeros: they are never stored. Their ids are worked out once for each length.
package enum ZeroBlocks {
    private static let known = Mutex(BoundedCache<Int, BlockID>(limit: 4096))

    package static func id(length: Int) -> BlockID {
        if let id = known.withLock({ $0.value(for: length) }) { return id }
        let id = BlockID(hashing: [UInt8](repeating: 0, count: length))
        known.withLock { $0.insert(id, for: length) }
        return id
    }

    /// Whether all bytes are zero; stops at the first that is not.
    package static func isZero(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let base = bytes.baseAddress, bytes.count > 0 else { return true }
        // The first byte is zero and every byte equals the one before it.
        return bytes[0] == 0 && memcmp(base, base + 1, bytes.count - 1) == 0
    }
}
