import Glibc
import Synchronization

/// One writer at a time over all threads and all processes: a `Mutex`, then `flock` on a file.
///
/// Waiting is bounded, because a holder may be a stopped process and a cache must not make anybody hang.
/// Lock order: this lock, then a shard of `OpenFiles`. Nothing is fetched under it.
final class ExclusiveLock: Sendable {
    private let descriptor: Int32
    /// Monotonic milliseconds until which nobody waits, because somebody just waited in vain.
    private let notWaitingUntil = Mutex<UInt64>(0)

    /// Takes over the descriptor.
    init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    deinit {
        close(descriptor)
    }

    /// The result of `body`, or nil if the lock was not to be had in `waitMilliseconds`.
    func tryWithLock<Result: Sendable, E: Error>(
        waitMilliseconds: UInt64 = 2_000, _ body: () throws(E) -> Result
    ) throws(E) -> Result? {
        try notWaitingUntil.withLock { notWaitingUntil throws(E) -> Result? in
            let now = CacheIndex.monotonicMilliseconds()
            guard acquire(deadline: now < notWaitingUntil ? now : now + waitMilliseconds) else {
                notWaitingUntil = max(notWaitingUntil, CacheIndex.monotonicMilliseconds() + 5_000)
                return nil
            }
            notWaitingUntil = 0
            defer { flock(descriptor, LOCK_UN) }
            return try body()
        }
    }

    private func acquire(deadline: UInt64) -> Bool {
        var pauseMicroseconds: UInt32 = 50
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            guard errno == EWOULDBLOCK || errno == EINTR else { return false }
            guard CacheIndex.monotonicMilliseconds() < deadline else { return false }
            usleep(pauseMicroseconds)
            pauseMicroseconds = min(pauseMicroseconds * 2, 2_000)
        }
        return true
    }
}
