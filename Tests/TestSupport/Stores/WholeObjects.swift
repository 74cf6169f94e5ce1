package import ObjectStorage

/// Short forms for tests, whose objects are small.
extension ObjectStore {
    package static var testLimitBytes: Int { 1 << 30 }

    package func get(_ key: String, range: Range<UInt64>?, ifMatch: ETag?) throws(StoreError) -> StoredObject {
        try get(key, range.map { .range($0) } ?? .whole(limitBytes: Self.testLimitBytes), ifMatch: ifMatch)
    }

    package func find(_ key: String) throws(StoreError) -> StoredObject? {
        try find(key, limitBytes: Self.testLimitBytes)
    }
}
