import Dispatch
import Synchronization

/// How many requests a store is sent at once: additive increase, multiplicative decrease. Starts at 16; grows by one for
/// each round of successes while all of it is used, up to 64; is halved, down to 1, when the store says or shows that it
/// is too much. Whoever comes when all permits are taken waits in line.
///
/// Source: Chiu and Jain, "Analysis of the Increase and Decrease Algorithms for Congestion Avoidance", 1989.
final class RequestLimit: Sendable {
    static let first = 16
    static let maximum = 64
    /// After a cut, others of the same overload do not cut again for so long.
    static let quietSeconds = 1.0

    /// Leave to have one request under way.
    struct Permit: Sendable {
        let began: ContinuousClock.Instant
    }

    enum Outcome: Sendable {
        case answered
        /// 429, 5xx, a time-out, a connection that broke.
        case overloaded
        /// Cut off by ourselves, or an answer that says nothing of the store's load.
        case unknown
    }

    private final class Waiter: Sendable {
        let granted = DispatchSemaphore(value: 0)
    }

    private struct State {
        var limit = Double(RequestLimit.first)
        var inFlight = 0
        var waiting: [Waiter] = []
        var lastCut: ContinuousClock.Instant?
        var slowDowns: UInt64 = 0

        var isFull: Bool { inFlight >= Int(limit) }
    }

    private let state = Mutex(State())

    /// Places at this moment.
    var current: Int { state.withLock { Int($0.limit) } }
    var inFlight: Int { state.withLock { $0.inFlight } }
    /// How often it was halved.
    var slowDowns: UInt64 { state.withLock { $0.slowDowns } }

    func wasCut(within seconds: Double, of now: ContinuousClock.Instant = .now) -> Bool {
        state.withLock { $0.lastCut.map { $0.duration(to: now) < .seconds(seconds) } ?? false }
    }

    /// Waits in line for a permit; `nil` when none came in time.
    func take(waitingAtMost milliseconds: Int) -> Permit? {
        let waiter: Waiter? = state.withLock { state in
            if state.waiting.isEmpty, !state.isFull {
                state.inFlight += 1
                return nil
            }
            let waiter = Waiter()
            state.waiting.append(waiter)
            return waiter
        }
        guard let waiter else { return Permit(began: .now) }
        if waiter.granted.wait(timeout: .now() + .milliseconds(milliseconds)) == .success { return Permit(began: .now) }
        // Who is not in line any more was granted the permit at the last moment.
        let isGranted = state.withLock { state in
            guard let index = state.waiting.firstIndex(where: { $0 === waiter }) else { return true }
            state.waiting.remove(at: index)
            return false
        }
        return isGranted ? Permit(began: .now) : nil
    }

    /// A permit that is free now and that nobody waits for.
    func takeIfFree() -> Permit? {
        state.withLock { state in
            guard state.waiting.isEmpty, !state.isFull else { return nil }
            state.inFlight += 1
            return Permit(began: .now)
        }
    }

    func giveBack(_ permit: Permit, _ outcome: Outcome, at now: ContinuousClock.Instant = .now) {
        state.withLock { state in
            switch outcome {
            case .answered where state.isFull:
                state.limit = min(Double(Self.maximum), state.limit + 1 / state.limit)
            case .overloaded where state.lastCut.map({ mayCut(permit, now, after: $0) }) ?? true:
                state.limit = max(1, state.limit / 2)
                state.lastCut = now
                state.slowDowns += 1
            case .answered, .overloaded, .unknown:
                break
            }
            state.inFlight -= 1
            while !state.waiting.isEmpty, !state.isFull {
                state.inFlight += 1
                state.waiting.removeFirst().granted.signal()
            }
        }
    }

    /// What was sent before the last cut tells of the same overload.
    private func mayCut(_ permit: Permit, _ now: ContinuousClock.Instant, after last: ContinuousClock.Instant) -> Bool {
        permit.began > last && last.duration(to: now) >= .seconds(Self.quietSeconds)
    }
}
