import Glibc
import Synchronization

/// An upload's parts, each written once, straight into the slot it will have in the object.
///
/// The slot of a part follows from the part size, which is known as soon as part 1 or any two parts have arrived. A
/// part that comes first with another number may be the short last one; it waits in a file of its own and is the only
/// part that is ever copied.
final class StagedUpload: Sendable {
    let key: String
    private let store: DirectoryStore
    private let state: Mutex<State>

    private struct State {
        /// `nil` once the upload has been completed or aborted.
        var object: StagedFile?
        var partSizeBytes: Int?
        var parts: [Int: Int] = [:]
        var early: (number: Int, size: Int, file: StagedFile)?
    }

    private enum PartSlot {
        case object(StagedFile, offset: UInt64)
        case early(StagedFile)
    }

    init(key: String, store: DirectoryStore) throws(StoreError) {
        self.key = key
        self.store = store
        state = Mutex(State(object: try StagedFile(in: store)))
    }

    func write(_ number: Int, _ body: [UInt8]) throws(StoreError) -> UploadedPart {
        switch try slot(number, size: body.count) {
        case .object(let staged, let offset):
            try staged.file.write(body, at: offset)
            staged.file.startWriting(offset..<offset + UInt64(body.count))
        case .early(let staged): try staged.file.write(body, at: 0)
        }
        state.withLock { $0.parts[number] = body.count }
        return Self.part(number, body.count)
    }

    private func slot(_ number: Int, size: Int) throws(StoreError) -> PartSlot {
        let spare = try needsSpare(number) ? StagedFile(in: store) : nil
        let slot: Result<PartSlot, StoreError> = state.withLock { state in
            guard let object = state.object else { return .failure(.notFound(key: key)) }
            if state.partSizeBytes == nil {
                if number == 1 {
                    state.partSizeBytes = size
                } else if let early = state.early, early.number != number {
                    state.partSizeBytes = max(early.size, size)
                } else if let early = state.early ?? spare.map({ (number, size, $0) }) {
                    state.early = (number, size, early.file)
                    return .success(.early(early.file))
                }
            }
            if let early = state.early, early.number == number { return .success(.early(early.file)) }
            let partSize = state.partSizeBytes ?? size
            guard size <= partSize else {
                return .failure(invalid("part \(number) has \(size) bytes, another one \(partSize)"))
            }
            return .success(.object(object, offset: UInt64(number - 1) * UInt64(partSize)))
        }
        return try slot.get()
    }

    private func needsSpare(_ number: Int) -> Bool {
        number != 1 && state.withLock { $0.partSizeBytes == nil && $0.early == nil }
    }

    /// The finished file, ready to be published; the upload is over.
    func finish(_ parts: [UploadedPart]) throws(StoreError) -> StagedFile {
        let sorted = try parts.inOrder(key: key)
        let (object, partSize, early) = try checked(sorted)
        if let early {
            let bytes = try early.file.file.read(at: 0, count: early.size)
            try object.file.write(bytes, at: UInt64(early.number - 1) * UInt64(partSize))
        }
        let sizes = state.withLock { $0.parts }
        try object.file.truncate(to: UInt64((1...sorted.count).reduce(0) { $0 + sizes[$1]! }))
        close()
        return object
    }

    private typealias Finished = (object: StagedFile, partSize: Int, early: (number: Int, size: Int, file: StagedFile)?)

    private func checked(_ sorted: [UploadedPart]) throws(StoreError) -> Finished {
        let result: Result<Finished, StoreError> = state.withLock { state in
            guard let object = state.object else { return .failure(.notFound(key: key)) }
            for part in sorted {
                guard let size = state.parts[part.number], Self.part(part.number, size) == part else {
                    return .failure(invalid("part \(part.number) is not here"))
                }
                let isLast = part.number == sorted.count
                guard isLast || size == state.partSizeBytes else {
                    return .failure(invalid("part \(part.number) has \(size) bytes and is not the last"))
                }
            }
            return .success(
                (object, state.partSizeBytes ?? 0, state.early.flatMap { $0.number <= sorted.count ? $0 : nil }))
        }
        return try result.get()
    }

    /// Forgets the parts. Their files go with the last writer that still holds them.
    func close() {
        state.withLock { state in
            state.object = nil
            state.early = nil
        }
    }

    private static func part(_ number: Int, _ size: Int) -> UploadedPart {
        UploadedPart(number: number, etag: ETag("\(number)-\(size)"))
    }

    private func invalid(_ message: String) -> StoreError {
        .refused(key: key, status: 400, code: "InvalidPart", message: message)
    }
}

extension DirectoryStore {
    package func beginUpload(_ key: String) throws(StoreError) -> MultipartUpload {
        try check(key)
        let upload = MultipartUpload(key: key, uploadID: randomHex())
        let staged = try StagedUpload(key: key, store: self)
        uploads.withLock { $0[upload.uploadID] = staged }
        return upload
    }

    package func uploadPart(_ upload: MultipartUpload, number: Int, _ body: [UInt8]) throws(StoreError) -> UploadedPart
    {
        precondition(MultipartUpload.partNumbers.contains(number), "part numbers are 1 to 10,000")
        return try staged(upload).write(number, body)
    }

    package func completeUpload(_ upload: MultipartUpload, parts: [UploadedPart]) throws(StoreError) -> ETag {
        let file = try staged(upload).finish(parts)
        uploads.withLock { $0[upload.uploadID] = nil }
        return try publish(file, as: upload.key, .none)
    }

    package func abortUpload(_ upload: MultipartUpload) throws(StoreError) {
        let staged = uploads.withLock { $0.removeValue(forKey: upload.uploadID) }
        staged?.close()
    }

    private func staged(_ upload: MultipartUpload) throws(StoreError) -> StagedUpload {
        guard let staged = uploads.withLock({ $0[upload.uploadID] }) else { throw .notFound(key: upload.key) }
        return staged
    }
}
