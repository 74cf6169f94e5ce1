/// Runs jobs on several threads and consumes their results one at a time, in the order of submission.
///
/// `submit` blocks while `limit` jobs are unfinished, which bounds the memory that their inputs and results hold. The
/// first error of a job or of `consume` stops the pipeline: later jobs are skipped and `submit` or `finish` throws it.
package final class OrderedPipeline<Output: Sendable>: Sendable {
    private struct State {
        var submitted = 0
        var results: [Int: Output] = [:]
        var nextToConsume = 0
        var isConsuming = false
        var failure: (any Error)?
    }

    private let state = Monitor(State())
    private let pool: WorkerPool
    private let limit: Int
    private let consume: @Sendable (Output) throws -> Void

    /// - Parameter consume: called with each result, never by two threads at once.
    package init(threads: Int, limit: Int, consume: @escaping @Sendable (Output) throws -> Void) {
        pool = WorkerPool(threads: threads, limit: limit)
        self.limit = limit
        self.consume = consume
    }

    package func submit(_ job: @escaping @Sendable () throws -> Output) throws {
        let number = try state.wait { state -> Int? in
            if let failure = state.failure { throw failure }
            guard state.submitted - state.nextToConsume < limit else { return nil }
            state.submitted += 1
            return state.submitted - 1
        }
        pool.submit { [self] in
            do {
                if state.look({ $0.failure == nil }) {
                    let output = try job()
                    state.update(wakes: false) { $0.results[number] = output }
                    drain()
                }
            } catch {
                state.update { $0.failure = $0.failure ?? error }
            }
        }
    }

    /// Waits until everything is consumed, and ends the threads.
    package func finish() throws {
        defer { pool.close() }
        try state.wait { state in
            if let failure = state.failure { throw failure }
            return state.nextToConsume == state.submitted ? () : nil
        }
    }

    /// Stops after an error of the submitter's own.
    package func cancel() {
        state.update { $0.failure = $0.failure ?? CancellationError() }
        pool.close()
    }

    /// Consumes the results that are next in order, unless another thread is at it (it will come to ours).
    private func drain() {
        while let output = takeNext() {
            let failure = Result { try consume(output) }.failure
            // At once: whoever waits for the last result must see that it failed.
            state.update { state in
                state.isConsuming = false
                state.nextToConsume += 1
                state.failure = state.failure ?? failure
            }
        }
    }

    private func takeNext() -> Output? {
        state.update(wakes: false) { state in
            guard !state.isConsuming, state.failure == nil,
                let next = state.results.removeValue(forKey: state.nextToConsume)
            else { return nil }
            state.isConsuming = true
            return next
        }
    }
}

extension Result {
    fileprivate var failure: Failure? {
        if case .failure(let error) = self { return error }
        return nil
    }
}
