import Synchronization

/// Counts from any thread.
package final class CallCounter: Sendable {
    private let value = Mutex(0)

    package init() {}

    package var count: Int { value.withLock { $0 } }

    /// One more; answers how many that makes.
    package func next() -> Int {
        value.withLock { value in
            value += 1
            return value
        }
    }
}
