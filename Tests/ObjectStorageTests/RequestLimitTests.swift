import Foundation
import Synchronization
import TestSupport
import Testing

@testable import ObjectStorage

/// How many requests a store is sent at once. SEMANTICS: R10.
@Suite struct RequestLimitTests {
    private static let slowDown = ScriptedServer.Reply.answer(503, [:], "<Error><Code>SlowDown</Code></Error>")

    @Test func anOverloadHalvesTheLimitOnceAndNotBelowOne() throws {
        let limit = RequestLimit()
        var time = ContinuousClock.now
        let permits = try (0..<RequestLimit.first).map { _ in try #require(limit.take(waitingAtMost: 0)) }
        time += .seconds(10)
        for permit in permits { limit.giveBack(permit, .overloaded, at: time) }
        #expect(limit.current == 8 && limit.slowDowns == 1 && limit.inFlight == 0)
        #expect(limit.wasCut(within: 5, of: time + .seconds(4)) && !limit.wasCut(within: 5, of: time + .seconds(6)))
        // Within a second it is the same overload.
        let soon = RequestLimit.Permit(began: time + .seconds(0.1))
        _ = limit.take(waitingAtMost: 0)
        limit.giveBack(soon, .overloaded, at: time + .seconds(0.5))
        #expect(limit.current == 8)
        for round in 1...6 {
            let began = time + .seconds(Double(round) * 2)
            _ = limit.take(waitingAtMost: 0)
            limit.giveBack(RequestLimit.Permit(began: began), .overloaded, at: began + .seconds(1.5))
        }
        #expect(limit.current == 1)
    }

    @Test func successesRaiseTheLimitByOneARoundAndOnlyWhileItIsUsed() throws {
        let limit = RequestLimit()
        for _ in 0..<1000 {
            let permit = try #require(limit.take(waitingAtMost: 0))
            limit.giveBack(permit, .answered)
        }
        #expect(limit.current == RequestLimit.first)
        var held: [RequestLimit.Permit] = []
        while let permit = limit.takeIfFree() { held.append(permit) }
        for _ in 0..<RequestLimit.first + 1 {
            limit.giveBack(held.removeLast(), .answered)
            while let permit = limit.takeIfFree() { held.append(permit) }
        }
        #expect(limit.current == RequestLimit.first + 1)
        for _ in 0..<100_000 {
            limit.giveBack(held.removeLast(), .answered)
            while let permit = limit.takeIfFree() { held.append(permit) }
        }
        #expect(limit.current == RequestLimit.maximum && held.count == RequestLimit.maximum)
    }

    @Test func waitingIsInLineAndBounded() throws {
        let limit = RequestLimit()
        var held = try (0..<RequestLimit.first).map { _ in try #require(limit.take(waitingAtMost: 0)) }
        #expect(limit.take(waitingAtMost: 20) == nil && limit.takeIfFree() == nil)
        let order = Collected<Int>()
        let group = DispatchGroup()
        for number in 0..<4 {
            group.enter()
            Thread.detachNewThread {
                if let permit = limit.take(waitingAtMost: 10_000) {
                    order.append(number)
                    limit.giveBack(permit, .unknown)
                }
                group.leave()
            }
            usleep(50_000)
        }
        limit.giveBack(held.removeLast(), .unknown)
        group.wait()
        #expect(order.all == [0, 1, 2, 3])
        for permit in held { limit.giveBack(permit, .unknown) }
        #expect(limit.inFlight == 0)
    }

    @Test func aRequestWithoutAPlaceIsUnavailable() throws {
        let server = try ScriptedServer { _, _ in .answer(200, ["ETag": "\"e\""], "x") }
        let store = try scriptedStore(server, limits: HTTPLimits(totalMilliseconds: 100))
        while store.pace.limit.takeIfFree() != nil {}
        #expect {
            try store.get("k", range: nil, ifMatch: nil)
        } throws: { error in
            guard case .unavailable(_, "k", 1, let reason)? = error as? StoreError else { return false }
            return reason.contains("stayed busy")
        }
        #expect(server.requests.isEmpty)
    }

    /// A server that answers SlowDown beyond eight requests at once: all are served in the end, and the limit stays
    /// near what it bears.
    @Test func aStoreThatSaysSlowDownIsSentLessAndServesAll() throws {
        let running = Mutex(0)
        let mostRunning = Mutex(0)
        let server = try ScriptedServer { _, _ in
            let now = running.withLock { running in
                running += 1
                return running
            }
            mostRunning.withLock { $0 = max($0, now) }
            usleep(5000)
            running.withLock { $0 -= 1 }
            return now > 8 ? Self.slowDown : .answer(200, ["ETag": "\"e\""], "x")
        }
        let store = RetryingStore(
            try scriptedStore(server),
            policy: RetryPolicy(attempts: 100, firstPauseMilliseconds: 5, longestPauseMilliseconds: 50))
        try onThreads(32) { _ in
            for _ in 0..<30 {
                let object = try store.get("k", range: nil, ifMatch: nil)
                #expect(object.bytes == bytes("x"))
            }
        }
        let traffic = try #require(store.traffic)
        #expect(traffic.slowDowns >= 1 && traffic.limit < 32 && traffic.inFlight == 0)
        // It begins at 16 and cannot grow far while it is cut; without it 32 would come at once.
        #expect(mostRunning.withLock { $0 } <= RequestLimit.first + 8)
    }

    @Test func timeoutsCountAsOverloadAndRefusalsDoNot() throws {
        let server = try ScriptedServer { _, request in
            request.target.contains("gone") ? .answer(404) : .rawThenSilence("")
        }
        let store = try scriptedStore(server, limits: HTTPLimits(totalMilliseconds: 200))
        #expect(throws: StoreError.notFound(key: "gone")) { try store.get("gone", range: nil, ifMatch: nil) }
        #expect(store.traffic?.limit == 16)
        #expect(throws: StoreError.self) { try store.head("k") }
        #expect(store.traffic?.limit == 8)
    }
}
