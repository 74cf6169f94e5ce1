import CFUSE
import Glibc
import Logging
import Synchronization
import VFS

/// Open files that the kernel reads from a file of this host by itself (Documentation/filesystems/fuse/fuse-passthrough.rst,
/// Linux 6.9).
///
/// While a file is open in one way, the kernel takes no open of it in the other, nor with another file behind it. So the
/// first open decides, for all until the last is released. The kernel counts an open when it has our answer and a release
/// before it tells us: whatever it has open is open here.
final class Passthrough: Sendable {
    enum Answer: Equatable {
        /// This mount has none.
        case unavailable
        /// The file is read from us.
        case served
        /// The file is read from the file registered by this number.
        case backed(Int32)
    }

    private struct OpenFile {
        let answer: Answer
        var opens: Int
    }

    private struct State {
        /// Whether the kernel takes our files; `nil` before it was tried.
        var isAvailable: Bool?
        var files: [InodeNumber: OpenFile] = [:]
        var backedOpens: UInt64 = 0

        mutating func open(_ inode: InodeNumber, _ answer: Answer) -> Answer {
            files[inode, default: OpenFile(answer: answer, opens: 0)].opens += 1
            if answer != .served { backedOpens += 1 }
            return answer
        }
    }

    /// The session's descriptor; -1 before it is mounted.
    private let device = Atomic<Int32>(-1)
    private let state = Mutex(State())
    private let logger: Logger

    init(logger: Logger) {
        self.logger = logger
    }

    func attach(device: Int32) { self.device.store(device, ordering: .releasing) }

    /// How often a file was opened so that the kernel reads it by itself; `nil` where it cannot, or no file was opened yet.
    var backedOpens: UInt64? { state.withLock { $0.isAvailable == true ? $0.backedOpens : nil } }

    /// Opens a file once more. Every answer but `.unavailable` wants a `release`.
    func open(_ inode: InodeNumber, of fileSystem: any FileSystem) -> Answer {
        let known = state.withLock { state -> Answer? in
            guard isAvailable(&state, fileSystem) else { return .unavailable }
            return state.files[inode].map { state.open(inode, $0.answer) }
        }
        if let known { return known }
        // Outside the lock: looking takes time for a file of many blocks.
        let found = fileSystem.hostFile(inode).map { register($0) } ?? .served
        let answer = state.withLock { state in state.open(inode, state.files[inode]?.answer ?? found) }
        if answer != found { forget(found) }
        return answer
    }

    func release(_ inode: InodeNumber) {
        let last = state.withLock { state -> Answer? in
            guard var file = state.files[inode] else { return nil }
            file.opens -= 1
            state.files[inode] = file.opens > 0 ? file : nil
            return file.opens > 0 ? nil : file.answer
        }
        if let last { forget(last) }
    }

    private func register(_ file: HostFile) -> Answer {
        let number = file.withDescriptor { tarn_backing_open(device.load(ordering: .acquiring), $0) }
        return number > 0 ? .backed(number) : .served
    }

    private func forget(_ answer: Answer) {
        if case .backed(let number) = answer { tarn_backing_close(device.load(ordering: .acquiring), number) }
    }

    /// Tried with the first open: by then INIT is done.
    private func isAvailable(_ state: inout State, _ fileSystem: any FileSystem) -> Bool {
        if let known = state.isAvailable { return known }
        let refusal = refusal(fileSystem)
        state.isAvailable = refusal == nil
        logger.info("\(refusal.map { "no passthrough: \($0)" } ?? "passthrough")")
        return refusal == nil
    }

    private func refusal(_ fileSystem: any FileSystem) -> String? {
        guard tarn_has_passthrough() != 0 else { return "this kernel does not offer it (Linux 6.9 does)" }
        guard let sample = fileSystem.sampleHostFile() else { return "there is no block cache" }
        let number = sample.withDescriptor { tarn_backing_open(device.load(ordering: .acquiring), $0) }
        switch number {
        case -EPERM: return "it needs CAP_SYS_ADMIN (root)"
        case -ELOOP: return "the block cache lies on a stacked filesystem"
        case ..<0: return String(cString: strerror(-number))
        default: forget(.backed(number))
        }
        return nil
    }
}
