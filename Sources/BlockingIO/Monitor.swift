import Glibc

/// A value behind a lock, with waiting for it to change (a monitor). For I/O threads: `wait` blocks the thread.
package final class Monitor<State>: @unchecked Sendable {
    // SAFETY: `state` is only touched between lock and unlock of `mutex`; the two pthread objects are initialised once,
    // never moved (heap memory of their own) and destroyed when nobody can refer to them any more.
    private var state: State
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    package init(_ state: sending State) {
        self.state = state
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// Runs `body` under the lock, then wakes all waiters so that they look again.
    ///
    /// - Parameter wakes: false where nobody waits for what `body` changes.
    package func update<Result>(wakes: Bool = true, _ body: (inout State) throws -> Result) rethrows -> Result {
        pthread_mutex_lock(mutex)
        defer {
            if wakes { pthread_cond_broadcast(condition) }
            pthread_mutex_unlock(mutex)
        }
        return try body(&state)
    }

    /// Runs `body` under the lock and wakes nobody, since nothing changes.
    package func look<Result>(_ body: (State) throws -> Result) rethrows -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body(state)
    }

    /// Blocks the thread until `isReached`, which is asked again after every change.
    package func waitUntil(_ isReached: (State) -> Bool) {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while !isReached(state) { pthread_cond_wait(condition, mutex) }
    }

    /// Runs `body` under the lock again after every change until it answers something; blocks the thread meanwhile.
    package func wait<Result>(for body: (inout State) throws -> Result?) rethrows -> Result {
        pthread_mutex_lock(mutex)
        defer {
            pthread_cond_broadcast(condition)
            pthread_mutex_unlock(mutex)
        }
        while true {
            if let result = try body(&state) { return result }
            pthread_cond_wait(condition, mutex)
        }
    }
}
