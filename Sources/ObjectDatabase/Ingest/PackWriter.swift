import BlockingIO
package import ObjectStorage
import Synchronization
package import Versioning

/// Writes blocks back to back into packs, uploading as they fill. Not thread-safe: one owner appends in order; the
/// uploads themselves run on the shared I/O pool, many at a time. A pack is visible in the store only once `finish` has
/// returned.
package final class PackWriter {
    /// A pack of small files ends at about this size.
    package static let targetBytes: UInt64 = 64 << 20
    /// A large file goes on in a new pack after this many bytes: 10,000 parts of 8 MiB are what S3 allows in one
    /// object.
    package static let maximumBytes: UInt64 = 64 << 30
    package static let partBytes = 8 << 20

    private let store: any ObjectStore
    private let uploads: UploadQueue
    private let limitBytes: UInt64
    private let spares: SpareParts
    private var current: PackUpload?
    /// A whole part that waits to see whether the pack goes on: what fits into two parts is uploaded by one PUT.
    private var fullPart: [UInt8]?
    private var part: [UInt8] = []
    private var offset: UInt64 = 0
    private var plainOffset: UInt64 = 0
    private var pack = PackID.random()

    /// - Parameter limitBytes: a pack that has reached it takes no further block.
    /// - Parameter spares: shared by the writers of one queue.
    package init(store: any ObjectStore, uploads: UploadQueue, limitBytes: UInt64, spares: SpareParts = SpareParts()) {
        self.spares = spares
        self.store = store
        self.uploads = uploads
        self.limitBytes = limitBytes
    }

    /// Adds a block in its stored form and says where it will lie. May block while too many parts are under way.
    package func append(_ stored: UnsafeRawBufferPointer, codec: Codec, plainBytes: Int) throws -> Extent {
        if offset >= limitBytes { try endPack() }
        let extent = Extent(
            pack: pack, offset: offset, storedLength: UInt32(stored.count), codec: codec, plainOffset: plainOffset)
        offset += UInt64(stored.count)
        plainOffset += UInt64(plainBytes)
        var rest = stored[...]
        while !rest.isEmpty {
            if part.count == Self.partBytes { try startPart() }
            let fitting = rest.prefix(Self.partBytes - part.count)
            part.append(contentsOf: UnsafeRawBufferPointer(rebasing: fitting))
            rest = rest.dropFirst(fitting.count)
        }
        return extent
    }

    /// The part under way is full.
    private func startPart() throws {
        if let fullPart { try sendPart(fullPart) }
        fullPart = part
        part = spares.take()
    }

    /// Ends the pack under way, if there is one. Its upload may still be running: `uploads.flush` waits for it.
    package func endPack() throws {
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
        let upload = current ?? PackUpload(store: store, key: ObjectKeys.pack(pack))
        current = upload
        let number = upload.nextPart()
        uploads.submit { [spares] in
            try upload.send(number, body)
            spares.give(body)
        }
    }
}

/// Parts that were sent, to be filled again: fresh memory costs the kernel as much time as a copy.
package final class SpareParts: Sendable {
    private let parts = Mutex<[[UInt8]]>([])

    package func take() -> [UInt8] {
        var part = parts.withLock { $0.popLast() } ?? []
        // Keeps nothing, and takes fresh memory, where somebody else still holds it.
        part.removeAll(keepingCapacity: true)
        part.reserveCapacity(PackWriter.partBytes)
        return part
    }

    package func give(_ part: [UInt8]) {
        if part.count == PackWriter.partBytes { parts.withLock { $0.append(part) } }
    }
}

/// One multipart upload whose parts arrive from several threads: the first to arrive begins it, the last to arrive after
/// `seal` completes it.
private final class PackUpload: Sendable {
    private enum Beginning {
        case no
        case underWay
        case ended(Result<MultipartUpload, any Error>)
    }

    private struct State {
        var sent = 0
        var parts: [UploadedPart] = []
        var isSealed = false
    }

    private let store: any ObjectStore
    private let key: String
    private let beginning = Monitor(Beginning.no)
    private let state = Mutex(State())

    init(store: any ObjectStore, key: String) {
        self.store = store
        self.key = key
    }

    /// The upload, begun by whoever comes first; the others wait for that request, and fail when it does.
    private func begun() throws -> MultipartUpload {
        let isFirst = beginning.update(wakes: false) { state in
            guard case .no = state else { return false }
            state = .underWay
            return true
        }
        if isFirst {
            let result = Result { try store.beginUpload(key) as MultipartUpload }
            beginning.update { $0 = .ended(result) }
        }
        return try beginning.wait { state in
            if case .ended(let result) = state { result } else { nil }
        }.get()
    }

    func nextPart() -> Int {
        state.withLock { state in
            state.sent += 1
            return state.sent
        }
    }

    func send(_ number: Int, _ body: [UInt8]) throws {
        try abortingOnFailure {
            let part = try store.uploadPart(begun(), number: number, body)
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
        if let parts { _ = try store.completeUpload(begun(), parts: parts) }
    }

    private func abortingOnFailure(_ body: () throws -> Void) throws {
        do {
            try body()
        } catch {
            // The upload is of no use any more; that its parts are thrown away is a courtesy to the store.
            if case .ended(.success(let upload)) = beginning.look({ $0 }) { try? store.abortUpload(upload) }
            throw error
        }
    }
}
