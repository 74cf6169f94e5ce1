import Dispatch
import Synchronization

/// Writes of large blocks, once begun by another thread, so that who reads a block need not wait until it is kept.
///
/// Blocks that wait to be written are in memory: beyond `limitBytes` the caller writes by itself. What was not written
/// when the process ends is fetched again.
final class DeferredWrites: Sendable {
    private let queue = DispatchQueue(label: "tarn.blockcache.writes")
    private let isOn = Atomic<Bool>(false)
    private let waitingBytes = Atomic<Int>(0)

    private static let limitBytes = 16 << 20
    /// Smaller ones are written in less time than it takes to wake a thread.
    private static let smallBytes = 128 << 10

    /// Until then every write is made by its caller.
    func begin() { isOn.store(true, ordering: .relaxed) }

    /// Runs `write`, which writes so many bytes, now or soon.
    func run(bytes: Int, _ write: @escaping @Sendable () -> Void) {
        guard isOn.load(ordering: .relaxed), bytes >= Self.smallBytes, takeRoom(bytes) else { return write() }
        queue.async { [self] in
            write()
            waitingBytes.subtract(bytes, ordering: .releasing)
        }
    }

    private func takeRoom(_ bytes: Int) -> Bool {
        if waitingBytes.add(bytes, ordering: .acquiring).newValue <= Self.limitBytes { return true }
        waitingBytes.subtract(bytes, ordering: .releasing)
        return false
    }

    var areWaiting: Bool { waitingBytes.load(ordering: .acquiring) > 0 }

    /// Blocks until everything is written that was to be before.
    func wait() {
        if areWaiting { queue.sync {} }
    }
}
