import ObjectStorage
import Synchronization
import Versioning

/// Writes blocks back to back into packs, uploading as they fill. Not thread-safe: one owner appends in order; the
/// uploads themselves run on the shared I/O pool, many at a time. A pack is visible in the store only once `finish` has
/// returned.
package final class PackWriter {
    /// A pack of small files ends at about this size.
    package static let targetBytes: UInt64 = 64 << 20
    /// A large file goes on in a new pack after this many bytes: 10,000 parts of 8 MiB are what S3 allows in one
    /// object.
    package static let maximumBytes: UInt64 = 64 << 30
    static let partBytes = 8 << 20

    private let store: any ObjectStore
    private let uploads: UploadQueue
    private let limitBytes: UInt64
    private var current: PackUpload?
    /// A whole part that waits to see whether the pack goes on: what fits into two parts is uploaded by one PUT.
    private var fullPart: [UInt8]?
    private var part: [UInt8] = []
    private var offset: UInt64 = 0
    private var plainOffset: UInt64 = 0
    private var pack = PackID.random()

    /// - Parameter limitBytes: a pack that has reached it takes no further block.
    init(store: any ObjectStore, uploads: UploadQueue, limitBytes: UInt64) {
        self.store = store
        self.uploads = uploads
        self.limitBytes = limitBytes
    }

    /// Adds a block in its stored form and says where it will lie. May block while too many parts are under way.
    func append(_ stored: [UInt8], codec: Codec, plainBytes: Int) throws -> Extent {
        if offset >= limitBytes { try endPack() }
        let extent = Extent(
            pack: pack, offset: offset, storedLength: UInt32(stored.count), codec: codec, plainOffset: plainOffset)
        offset += UInt64(stored.count)
        plainOffset += UInt64(plainBytes)
        var rest = stored[...]
        while !rest.isEmpty {
            if part.count == Self.partBytes { try startPart() }
            let fitting = rest.prefix(Self.partBytes - part.count)
            part += fitting
            rest = rest.dropFirst(fitting.count)
        }
        return extent
    }

    /// The part under way is full.
    private func startPart() throws {
        if let fullPart { try sendPart(fullPart) }
        fullPart = part
        part = []
        part.reserveCapacity(Self.partBytes)
    }

    /// Ends the pack under way, if there is one. Its upload may still be running: `uploads.flush` waits for it.
    func endPack() throws {
        guard offset > 0 else { return }
        if let current {
            if let fullPart { try sendPart(fullPart) }
            try sendPart(part)
            uploads.submit { try current.seal() }
        } else {
            let (key, body) = (ObjectKeys.pack(pack), (fullPart ?? []) + part)
            uploads.submit { [store] in _ = try store.put(key, body, .none) }
        }
        current = nil
        fullPart = nil
        part = []
        offset = 0
        plainOffset = 0
        pack = .random()
    }

    private func sendPart(_ body: [UInt8]) throws {
        let upload = try current ?? PackUpload(store: store, key: ObjectKeys.pack(pack))
        current = upload
        let number = upload.nextPart()
        uploads.submit { try upload.send(number, body) }
    }
}

/// One multipart upload whose parts arrive from several threads; the last to arrive after `seal` completes it.
private final class PackUpload: Sendable {
    private struct State {
        var sent = 0
        var parts: [UploadedPart] = []
        var isSealed = false
    }

    private let store: any ObjectStore
    private let upload: MultipartUpload
    private let state = Mutex(State())

    init(store: any ObjectStore, key: String) throws {
        self.store = store
        upload = try store.beginUpload(key)
    }

    func nextPart() -> Int {
        state.withLock { state in
            state.sent += 1
            return state.sent
        }
    }

    func send(_ number: Int, _ body: [UInt8]) throws {
        try abortingOnFailure {
            let part = try store.uploadPart(upload, number: number, body)
            try completeIfWhole { $0.parts.append(part) }
        }
    }

    /// No part will follow: the last part to arrive completes the upload, or this call when all have.
    func seal() throws {
        try abortingOnFailure { try completeIfWhole { $0.isSealed = true } }
    }

    private func completeIfWhole(after change: (inout State) -> Void) throws {
        let parts = state.withLock { state -> [UploadedPart]? in
            change(&state)
            return state.isSealed && state.parts.count == state.sent ? state.parts : nil
        }
        if let parts { _ = try store.completeUpload(upload, parts: parts) }
    }

    private func abortingOnFailure(_ body: () throws -> Void) throws {
        do {
            try body()
        } catch {
            // The upload is of no use any more; that its parts are thrown away is a courtesy to the store.
            try? store.abortUpload(upload)
            throw error
        }
    }
}
