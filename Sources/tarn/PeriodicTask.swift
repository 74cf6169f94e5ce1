import BlockingIO
import ObjectDatabase
import Operations

/// Runs something again and again on a thread of its own, until it is stopped.
final class PeriodicTask: Sendable {
    private let isStopped = Monitor(false)
    private let hasEnded = Monitor(false)

    /// Throws when the system has no thread for it.
    ///
    /// - Parameter seconds: the pause between the end of one run and the next.
    /// - Parameter body: may ask whether it is to stop.
    init(
        everySeconds seconds: Double, _ body: @escaping @Sendable (_ isStopped: @escaping @Sendable () -> Bool) -> Void
    ) throws {
        try startThread { [isStopped, hasEnded] in
            while Self.pause(seconds, isStopped) { body { isStopped.look { $0 } } }
            hasEnded.update { $0 = true }
        }
    }

    /// False when it was stopped meanwhile.
    private static func pause(_ seconds: Double, _ isStopped: Monitor<Bool>) -> Bool {
        var left = Int(seconds * 1000)
        while left > 0, !isStopped.look({ $0 }) {
            sleepMilliseconds(min(left, 100))
            left -= 100
        }
        return !isStopped.look { $0 }
    }

    /// Waits for the run under way.
    func stop() {
        isStopped.update { $0 = true }
        hasEnded.waitUntil { $0 }
    }
}
