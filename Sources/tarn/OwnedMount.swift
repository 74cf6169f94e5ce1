import ArgumentParser
import BlockingIO
import CLinux
import ErrorMessages
import Glibc
import Synchronization
import Versioning

/// A mount that a process of this program made for itself, in a namespace or a directory that nobody else finds: it ends with
/// that process, however that ends.
final class OwnedMount: Sendable {
    private let isAbandoned = Mutex(false)

    /// The arguments with which `tarn mount` learns whose mount it is.
    static var words: [String] { ["--owner", "\(getpid())"] }

    /// Ends this process, as SIGTERM does, when its owner has ended. The owner must be waiting for this mount to be up.
    init(_ owner: Int32) throws {
        let descriptor = tarn_process_descriptor(owner)
        guard descriptor >= 0 else {
            throw CommandFailure(
                message: "the process that wants this mount has ended: \(String(cString: strerror(errno)))")
        }
        try startThread { [self] in
            var ending = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            while poll(&ending, 1, -1) < 0, errno == EINTR {}
            close(descriptor)
            isAbandoned.withLock { $0 = true }
            kill(getpid(), SIGTERM)
        }
    }

    /// If the owner was killed: does what it would have done at the end.
    ///
    /// - Parameter record: the file with what was read, in a directory of its own.
    func leaveNothing(_ mountPoint: String, _ record: String?, _ receipt: String?) {
        guard isAbandoned.withLock({ $0 }) else { return }
        // Only a directory that was made for this mount goes.
        if mountPoint.hasPrefix(TemporaryMount.prefix) { rmdir(mountPoint) }
        guard let record else { return }
        do {
            if let receipt { try ReceiptFile.endAbandoned(at: receipt, reads: record) }
        } catch {
            writeError("tarn: the receipt \(receipt ?? ""): \(tarn.words(of: error))")
        }
        unlink(record)
        if let end = record.lastIndex(of: "/") { rmdir(String(record[..<end])) }
    }
}

/// What `tarn run` and the gates tell the mounts that they make for themselves.
struct InternalMountArguments: ParsableArguments {
    /// Where to write what was read.
    @Option(help: .hidden) var record: String?
    @Flag(help: .hidden) var recordRanges = false
    /// The receipt that is ended here when `tarn run` is killed.
    @Option(help: .hidden) var recordReceipt: String?
    /// The process of this program that the mount is for.
    @Option(help: .hidden) var owner: Int32?
}
