import BlockingIO
import Synchronization

/// Uploads that run behind their caller's back, bounded in number, with the first failure kept for `flush`.
package final class UploadQueue: Sendable {
    private typealias Upload = @Sendable () throws -> Void

    private struct State {
        var running = 0
        var failure: (any Error)?
        /// What failed, or was not begun because something had failed; only kept by a shared queue.
        var unfinished: [Upload] = []
    }

    private let state = Monitor(State())
    private let threads: Int
    private let waiting: Int
    private let isShared: Bool
    private let pool: Mutex<WorkerPool?> = Mutex(nil)

    /// - Parameter threads: how many uploads run at once; the threads start with the first upload.
    /// - Parameter waiting: how many more may wait before `submit` blocks.
    /// - Parameter isShared: several writers flush the queue, each relying on all that it has submitted. An upload that
    ///   failed then stays until a later `flush` has done it, so that the failure cannot be told to one writer while
    ///   another one goes on without the object.
    package init(threads: Int, waiting: Int, isShared: Bool = false) {
        self.threads = threads
        self.waiting = waiting
        self.isShared = isShared
    }

    deinit {
        pool.withLock { $0?.close() }
    }

    /// Blocks while too many uploads wait.
    package func submit(_ upload: @escaping @Sendable () throws -> Void) {
        state.update(wakes: false) { $0.running += 1 }
        run(upload)
    }

    private func run(_ upload: @escaping Upload) {
        started().submit { [state, isShared] in
            let isStopped = state.look { $0.failure != nil }
            var failure: (any Error)?
            if !isStopped {
                do { try upload() } catch { failure = error }
            }
            state.update { state in
                state.failure = state.failure ?? failure
                if isShared, isStopped || failure != nil { state.unfinished.append(upload) }
                state.running -= 1
            }
        }
    }

    private func started() -> WorkerPool {
        pool.withLock { pool in
            if let pool { return pool }
            let started = WorkerPool(threads: threads, limit: waiting)
            pool = started
            return started
        }
    }

    /// Waits until none is under way; throws the first failure since the last flush. A shared queue first tries again
    /// what failed.
    package func flush() throws {
        if isShared { retry() }
        let failure = state.wait { state -> (any Error)?? in
            guard state.running == 0 else { return nil }
            defer { if !isShared { state.failure = nil } }
            return .some(state.failure)
        }
        if let failure { throw failure }
    }

    private func retry() {
        let unfinished = state.wait { state -> [Upload]? in
            guard state.running == 0 else { return nil }
            defer { state.unfinished = [] }
            state.failure = nil
            state.running = state.unfinished.count
            return state.unfinished
        }
        for upload in unfinished { run(upload) }
    }
}
