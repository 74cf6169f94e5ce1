import CLinux
import DequeModule
import Dispatch
import Glibc
import Synchronization

/// A fixed number of threads that run blocking jobs, with a bounded queue: `submit` blocks while it is full.
///
/// A job wakes one thread. (On a condition that all idle threads share, each job would wake all of them.)
package final class WorkerPool: Sendable {
    private struct Queue {
        var jobs: Deque<@Sendable () -> Void> = []
        var isClosed = false

        mutating func next() -> (@Sendable () -> Void)? { jobs.popFirst() }
    }

    private final class Shared: Sendable {
        let jobs = Mutex(Queue())
    }

    private let queue = Shared()
    /// One for each job that waits; when closed, one more for each thread.
    private let waiting = DispatchSemaphore(value: 0)
    /// One for each place in the queue that is free. (A semaphore must not be destroyed below its first value.)
    private let room = DispatchSemaphore(value: 0)
    /// Those that the system gave: fewer than were asked for where there are no more. With none, `submit` runs the job.
    private let threads: Int

    /// - Parameter threads: how many jobs run at once, at most.
    /// - Parameter limit: how many more may wait before `submit` blocks.
    package init(threads: Int, limit: Int) {
        for _ in 0..<limit { room.signal() }
        self.threads = startThreads(SimulatedHost.current == nil ? threads : 0) { [queue, waiting, room] in
            while let job = Self.nextJob(queue, waiting, room) { job() }
        }
    }

    /// `nil` when the pool was closed and its jobs are begun.
    private static func nextJob(
        _ queue: Shared, _ waiting: DispatchSemaphore, _ room: DispatchSemaphore
    ) -> (@Sendable () -> Void)? {
        waiting.wait()
        guard let job = queue.jobs.withLock({ $0.next() }) else { return nil }
        room.signal()
        return job
    }

    package func submit(_ job: @escaping @Sendable () -> Void) {
        if threads == 0 { return job() }
        room.wait()
        queue.jobs.withLock { queue in
            precondition(!queue.isClosed, "no job after close")
            queue.jobs.append(job)
        }
        waiting.signal()
    }

    /// Lets the queued jobs finish, then ends the threads. Does not wait, so that the last job may be the one to call
    /// it.
    package func close() {
        queue.jobs.withLock { $0.isClosed = true }
        for _ in 0..<threads { waiting.signal() }
    }
}

/// The system has no thread left for this process (pthread_create(3): EAGAIN).
package struct NoThreadLeft: Error, Hashable, Sendable {
    package init() {}
}

/// Starts up to `count` threads that run `body`; answers how many the system gave.
private func startThreads(_ count: Int, _ body: @escaping @Sendable () -> Void) -> Int {
    for started in 0..<count {
        // Fewer threads do the same work, later.
        guard (try? startThread(body)) != nil else { return started }
    }
    return count
}

/// Runs `body` on a new detached thread with a 1 MiB stack.
package func startThread(_ body: @escaping @Sendable () -> Void) throws(NoThreadLeft) {
    final class Start: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    pthread_attr_setstacksize(&attributes, 1 << 20)
    var thread = pthread_t()
    let start = Unmanaged.passRetained(Start(body))
    let failure = pthread_create(
        &thread, &attributes,
        { argument in
            guard let argument else { return nil }
            Unmanaged<Start>.fromOpaque(argument).takeRetainedValue().body()
            return nil
        }, start.toOpaque())
    pthread_attr_destroy(&attributes)
    if failure != 0 {
        start.release()
        throw NoThreadLeft()
    }
}

/// Starts a thread that only repeats something until its owner ends, such as renewing a lease. Answers false on a simulated
/// host, which has none.
@discardableResult
package func startHeartbeat(_ body: @escaping @Sendable () -> Void) throws(NoThreadLeft) -> Bool {
    if SimulatedHost.current != nil { return false }
    try startThread(body)
    return true
}

/// Runs `body` for every element on up to `threads` threads of its own and waits for all; on the caller's where the system
/// gives none. After the first error no further element is begun, and that error is thrown.
package func concurrently<Element: Sendable>(
    _ elements: [Element], threads: Int, _ body: @escaping @Sendable (Element) throws -> Void
) throws {
    if elements.isEmpty { return }
    let progress = Monitor(ConcurrentProgress())
    let work: @Sendable () -> Void = {
        while let index = progress.update({ state -> Int? in
            guard state.failure == nil, state.next < elements.count else { return nil }
            state.next += 1
            return state.next - 1
        }) {
            do { try body(elements[index]) } catch { progress.update { $0.failure = $0.failure ?? error } }
        }
        progress.update { $0.running -= 1 }
    }
    let threadCount = min(threads, elements.count)
    progress.update { $0.running = threadCount }
    let started = startThreads(SimulatedHost.current == nil ? threadCount : 0, work)
    progress.update { $0.running -= threadCount - max(1, started) }
    if started == 0 { work() }
    if let failure = progress.wait(for: { $0.running == 0 ? .some($0.failure) : nil }) { throw failure }
}

private struct ConcurrentProgress {
    var next = 0
    var running = 0
    var failure: (any Error)?
}
