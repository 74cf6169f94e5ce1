extension ObjectStore {
    /// A whole object of at most `limitBytes`; `nil` when it is not there.
    package func find(_ key: String, limitBytes: Int) throws(StoreError) -> StoredObject? {
        do throws(StoreError) {
            return try get(key, .whole(limitBytes: limitBytes), ifMatch: nil)
        } catch .notFound {
            return nil
        }
    }

    /// Size and age of an object; `nil` when it is not there.
    package func findInfo(_ key: String) throws(StoreError) -> ObjectInfo? {
        do throws(StoreError) {
            return try head(key)
        } catch .notFound {
            return nil
        }
    }

    /// Calls `body` with each page of the objects whose key begins with `prefix`, in the order of keys.
    package func forEachPage(_ prefix: String, _ body: ([ObjectInfo]) throws -> Void) throws {
        var after: String?
        while true {
            let page = try list(prefix: prefix, after: after, limit: 1000)
            try body(page.objects)
            after = page.objects.last?.key
            if !page.isTruncated || page.objects.isEmpty { return }
        }
    }

    /// Writes `key` on condition that it still is `current` (`nil`: that it is not there). False when it is not.
    package func swap(_ key: String, from current: ETag?, to bytes: [UInt8]) throws(StoreError) -> Bool {
        do throws(StoreError) {
            _ = try put(key, bytes, current.map { .matches($0) } ?? .absent)
            return true
        } catch .preconditionFailed {
            return false
        }
    }
}
