import Foundation
import Synchronization
import TestSupport
import Testing

@testable import ObjectStorage

/// A second request beside a read that is late. SEMANTICS: R10.
@Suite struct HedgedReadTests {
    private static let right = ScriptedServer.Reply.answer(
        206, ["ETag": "\"e\"", "Content-Range": "bytes 0-9/100"], "0123456789")

    /// Answers at once, but for keys that begin with `slow`: there the n-th request (from 1) is answered by `slow`.
    private static func server(
        slow: @escaping @Sendable (_ number: Int) -> ScriptedServer.Reply
    ) throws -> ScriptedServer {
        let seen = Mutex(0)
        return try ScriptedServer { _, request in
            guard request.target.contains("slow") else { return request.method == "GET" ? right : .answer(404) }
            return slow(
                seen.withLock { seen in
                    seen += 1
                    return seen
                })
        }
    }

    private func read(_ store: S3Store, _ key: String) throws -> [UInt8] {
        try store.get(key, range: 0..<10, ifMatch: nil).bytes
    }

    /// Enough reads that it is known how long they take, and that a hedge is saved up.
    private func warm(_ store: S3Store, reads: Int = 40) throws {
        for _ in 0..<reads { _ = try read(store, "quick") }
    }

    private static func after(_ milliseconds: Int, _ reply: ScriptedServer.Reply) -> ScriptedServer.Reply {
        usleep(UInt32(milliseconds) * 1000)
        return reply
    }

    @Test func aStalledReadIsAnsweredByASecondOne() throws {
        let server = try Self.server { $0 == 1 ? .rawThenSilence("HTTP/1.1 206 X\r\nContent-Le") : Self.right }
        let store = try scriptedStore(server)
        try warm(store)
        let start = ContinuousClock.now
        #expect(try read(store, "slow") == bytes("0123456789"))
        let elapsed = ContinuousClock.now - start
        #expect(elapsed >= .milliseconds(200) && elapsed < .seconds(5), "\(elapsed)")
        let traffic = try #require(store.traffic)
        #expect(traffic.hedges == 1 && traffic.hedgesWon == 1 && traffic.slowDowns == 0)
        let both = server.requests.filter { $0.target.contains("slow") }
        #expect(both.count == 2 && both[0].headers == both[1].headers && both[0].target == both[1].target)
    }

    @Test func theLoserIsCutOffAndNothingStays() throws {
        let server = try Self.server { $0 % 2 == 1 ? .rawThenSilence("") : Self.right }
        let store = try scriptedStore(server)
        for _ in 0..<5 {
            try warm(store)
            _ = try read(store, "slow")
        }
        #expect(store.traffic?.hedgesWon == 5)
        #expect(store.pace.limit.inFlight == 0 && store.client.idleHandles == 1)
        // The server notices that the stalled ones were closed.
        for _ in 0..<500 where server.openConnections > 1 { usleep(10_000) }
        #expect(server.openConnections <= 1, "\(server.openConnections) of \(server.connectionCount)")
    }

    @Test func theFirstWinsWhenItAnswersFirst() throws {
        let server = try Self.server { $0 == 1 ? Self.after(500, Self.right) : .rawThenSilence("") }
        let store = try scriptedStore(server)
        try warm(store)
        #expect(try read(store, "slow") == bytes("0123456789"))
        #expect(store.traffic?.hedges == 1 && store.traffic?.hedgesWon == 0 && store.pace.limit.inFlight == 0)
    }

    static let wrongReplies: [(String, ScriptedServer.Reply)] = [
        (
            "short",
            .raw("HTTP/1.1 206 X\r\nETag: \"e\"\r\nContent-Range: bytes 0-9/100\r\nContent-Length: 10\r\n\r\n01")
        ),
        ("another range", .answer(206, ["ETag": "\"e\"", "Content-Range": "bytes 5-14/100"], "5678901234")),
        ("fewer bytes", .answer(206, ["ETag": "\"e\"", "Content-Range": "bytes 0-4/5"], "01234x")),
        ("no version", .answer(206, ["Content-Range": "bytes 0-9/100"], "0123456789")),
        ("not found", .answer(404)), ("busy", .answer(503)), ("reset", .reset),
    ]

