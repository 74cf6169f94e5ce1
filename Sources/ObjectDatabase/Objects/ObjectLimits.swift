package import ObjectStorage

extension ObjectKeys {
    /// The most bytes that an object under this key has (docs/reference/FORMAT.md, "Sizes"). A longer one is not read.
    /// Packs are read by ranges and have no limit here.
    package static func limitBytes(_ key: String) -> Int {
        limits.first { key.hasPrefix($0.prefix) }?.bytes ?? 1 << 20
    }

    private static let limits: [(prefix: String, bytes: Int)] = [
        ("refs/", 64 << 10), (signatures, 64 << 10), (commits, 16 << 20), (refUpdates, 16 << 20),
        (hookRecords, 16 << 20), (leases, 16 << 20), (collected, 16 << 20), (moved, 48 << 20),
        (trees, TwoPartObject.maximumBytes(.node)), (lists, TwoPartObject.maximumBytes(.blockList)),
    ]
}

/// Whole objects of a repository: each kind has a limit.
extension ObjectStore {
    /// A whole object; `nil` when it is not there.
    package func find(_ key: String) throws(StoreError) -> StoredObject? {
        try find(key, limitBytes: ObjectKeys.limitBytes(key))
    }

    /// A whole object. Throws `.notFound`.
    package func get(_ key: String) throws(StoreError) -> StoredObject {
        try get(key, .whole(limitBytes: ObjectKeys.limitBytes(key)), ifMatch: nil)
    }

    /// See `update(_:limitBytes:_:)`.
    package func update(_ key: String, _ change: (StoredObject?) throws -> [UInt8]?) throws {
        try update(key, limitBytes: ObjectKeys.limitBytes(key), change)
    }
}
