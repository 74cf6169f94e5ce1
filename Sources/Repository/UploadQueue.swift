import Synchronization

/// Uploads that run behind their caller's back, bounded in number, with the first failure kept for `flush`.
final class UploadQueue: Sendable {
    private struct State {
        var running = 0
        var failure: (any Error)?
    }

    private let state = Monitor(State())
    private let threads: Int
    private let waiting: Int
    private let pool: Mutex<WorkerPool?> = Mutex(nil)

    /// - Parameter threads: how many uploads run at once; the threads start with the first upload.
    /// - Parameter waiting: how many more may wait before `submit` blocks.
    init(threads: Int, waiting: Int) {
        self.threads = threads
        self.waiting = waiting
    }

    deinit {
        pool.withLock { $0?.close() }
    }

    /// Blocks while too many uploads wait.
    func submit(_ upload: @escaping @Sendable () throws -> Void) {
        let pool = pool.withLock { pool in
            if let pool { return pool }
            let started = WorkerPool(threads: threads, limit: waiting)
            pool = started
            return started
        }
        state.update { $0.running += 1 }
        pool.submit { [state] in
            let failed = state.update { $0.failure != nil }
            do {
                if !failed { try upload() }
                state.update { $0.running -= 1 }
            } catch {
                state.update { state in
                    state.failure = state.failure ?? error
                    state.running -= 1
                }
            }
        }
    }

    /// Waits until none is under way; throws the first failure since the last flush.
    func flush() throws {
        let failure = state.wait { state -> (any Error)?? in
            guard state.running == 0 else { return nil }
            defer { state.failure = nil }
            return .some(state.failure)
        }
        if let failure { throw failure }
    }
}