    @Test(arguments: wrongReplies.indices)
    func aSecondAnswerThatIsWrongDoesNotWin(_ index: Int) throws {
        let server = try Self.server { $0 == 1 ? Self.after(800, Self.right) : Self.wrongReplies[index].1 }
        let store = try scriptedStore(server)
        try warm(store)
        #expect(try read(store, "slow") == bytes("0123456789"), "\(Self.wrongReplies[index].0)")
        #expect(store.traffic?.hedges == 1 && store.traffic?.hedgesWon == 0 && store.pace.limit.inFlight == 0)
    }

    @Test(arguments: wrongReplies.indices.filter { wrongReplies[$0].0 != "not found" })
    func aFirstAnswerThatIsWrongGivesWayToTheSecond(_ index: Int) throws {
        let server = try Self.server {
            $0 == 1 ? Self.after(500, Self.wrongReplies[index].1) : Self.after(600, Self.right)
        }
        let store = try scriptedStore(server)
        try warm(store)
        #expect(try read(store, "slow") == bytes("0123456789"), "\(Self.wrongReplies[index].0)")
        #expect(store.traffic?.hedgesWon == 1)
    }

    @Test func whenBothFailTheFirstOnesErrorIsTold() throws {
        let server = try Self.server { Self.after(300, .answer($0 == 1 ? 500 : 404)) }
        let store = try scriptedStore(server)
        try warm(store)
        #expect {
            try self.read(store, "slow")
        } throws: { ($0 as? StoreError)?.isTransient == true }
    }

    @Test func secondReadsAreAtMostOneInTwenty() throws {
        let server = try Self.server { _ in Self.after(300, Self.right) }
        let store = try scriptedStore(server)
        try warm(store)
        let slow = 80
        try onThreads(8) { _ in for _ in 0..<slow / 8 { _ = try store.get("slow", range: 0..<10, ifMatch: nil) } }
        let traffic = try #require(store.traffic)
        #expect(traffic.hedges >= 1 && Double(traffic.hedges) <= Double(40 + slow) / 20, "\(traffic.hedges)")
        #expect(server.requests.count == 40 + slow + Int(traffic.hedges))
    }

    @Test func nothingIsSentTwiceAfterTheLimitWasCut() throws {
        let server = try Self.server { $0 == 1 ? .answer(503) : Self.after(500, Self.right) }
        let store = try scriptedStore(server)
        try warm(store)
        #expect(throws: StoreError.self) { try self.read(store, "slow") }
        _ = try read(store, "slow")
        #expect(store.traffic?.hedges == 0 && store.traffic?.slowDowns == 1)
    }

    @Test func aSecondReadTakesNoPlaceThatAnotherRequestNeeds() throws {
        let server = try Self.server { _ in Self.after(500, Self.right) }
        let store = try scriptedStore(server)
        try warm(store)
        var held: [RequestLimit.Permit] = []
        for _ in 0..<store.pace.limit.current - 1 { held.append(try #require(store.pace.limit.takeIfFree())) }
        _ = try read(store, "slow")
        #expect(store.traffic?.hedges == 0)
    }

    @Test func writesAndListingsAreNeverSentTwice() throws {
        let server = try Self.server { _ in Self.after(600, .answer(200, ["ETag": "\"e\""])) }
        let store = try scriptedStore(server)
        try warm(store, reads: 100)
        _ = try store.put("slow", [1], .absent)
        _ = try store.put("slow", [1], .none)
        try store.delete("slow")
        #expect(throws: StoreError.self) { try store.list(prefix: "slow", after: nil, limit: 1) }
        #expect(store.traffic?.hedges == 0 && server.requests.count { $0.target.contains("slow") } == 4)
    }

    @Test func whatIsLateGoesByTheSize() {
        var times = LatencyTracker()
        #expect(times.lateMilliseconds(bytes: 1000) == nil)
        for _ in 0..<LatencyTracker.needed { times.note(10, bytes: 1000) }
        #expect(times.lateMilliseconds(bytes: 1000) == LatencyTracker.earliestMilliseconds)
        for _ in 0..<LatencyTracker.needed { times.note(100, bytes: 256 << 10) }
        #expect(times.lateMilliseconds(bytes: 256 << 10) == 300)
        // Of larger ones nothing is known yet: so much longer as they are larger.
        #expect(times.lateMilliseconds(bytes: 1 << 20) == 1200)
        #expect(times.lateMilliseconds(bytes: nil) == nil)
        for _ in 0..<LatencyTracker.kept { times.note(1000, bytes: 256 << 10) }
        #expect(times.lateMilliseconds(bytes: 256 << 10) == 3000)
    }
}
