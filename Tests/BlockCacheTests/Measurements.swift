import BlockCache
import Foundation
import Testing

/// Figures for docs/BENCHMARKS.md: `TARN_MEASURE=1 swift test -c release --filter Measurements`.
@Suite(.serialized, .enabled(if: ProcessInfo.processInfo.environment["TARN_MEASURE"] != nil, "only if asked for"))
struct Measurements {
    private func seconds(_ body: () -> Void) -> Double {
        let start = DispatchTime.now().uptimeNanoseconds
        body()
        return Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9
    }

    private func read(
        _ cache: BlockCache, _ block: BlockAddress, _ within: Int, _ buffer: UnsafeMutableRawBufferPointer
    ) {
        let outcome = cache.read(block, within: within, into: buffer) { _ in
            false
        } fetch: {
            []
        }
        if outcome != .cached { Issue.record("not cached") }
    }

    @Test func hits() throws {
        let scratch = try Scratch()
        let cache = try scratch.open(limit: 2 << 30, slots: nil)
        let blocks = (0..<512 as Range<UInt64>).map { Lake.block(1, $0 << 20, 1 << 20) }
        print("fill 1 MiB blocks: \(Int(512 / seconds { for block in blocks { cache.storeLake(block) } })) MiB/s")
        let other = try scratch.open(limit: 2 << 30, slots: nil)
        let verifying = seconds { for block in blocks { _ = other.isCached(block) } }
        print("first use (read, compare, remember): \(Int(512 / verifying)) MiB/s")
        for threads in [1, 2, 4] {
            let count = 1_000_000 / threads
            let time = seconds {
                onThreads(threads) { thread in
                    var random = SeededGenerator(seed: UInt64(thread))
                    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4_096, alignment: 4_096)
                    for _ in 0..<count {
                        let number = random.next()
                        read(cache, blocks[Int(number % 512)], Int(number >> 32 & 255) * 4_096, buffer)
                    }
                    buffer.deallocate()
                }
            }
            print("random 4 KiB hits, \(threads) threads: \(Int(Double(count * threads) / time)) /s")
        }
        let file = open(scratch.file(blocks[0].key), O_RDONLY)
        var bytes = [UInt8](repeating: 0, count: 131_072)
        var random = SeededGenerator(seed: 0)
        let plain = seconds {
            for _ in 0..<1_000_000 { pread(file, &bytes, 4_096, Int(random.next() % 131_072) * 4_096) }
        }
        print("random 4 KiB pread without cache: \(Int(1e6 / plain)) /s")
        let sequential = seconds {
            bytes.withUnsafeMutableBytes { buffer in
                for block in blocks { for piece in 0..<8 { read(cache, block, piece * 131_072, buffer) } }
            }
        }
        print("sequential 128 KiB hits: \(Int(512 * 1.048576 / sequential)) MB/s")
        close(file)
    }

    @Test func memoryOfVerifiedBlocks() throws {
        let scratch = try Scratch()
        let cache = try scratch.open(limit: 8 << 30, slots: nil)
        for size in [512, 4_096] {
            let before = residentBytes()
            let time = seconds {
                for number in 0..<1_000_000 as Range<UInt64> {
                    let block = Lake.block(UInt64(size), number * UInt64(size), size)
                    cache.storeLake(block)
                }
            }
            print("1M blocks of \(size) bytes: \((residentBytes() - before) >> 20) MiB, stored \(Int(1e6 / time)) /s")
            try cache.clear()
        }
    }

    private func residentBytes() -> Int {
        let text = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix("RssAnon") } ?? ""
        return (line.split(separator: " ").compactMap { Int($0) }.first ?? 0) << 10
    }
}
