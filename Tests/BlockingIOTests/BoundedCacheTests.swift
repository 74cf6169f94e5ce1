import BlockingIO
import Testing

@Suite struct BoundedCacheTests {
    @Test func holdsNoMoreThanItsLimit() {
        var cache = BoundedCache<Int, Int>(limit: 10)
        for key in 0..<1000 {
            cache.insert(key, for: key)
            #expect(cache.count <= 10)
            #expect(cache.value(for: key) == key)
        }
        #expect(cache.count >= 5, "it is never emptied whole")
    }

    /// What is used stays, however much else comes.
    @Test func whatIsUsedStays() {
        var cache = BoundedCache<Int, String>(limit: 8)
        cache.insert("kept", for: -1)
        for key in 0..<200 {
            cache.insert("passing", for: key)
            #expect(cache.value(for: -1) == "kept")
        }
        #expect(cache.value(for: 0) == nil)
    }

    @Test func costsAreAddedUp() {
        var cache = BoundedCache<Int, Int>(limit: 100)
        for key in 0..<50 { cache.insert(key, for: key, cost: 20) }
        #expect(cache.count <= 5)
        cache.insert(1, for: 1, cost: 1_000_000)
        #expect(cache.value(for: 1) == 1, "what came last is there, whatever it costs")
    }

    @Test func whatWasRemovedOrReplacedIsNotFound() {
        var cache = BoundedCache<String, Int>(limit: 4)
        cache.insert(1, for: "a")
        cache.insert(2, for: "a")
        #expect(cache.value(for: "a") == 2 && cache.count == 1)
        cache.remove("a")
        #expect(cache.value(for: "a") == nil)
        cache.insert(3, for: "b")
        cache.removeAll()
        #expect(cache.value(for: "b") == nil && cache.count == 0)
    }
}
