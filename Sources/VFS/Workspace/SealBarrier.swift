import BlockingIO
import ObjectDatabase

/// Lets many changes in at once, or one sealer alone. A sealer that waits keeps new changes out, so it is never
/// starved.
final class SealBarrier: Sendable {
    private struct State {
        var inside = 0
        var isClosed = false
    }

    private let state = Monitor(State())

    func pass<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
        state.wait { state -> Void? in
            if state.isClosed { return nil }
            state.inside += 1
            return ()
        }
        defer { state.update { $0.inside -= 1 } }
        return try body()
    }

    /// Runs `body` while nobody else is inside.
    func alone<Result>(_ body: () throws -> Result) rethrows -> Result {
        state.wait { state -> Void? in
            if state.isClosed { return nil }
            state.isClosed = true
            return ()
        }
        state.wait { $0.inside == 0 ? () : nil }
        defer { state.update { $0.isClosed = false } }
        return try body()
    }
}
