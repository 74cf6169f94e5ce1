import Dispatch
import Synchronization

/// Writes of large blocks that are made by another thread, so that who reads a block need not wait until it is kept.
///
/// Blocks that wait to be written are in memory: beyond `limitBytes` the caller writes by itself. What was not written
/// when the process ends is fetched again.
final class DeferredWrites: Sendable {
    private let queue = DispatchQueue(label: "tarn.blockcache.writes")
    private let waitingBytes = Atomic<Int>(0)

    private static let limitBytes = 16 << 20
    /// Smaller ones are written in less time than it takes to wake a thread.
    private static let smallBytes = 128 << 10

    /// Runs `write`, which writes so many bytes, now or soon.
    func run(bytes: Int, _ write: @escaping @Sendable () -> Void) {
        if bytes < Self.smallBytes { return write() }
        guard waitingBytes.add(bytes, ordering: .relaxed).newValue <= Self.limitBytes else {
            waitingBytes.subtract(bytes, ordering: .relaxed)
            return write()
        }
        queue.async { [self] in
            write()
            waitingBytes.subtract(bytes, ordering: .relaxed)
        }
    }

    /// Blocks until everything that was to be written before is.
    func wait() {
        if waitingBytes.load(ordering: .relaxed) > 0 { queue.sync {} }
    }
}
