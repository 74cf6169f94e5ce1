/// Runs `body` on a thread of its own and waits for it, but not for longer than `milliseconds`. Answers whether it has ended;
/// what has not goes on. For what is a courtesy to others at the end of a process, and may wait for a store that is away.
package func waitingAtMost(milliseconds: Int, _ body: @escaping @Sendable () -> Void) -> Bool {
    let hasEnded = Monitor(false)
    do {
        try startThread {
            body()
            hasEnded.update { $0 = true }
        }
    } catch {
        // Without a thread there is no courtesy.
        return false
    }
    for _ in 0..<max(1, milliseconds / 10) {
        if hasEnded.look({ $0 }) { return true }
        sleepMilliseconds(10)
    }
    return hasEnded.look { $0 }
}
