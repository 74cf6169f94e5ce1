import BlockingIO
import Foundation
import Testing

@Suite struct WorkerPoolTests {
    /// Every job runs, those that wait when the pool is closed too, and never more at once than there are threads.
    @Test func everyJobRunsOnceWithinTheBounds() {
        let pool = WorkerPool(threads: 3, limit: 2)
        let running = Monitor((now: 0, most: 0))
        let done = DispatchSemaphore(value: 0)
        for _ in 0..<500 {
            pool.submit {
                running.update { running in
                    running.now += 1
                    running.most = max(running.most, running.now)
                }
                usleep(100)
                running.update { $0.now -= 1 }
                done.signal()
            }
        }
        pool.close()
        for _ in 0..<500 { #expect(done.wait(timeout: .now() + 60) == .success) }
        #expect((2...3).contains(running.look { $0.most }))
    }

    @Test func submitWaitsWhileTheQueueIsFull() {
        let pool = WorkerPool(threads: 1, limit: 1)
        defer { pool.close() }
        let gate = DispatchSemaphore(value: 0)
        let begun = DispatchSemaphore(value: 0)
        pool.submit {
            begun.signal()
            gate.wait()
        }
        begun.wait()
        pool.submit {}
        let third = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            pool.submit {}
            third.signal()
        }
        #expect(third.wait(timeout: .now() + 0.2) == .timedOut)
        gate.signal()
        #expect(third.wait(timeout: .now() + 60) == .success)
    }
}
