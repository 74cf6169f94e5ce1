import Synchronization

/// What a store was sent and how it bears it, for people.
package struct PacerMetrics: Hashable, Sendable, Codable {
    /// Requests that it may be sent at once now (1...`maximumLimit`).
    package var limit: Int
    package var inFlight: Int
    /// How often the limit was halved.
    package var slowDowns: UInt64
    /// Second requests that were sent beside reads that were late, and how many of them answered first.
    package var hedges: UInt64
    package var hedgesWon: UInt64

    package static let maximumLimit = RequestLimit.maximum
}

/// Paces the requests to one store: how many at once, and which reads are sent a second time because the first is late.
/// Second requests are at most one for `requestsPerHedge` reads, take only permits that nobody waits for, and there are
/// none for a while after the limit was cut.
final class RequestPacer: Sendable {
    static let requestsPerHedge = 20.0
    /// Second requests that may be saved up.
    static let mostSavedHedges = 5.0
    static let noHedgeSeconds = 5.0

    let limit = RequestLimit()
    private let state = Mutex(State())

    private struct State {
        var times = LatencyTracker()
        var hedgeTokens = 0.0
        var hedges: UInt64 = 0
        var hedgesWon: UInt64 = 0
    }

    var metrics: PacerMetrics {
        let (hedges, won) = state.withLock { ($0.hedges, $0.hedgesWon) }
        return PacerMetrics(
            limit: limit.current, inFlight: limit.inFlight, slowDowns: limit.slowDowns, hedges: hedges, hedgesWon: won)
    }

    /// Sends one request when it has a permit. `nil` when it got none within `waitMilliseconds`.
    ///
    /// - Parameter accepts: for a read: which answers are whole. It may then be sent twice.
    func exchange(
        _ request: HTTPRequest, by client: HTTPClient, expectedBytes: Int?, waitMilliseconds: Int,
        accepts: ((HTTPResponse) -> Bool)?
    ) -> HTTPExchange? {
        guard let permit = limit.take(waitingAtMost: waitMilliseconds) else { return nil }
        var secondPermit: RequestLimit.Permit?
        var hedge: Hedge?
        if let accepts, let late = lateMilliseconds(expectedBytes) {
            hedge = Hedge(
                lateMilliseconds: late,
                begin: { [self] in
                    secondPermit = permitForHedge()
                    return secondPermit != nil
                }, accepts: accepts)
        }
        let exchange = client.exchange(request, hedge: hedge)
        limit.giveBack(permit, Self.outcome(exchange.first))
        if let secondPermit { limit.giveBack(secondPermit, Self.outcome(exchange.second)) }
        if accepts != nil { note(exchange, permit, expectedBytes) }
        return exchange
    }

    private func lateMilliseconds(_ bytes: Int?) -> Int? {
        state.withLock { state in
            state.hedgeTokens = min(Self.mostSavedHedges, state.hedgeTokens + 1 / Self.requestsPerHedge)
            return state.times.lateMilliseconds(bytes: bytes).map { Int($0.rounded(.up)) }
        }
    }

    private func permitForHedge() -> RequestLimit.Permit? {
        guard !limit.wasCut(within: Self.noHedgeSeconds) else { return nil }
        let isAffordable = state.withLock { state in
            guard state.hedgeTokens >= 1 else { return false }
            state.hedgeTokens -= 1
            return true
        }
        guard isAffordable else { return nil }
        guard let permit = limit.takeIfFree() else {
            state.withLock { $0.hedgeTokens += 1 }
            return nil
        }
        state.withLock { $0.hedges += 1 }
        return permit
    }

    /// A read that the second request answered took at least so long: late ones count as what they are, and when most
    /// are late, none is.
    private func note(_ exchange: HTTPExchange, _ permit: RequestLimit.Permit, _ bytes: Int?) {
        guard case .success(let response) = exchange.answer, (200..<300).contains(response.status) else { return }
        let elapsed = permit.began.duration(to: .now) / .milliseconds(1)
        state.withLock { state in
            state.times.note(elapsed, bytes: bytes)
            if exchange.secondWon { state.hedgesWon += 1 }
        }
    }

    private static func outcome(_ result: Result<HTTPResponse, HTTPFailure>?) -> RequestLimit.Outcome {
        switch result {
        case .success(let response): response.mayPass ? .overloaded : .answered
        case .failure(let failure): failure.kind == .transport ? .overloaded : .unknown
        case nil: .unknown
        }
    }
}
