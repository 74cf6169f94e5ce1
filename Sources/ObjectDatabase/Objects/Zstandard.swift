import CZstd
import Synchronization

/// Zstandard frames (RFC 8878), one shot.
enum Zstandard {
    /// The frame's plain bytes, exactly `plainBytes` of them; `nil` when it does not decode to that.
    static func decompress(_ frame: UnsafeRawBufferPointer, plainBytes: Int) -> [UInt8]? {
        var failed = false
        let plain = [UInt8](unsafeUninitializedCapacity: plainBytes) { buffer, count in
            let written = ZSTD_decompress(buffer.baseAddress, plainBytes, frame.baseAddress, frame.count)
            failed = ZSTD_isError(written) != 0 || written != plainBytes
            count = failed ? 0 : plainBytes
        }
        return failed ? nil : plain
    }

    static func compress(_ plain: UnsafeRawBufferPointer, level: Int32) -> [UInt8] {
        let bound = ZSTD_compressBound(plain.count)
        return [UInt8](unsafeUninitializedCapacity: bound) { buffer, count in
            let written = contexts.withContext {
                ZSTD_compressCCtx($0, buffer.baseAddress, bound, plain.baseAddress, plain.count, level)
            }
            precondition(ZSTD_isError(written) == 0, "a buffer of ZSTD_compressBound bytes always suffices")
            count = written
        }
    }

    /// The smaller form of a block: `nil` when zstd saves less than a tenth (then raw bytes are worth more: they can be
    /// read in part and handed on without a copy). Incompressible data is told from a sample.
    static func compressIfWorthIt(_ plain: UnsafeRawBufferPointer) -> [UInt8]? {
        if plain.count < minimumBytes { return nil }
        if plain.count > 4 * sampleBytes {
            let middle = (plain.count - sampleBytes) / 2
            let sample = UnsafeRawBufferPointer(rebasing: plain[middle..<middle + sampleBytes])
            if compress(sample, level: level).count > sampleBytes / 10 * 9 { return nil }
        }
        let packed = compress(plain, level: level)
        return packed.count <= plain.count / 10 * 9 ? packed : nil
    }

    private static let level: Int32 = 1
    private static let minimumBytes = 128
    private static let sampleBytes = 32 << 10

    private static let contexts = CompressionContexts()
}

/// What compressing needs beside the bytes, kept for the next caller: making it anew takes longer than compressing a small
/// file. As many as there were callers at once.
private final class CompressionContexts: Sendable {
    private struct Context: @unchecked Sendable {
        // SAFETY: whoever took it from the list is its only user until it is put back.
        let pointer: OpaquePointer?
    }

    private let unused = Mutex<[Context]>([])

    func withContext<Result>(_ body: (OpaquePointer?) -> Result) -> Result {
        let context = unused.withLock { $0.popLast() } ?? Context(pointer: ZSTD_createCCtx())
        defer { unused.withLock { $0.append(context) } }
        return body(context.pointer)
    }
}
