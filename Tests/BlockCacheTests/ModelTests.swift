import BlockCache
import Foundation
import Testing

/// Random operations against what must be true of them: every byte served is the lake's, objects are never older than
/// their last discard, and the accounts agree with the disk.
@Suite struct ModelTests {
    @Test(arguments: [1 << 20, 20 << 20] as [UInt64], [64, 4_096])
    func randomOperationsKeepThePromises(limit: UInt64, slots: Int) throws {
        var random = SeededGenerator.announced("model")
        let scratch = try Scratch()
        var caches = [try scratch.open(limit: limit, slots: slots), try scratch.open(limit: limit, slots: slots)]
        var blocks: [BlockAddress] = []
        for pack in 1...30 as ClosedRange<UInt64> {
            let lengths = [1...600, 3_000...30_000, 100_000...900_000].randomElement(using: &random)!
            blocks += Lake.pack(pack, blocks: 30, lengths: lengths, using: &random)
        }
        var versions = [UInt8](repeating: 0, count: 40)

        for step in 0..<3_000 {
            let number = Int.random(in: 0..<2, using: &random)
            let cache = caches[number]
            let block = blocks.randomElement(using: &random)!
            switch Int.random(in: 0..<100, using: &random) {
            case 0..<60:
                let start = Int.random(in: 0..<block.length, using: &random)
                let end = Int.random(in: start...min(block.length, start + 10_000), using: &random)
                #expect(cache.servesRight(block, start..<end), "step \(step)")
            case 60..<75:
                cache.storeLake(block)
            case 75..<90:
                let object = Int.random(in: 0..<versions.count, using: &random)
                let length = 1_000 + object * 500
                let bytes = cache.object(Lake.key(UInt64(1_000 + object))) {
                    $0.count == length
                } fetch: {
                    [UInt8](repeating: versions[object], count: length)
                }
                #expect(bytes == [UInt8](repeating: versions[object], count: length), "step \(step)")
            case 90..<96:
                let object = Int.random(in: 0..<versions.count, using: &random)
                versions[object] &+= 1
                cache.discardObject(Lake.key(UInt64(1_000 + object)))
            case 96..<98:
                caches.remove(at: number)
                if Bool.random(using: &random) { caches.removeAll() }
                while caches.count < 2 { caches.append(try scratch.open(limit: limit, slots: slots)) }
            case 98:
                if step % 4 == 0 { try cache.clear() }
            default:
                if scratch.exists(scratch.file(block.key)), cache.contains(block) {
                    // Rot that nobody has verified yet: only the next opening has to notice.
                    caches.removeAll()
                    scratch.overwrite(scratch.file(block.key), at: block.offset, with: [Lake.bytes(block)[0] ^ 1])
                    while caches.count < 2 { caches.append(try scratch.open(limit: limit, slots: slots)) }
                }
            }
            if step % 50 == 0 {
                let status = caches[0].status()
                #expect(status.usedBytes <= limit, "step \(step)")
                #expect(scratch.bytesOnDisk() <= status.usedBytes + 128 << 10, "step \(step)")
                #expect(status.segments + status.objects <= slots)
            }
        }
    }
}
