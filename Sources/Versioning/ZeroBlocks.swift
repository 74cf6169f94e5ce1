import Crypto
import Glibc
import ProllyTree

/// Blocks of nothing but zeros: they are never stored.
package enum ZeroBlocks {
    /// The hash of 0, 16 KiB, 32 KiB … of zeros, so that any length costs no more than one step.
    private static let steps: [SHA256] = {
        var hasher = SHA256()
        var steps = [hasher]
        for _ in 0..<maximumBlockBytes / stepBytes {
            hasher.update(data: zeros)
            steps.append(hasher)
        }
        return steps
    }()
    private static let stepBytes = 16 << 10
    private static let zeros = [UInt8](repeating: 0, count: stepBytes)

    /// The SHA-256 of so many zeros; `length` is at most `maximumBlockBytes`.
    package static func id(length: Int) -> BlockID {
        var hasher = steps[length / stepBytes]
        zeros.withUnsafeBytes {
            hasher.update(bufferPointer: UnsafeRawBufferPointer(rebasing: $0[..<(length % stepBytes)]))
        }
        return hasher.finalize().withUnsafeBytes { BlockID(raw: $0) }
    }

    /// Whether all bytes are zero; stops at the first that is not.
    package static func isZero(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let base = bytes.baseAddress, bytes.count > 0 else { return true }
        // The first byte is zero and every byte equals the one before it.
        return bytes[0] == 0 && memcmp(base, base + 1, bytes.count - 1) == 0
    }
}
