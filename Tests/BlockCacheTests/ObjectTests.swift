import BlockCache
import Foundation
import Testing

@Suite struct ObjectTests {
    let scratch: Scratch
    let cache: BlockCache

    init() throws {
        scratch = try Scratch()
        cache = try scratch.open()
    }

    private func fetched(_ number: UInt64, _ bytes: [UInt8]) -> Bool {
        var hasFetched = false
        let got = cache.object(Lake.key(number)) {
            $0.elementsEqual(bytes)
        } fetch: {
            hasFetched = true
            return bytes
        }
        #expect(got == bytes)
        return hasFetched
    }

    @Test(arguments: [0, 1, 7, 8, 70_001])
    func anObjectIsFetchedOnce(count: Int) {
        let bytes = Lake.bytes(Lake.key(1), 0, count)
        #expect(fetched(1, bytes) && !fetched(1, bytes))
        #expect(cache.status().objects == 1 && cache.status().usedBytes == scratch.bytesOnDisk())
    }

    @Test func aDiscardedObjectIsFetchedAgain() {
        #expect(fetched(1, [1, 2, 3]))
        cache.discardObject(Lake.key(1))
        #expect(cache.status().usedBytes == 0 && scratch.bytesOnDisk() == 0)
        #expect(fetched(1, [1, 2, 4]) && !fetched(1, [1, 2, 4]))
    }

    @Test func aKeptObjectReplacesWhatWasThere() {
        #expect(fetched(1, [1, 2, 3]))
        cache.keepObject(Lake.key(1), [1, 2, 4])
        cache.keepObject(Lake.key(2), [5])
        #expect(!fetched(1, [1, 2, 4]) && !fetched(2, [5]))
        #expect(cache.status().objects == 2 && cache.status().usedBytes == scratch.bytesOnDisk())
    }

    @Test func aDistrustedObjectIsFetchedAgainUntilItIsYoungEnough() {
        let present = Int64(Date().timeIntervalSince1970)
        #expect(fetched(1, [1, 2, 3]))
        cache.distrustObjects(keptBefore: present - 100)
        #expect(!fetched(1, [1, 2, 3]))
        cache.distrustObjects(keptBefore: present + 100)
        #expect(fetched(1, [1, 2, 4]) && fetched(1, [1, 2, 5]))
        cache.distrustObjects(keptBefore: present)
        #expect(!fetched(1, [1, 2, 5]))
        #expect(cache.status().objects == 1 && cache.status().usedBytes == scratch.bytesOnDisk())
    }

    @Test func wrongFetchedBytesAreNeitherServedNorKept() {
        let got = cache.object(Lake.key(1)) { _ in
            false
        } fetch: {
            [1]
        }
        #expect(got == nil && cache.status().objects == 0)
    }

    @Test func theErrorOfAFetchComesOutWithItsType() {
        #expect(throws: StoreIsAway(attempt: 1)) {
            _ = try cache.object(Lake.key(1)) { _ in
                true
            } fetch: { () throws(StoreIsAway) in
                throw StoreIsAway(attempt: 1)
            }
        }
    }

    /// Not every byte of an object is in its id, so the cache has a checksum of its own.
    @Test func aFlippedBitIsNoticedWhateverVerifySays() {
        let key = Lake.key(1)
        _ = cache.object(key) { _ in
            true
        } fetch: {
            [UInt8](repeating: 5, count: 1_000)
        }
        scratch.overwrite(scratch.file(key, in: "objects"), at: 999, with: [4])
        let got = cache.object(key) { _ in
            true
        } fetch: {
            [7]
        }
        #expect(got == [7] && cache.status().corruptBlocks == 1)
        #expect(
            cache.object(key) { _ in
                true
            } fetch: {
                [8]
            } == [7])
    }

    @Test func objectsAndPacksOfOneKeyAreDifferentThings() {
        let block = Lake.block(1, 0, 100)
        cache.storeLake(block)
        #expect(fetched(1, [1, 2, 3]))
        #expect(cache.isCached(block) && !fetched(1, [1, 2, 3]))
    }

    @Test func objectsAreBoundToo() throws {
        let small = try Scratch()
        let cache = try small.open(limit: 1 << 20)
        for number in 0..<1_000 as Range<UInt64> {
            _ = cache.object(Lake.key(number)) { _ in
                true
            } fetch: {
                Lake.bytes(Lake.key(number), 0, 10_000)
            }
            if number % 100 == 99 { #expect(small.bytesOnDisk() <= 1 << 20) }
        }
        #expect(cache.status().usedBytes == small.bytesOnDisk() && cache.status().objects > 50)
    }
}
