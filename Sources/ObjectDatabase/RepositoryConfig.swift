package import FoundationEssentials
package import ObjectStorage
package import Versioning

/// `tarn.json`: what a repository is, fixed when it is made.
package struct RepositoryConfig: Hashable, Sendable, Codable {
    package var format = RepositoryConfig.supportedFormat
    package var id: UUID
    package var created: Timestamp
    package var chunking: Chunking
    package var store: StoreQuirks
    /// What it is a mirror of; `nil` for a repository of its own.
    package var mirror: MirrorMark?

    package static let supportedFormat = 1

    package struct Chunking: Hashable, Sendable, Codable {
        package var algorithm = "fastcdc-gear64"
        package var minimumBytes = Chunker.minimumBytes
        package var averageBytes = Chunker.averageBytes
        package var maximumBytes = Chunker.maximumBytes

        package init() {}
    }

    /// What the probe at `init` found out about the store's conditional writes.
    package struct StoreQuirks: Hashable, Sendable, Codable {
        /// `If-Match` needs the ETag in quotes (most stores take it without; Ceph RGW 16 and 18 only without).
        package var quoteIfMatch: Bool

        package init(quoteIfMatch: Bool) { self.quoteIfMatch = quoteIfMatch }
    }

    package init(id: UUID, created: Timestamp, store: StoreQuirks) {
        self.id = id
        self.created = created
        self.store = store
        chunking = Chunking()
    }

    /// Reads and checks `tarn.json`.
    package static func load(from store: any ObjectStore) throws -> RepositoryConfig {
        try loadForUpdate(from: store).config
    }

    package static func loadForUpdate(from store: any ObjectStore) throws -> (config: RepositoryConfig, etag: ETag) {
        let object: StoredObject
        do {
            object = try store.get(ObjectKeys.config)
        } catch .notFound {
            throw ObjectDatabaseError.notARepository(location: store.location)
        }
        let config: RepositoryConfig = try decodeObject(object.bytes, key: ObjectKeys.config)
        guard config.format == supportedFormat else {
            throw ObjectDatabaseError.corrupt(
                object: ObjectKeys.config, reason: "format \(config.format) never existed")
        }
        guard config.chunking == Chunking() else {
            throw ObjectDatabaseError.corrupt(object: ObjectKeys.config, reason: "its chunking is not that of format 1")
        }
        return (config, object.etag)
    }
}

/// Marks a repository as a copy of another: only `mirror` moves its refs, until it is promoted.
package struct MirrorMark: Hashable, Sendable, Codable {
    /// Where it was copied from when it was made.
    package var source: String
    package var since: Timestamp

    package init(source: String, since: Timestamp) {
        self.source = source
        self.since = since
    }
}

/// Decodes a JSON object of the bucket, naming it in the error.
package func decodeObject<Record: Decodable>(_ bytes: [UInt8], key: String) throws(ObjectDatabaseError) -> Record {
    do {
        return try decodeRecord(Record.self, from: bytes)
    } catch {
        switch error {
        case .unreadable(let reason): throw .corrupt(object: key, reason: reason)
        case .newerFormat(let found): throw .newerFormat(object: key, found: found, supported: recordFormat)
        }
    }
}
