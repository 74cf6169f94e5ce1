import BlockCache
import Foundation
import Testing

@Suite struct SingleFlightTests {
    let scratch: Scratch
    let cache: BlockCache

    init() throws {
        scratch = try Scratch()
        cache = try scratch.open()
    }

    @Test func thirtyTwoReadersCauseOneFetch() {
        let block = Lake.block(1, 0, 1 << 20)
        let fetches = Counter()
        let right = Counter()
        onThreads(32) { [cache] number in
            var bytes = [UInt8](repeating: 0, count: 1_000)
            let within = number * 1_000
            _ = bytes.withUnsafeMutableBytes { buffer in
                cache.read(block, within: within, into: buffer) {
                    Lake.isRight(block, $0)
                } fetch: {
                    fetches.increase()
                    usleep(100_000)
                    return Lake.bytes(block)
                }
            }
            if bytes == Lake.bytes(block.key, UInt64(within), 1_000) { right.increase() }
        }
        #expect(fetches.value == 1 && right.value == 32)
        #expect(cache.status().misses == 1 && cache.status().hits == 31)
    }

    /// A block that waits to be written is fetched no second time, and what asks for the file sees it there.
    @Test func blocksAreKeptThoughTheirReadersDidNotWait() throws {
        cache.deferWrites()
        let blocks = (0..<40).map { Lake.block(7, $0 << 20, 1 << 20) }
        let fetches = Counter()
        onThreads(8) { [cache] number in
            for block in number % 2 == 0 ? blocks : blocks.reversed() {
                var bytes = [UInt8](repeating: 0, count: 1_000)
                _ = bytes.withUnsafeMutableBytes { buffer in
                    cache.read(block, within: 5, into: buffer) {
                        Lake.isRight(block, $0)
                    } fetch: {
                        fetches.increase()
                        return Lake.bytes(block)
                    }
                }
            }
        }
        #expect(fetches.value == blocks.count)
        #expect(cache.wholeFile(blocks) != nil)
        let later = try scratch.open()
        #expect(blocks.allSatisfy { later.isCached($0) })
    }

    @Test func anErrorGoesToEverybodyWhoWaited() {
        let block = Lake.block(2, 0, 1_000)
        let fetches = Counter()
        let errors = Counter()
        onThreads(16) { [cache] _ in
            let failure = cache.failure(block) {
                usleep(200_000)
                return StoreIsAway(attempt: fetches.increase())
            }
            if failure != nil { errors.increase() }
        }
        #expect(errors.value == 16)
        #expect(fetches.value < 16)
        #expect(cache.readLake(block).outcome == .fetched)
    }

    @Test func wrongBytesGoToNobody() {
        let block = Lake.block(3, 0, 1_000)
        let refused = Counter()
        onThreads(8) { [cache] _ in
            var bytes = [UInt8](repeating: 0, count: 1_000)
            let outcome = bytes.withUnsafeMutableBytes { buffer in
                cache.read(block, within: 0, into: buffer) {
                    Lake.isRight(block, $0)
                } fetch: {
                    usleep(50_000)
                    return [UInt8](repeating: 9, count: 1_000)
                }
            }
            if outcome == .fetchedBytesDoNotVerify && bytes.allSatisfy({ $0 == 0 }) { refused.increase() }
        }
        #expect(refused.value == 8)
    }

    @Test func aFetchMayStoreOtherBlocks() {
        let wanted = Lake.block(4, 0, 1_000)
        let next = Lake.block(4, 1_000, 1_000)
        var bytes = [UInt8](repeating: 0, count: 1_000)
        let outcome = bytes.withUnsafeMutableBytes { buffer in
            cache.read(wanted, within: 0, into: buffer) {
                Lake.isRight(wanted, $0)
            } fetch: {
                cache.storeLake(next)
                cache.storeLake(wanted)
                return Lake.bytes(wanted)
            }
        }
        #expect(outcome == .fetched && cache.isCached(next) && cache.isCached(wanted))
    }

    @Test func anObjectDiscardedWhileItIsFetchedIsFetchedAgain() {
        let key = Lake.key(5)
        let begun = DispatchSemaphore(value: 0)
        let discarded = DispatchSemaphore(value: 0)
        let done = DispatchSemaphore(value: 0)
        Thread.detachNewThread { [cache] in
            let old = cache.object(key) { _ in
                true
            } fetch: {
                begun.signal()
                discarded.wait()
                return [1]
            }
            #expect(old == [1])
            done.signal()
        }
        begun.wait()
        cache.discardObject(key)
        let new = cache.object(key) { _ in
            true
        } fetch: {
            [2]
        }
        #expect(new == [2])
        discarded.signal()
        done.wait()
        let kept = cache.object(key) { _ in
            true
        } fetch: {
            [3]
        }
        #expect(kept == [2])
    }
}
