import TestSupport
import Testing

@testable import ObjectStorage

@Suite struct ProbeTests {
    @Test func memoryIsSafe() throws {
        let store = MemoryStore()
        #expect(try probeCompareAndSwap(store, prefix: "") == .safe(S3Quirks()))
        #expect(try store.list(prefix: "", after: nil, limit: 1).objects.isEmpty)
    }

    @Test func directoryIsSafe() throws {
        let directory = try TemporaryDirectory()
        let store = try DirectoryStore(directory.path)
        #expect(try probeCompareAndSwap(store, prefix: "scratch/") == .safe(S3Quirks()))
        #expect(try store.list(prefix: "", after: nil, limit: 1).objects.isEmpty)
    }

    @Test func aStoreThatIgnoresConditionsIsUnsafe() throws {
        let store = MemoryStore(ignoreConditions: true)
        guard case .unsafe(let reason) = try probeCompareAndSwap(store, prefix: "") else {
            Issue.record("it was called safe")
            return
        }
        #expect(reason.contains("If-None-Match"))
        #expect(try store.list(prefix: "", after: nil, limit: 1).objects.isEmpty)
    }

    @Test func lostRepliesDoNotMisleadIt() throws {
        for n in 1...5 {
            let faulty = FaultyStore(MemoryStore(), rule: FaultyStore.nth(n, .put, .failAfter(.lostReply("k"))))
            #expect(try probeCompareAndSwap(RetryingStore(faulty, policy: .hasty), prefix: "") == .safe(S3Quirks()))
        }
    }

    @Test func aStoreThatDoesNotAnswerIsNotCalledUnsafe() {
        let faulty = FaultyStore(MemoryStore()) { _ in .failBefore(.lostReply("k")) }
        #expect(throws: StoreError.self) { try probeCompareAndSwap(faulty, prefix: "") }
    }

    /// A server that knows `If-Match` only in quotes, scripted.
    @Test func quotesAreTriedWhenTheyAreNeeded() throws {
        let memory = MemoryStore()
        let server = try ScriptedServer { _, seen in
            let key = "k" + seen.target.dropFirst("/bucket/".count)
            do throws(StoreError) {
                switch seen.method {
                case "PUT":
                    var condition = WriteCondition.none
                    if seen.headers["if-none-match"] == "*" { condition = .absent }
                    if let match = seen.headers["if-match"] {
                        condition = .matches(match.hasPrefix("\"") ? ETag(quoted: match) : ETag("no such"))
                    }
                    let etag = try memory.put(key, seen.body, condition)
                    return .answer(200, ["ETag": etag.quoted])
                case "DELETE":
                    try memory.delete(key)
                    return .answer(204)
                default:
                    let object = try memory.get(key, range: nil, ifMatch: nil)
                    let time = "Mon, 12 Oct 2009 17:50:30 GMT"
                    let body = String(decoding: object.bytes, as: UTF8.self)
                    return .answer(
                        200, ["ETag": object.etag.quoted, "Last-Modified": time], seen.method == "HEAD" ? "" : body)
                }
            } catch {
                if case .preconditionFailed = error { return .answer(412) }
                return .answer(404)
            }
        }
        let store = RetryingStore(try scriptedStore(server), policy: .hasty)
        #expect(try probeCompareAndSwap(store, prefix: "") == .safe(S3Quirks(quoteIfMatch: true)))
    }

    @Test(.enabled(if: S3TestServer.rgw != nil, "no TARN_TEST_RGW_ENDPOINT"))
    func cephIsSafe() throws {
        let store = RetryingStore(try #require(S3TestServer.rgw).store(prefix: "p"))
        #expect(try probeCompareAndSwap(store, prefix: "") == .safe(S3Quirks(quoteIfMatch: false)))
        #expect(try store.list(prefix: "", after: nil, limit: 1).objects.isEmpty)
    }

    @Test(.enabled(if: S3TestServer.moto != nil, "no TARN_TEST_MOTO_ENDPOINT"))
    func motoIsSafe() throws {
        let store = RetryingStore(try #require(S3TestServer.moto).store())
        #expect(try probeCompareAndSwap(store, prefix: "") == .safe(S3Quirks(quoteIfMatch: false)))
    }
}
