import BlockingIO

/// How often and how long a call is tried again: exponential backoff with full jitter.
/// Source: "Exponential Backoff And Jitter", AWS Architecture Blog.
package struct RetryPolicy: Sendable {
    package var attempts: Int
    /// No attempt begins later than this after the first, so a call takes this long and one attempt at most.
    package var timeoutSeconds: Double
    package var firstPauseMilliseconds: Double
    package var longestPauseMilliseconds: Double
    package var sleep: @Sendable (_ milliseconds: Double) -> Void

    package init(
        attempts: Int = 8, timeoutSeconds: Double = 60, firstPauseMilliseconds: Double = 100,
        longestPauseMilliseconds: Double = 10_000,
        sleep: @escaping @Sendable (_ milliseconds: Double) -> Void = RetryPolicy.block
    ) {
        precondition(attempts >= 1, "a call is made at least once")
        self.attempts = attempts
        self.timeoutSeconds = timeoutSeconds
        self.firstPauseMilliseconds = firstPauseMilliseconds
        self.longestPauseMilliseconds = longestPauseMilliseconds
        self.sleep = sleep
    }

    package static let block: @Sendable (_ milliseconds: Double) -> Void = { milliseconds in
        sleepMilliseconds(Int(milliseconds.rounded(.up)))
    }

    /// Before the attempt after `failures` failed ones.
    func pauseMilliseconds(failures: Int) -> Double {
        let longest = min(longestPauseMilliseconds, firstPauseMilliseconds * Double(1 << min(failures - 1, 30)))
        var random = HostRandom()
        return longest > 0 ? Double.random(in: 0...longest, using: &random) : 0
    }
}
