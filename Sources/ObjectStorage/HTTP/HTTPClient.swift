import CCurl
import Dispatch
import Synchronization

/// Blocking HTTP over a bounded pool of libcurl handles. Each handle keeps its connection, so a warm pool opens none.
final class HTTPClient: Sendable {
    /// Exchanges at the same time; one more waits for a handle.
    static let maximumExchanges = 64
    /// Handles kept, with their connections, when nothing is under way.
    static let maximumIdleHandles = 64

    private let caFile: String?
    private let userAgent: String
    private let idle = Mutex<[CurlHandle]>([])
    private let slots = DispatchSemaphore(value: HTTPClient.maximumExchanges)

    /// - Parameter caFile: PEM file with the certificates to trust instead of the system's.
    init(caFile: String?, userAgent: String = HTTPClient.defaultUserAgent) {
        self.caFile = caFile
        self.userAgent = userAgent
    }

    static let defaultUserAgent = "tarn/0.1"

    /// How many handles lie idle.
    var idleHandles: Int { idle.withLock { $0.count } }

    /// Sends one request, once, and waits for the whole answer, whatever its status. Blocks up to `request.limits`.
    func send(_ request: HTTPRequest) throws(HTTPFailure) -> HTTPResponse {
        try exchange(request, hedge: nil).answer.get()
    }

    /// Sends one request, and a second, identical one beside it when the first is late and `hedge` allows it. Both run
    /// on this thread; who loses is cut off. Blocks up to `request.limits`, and as long again if a second is sent.
    func exchange(_ request: HTTPRequest, hedge: Hedge?) -> HTTPExchange {
        precondition(hedge == nil || request.body == nil, "only a read is sent twice")
        guard slots.wait(timeout: .now() + .milliseconds(request.limits.totalMilliseconds)) == .success else {
            return HTTPExchange(
                failure: HTTPFailure(
                    kind: .transport, reason: "all \(Self.maximumExchanges) connections stayed busy"))
        }
        defer { slots.signal() }
        do throws(HTTPFailure) {
            let handle = try takeHandle()
            let exchange = try handle.run(request, hedge: hedge, caFile: caFile, userAgent: userAgent)
            // After a failure the handle is dropped with its connection, whose state is unknown.
            if case .success = exchange.answer { giveBack(handle) }
            return exchange
        } catch {
            return HTTPExchange(failure: error)
        }
    }

    private func takeHandle() throws(HTTPFailure) -> CurlHandle {
        if let handle = idle.withLock({ $0.popLast() }) { return handle }
        return try CurlHandle()
    }

    private func giveBack(_ handle: CurlHandle) {
        let surplus: CurlHandle? = idle.withLock { handles in
            if handles.count >= Self.maximumIdleHandles { return handle }
            handles.append(handle)
            return nil
        }
        // Closing a surplus connection may write to the network: outside the lock.
        _ = consume surplus
    }
}

/// When a second request is sent beside one that is late.
struct Hedge {
    /// Milliseconds without a whole answer after which the first request is late.
    let lateMilliseconds: Int
    /// Asked once, when it is late: whether a second one may be sent now.
    let begin: () -> Bool
    /// Whether an answer is what was asked for, and whole. The second one's wins only then.
    let accepts: (HTTPResponse) -> Bool
}

/// What came of one request, or of two for the same.
struct HTTPExchange {
    /// `nil`: cut off, because the second had answered.
    var first: Result<HTTPResponse, HTTPFailure>?
    /// `nil`: never sent, or cut off, because the first had answered.
    var second: Result<HTTPResponse, HTTPFailure>?
    var secondWon = false
    /// The race itself could not be run.
    private var failure = HTTPFailure(kind: .transport, reason: "the transfer did not end")

    init() {}

    init(failure: HTTPFailure) {
        self.failure = failure
        first = .failure(failure)
    }

    /// The winner's; without one the first's.
    var answer: Result<HTTPResponse, HTTPFailure> {
        (secondWon ? second : first) ?? .failure(failure)
    }
}

/// A pooled handle: the connections live in `multi`.
private final class CurlHandle: @unchecked Sendable {
    // SAFETY: owned by the one thread that took it from the pool until it is given back.
    private let multi: UnsafeMutableRawPointer
    private let transfer: CurlTransfer

    init() throws(HTTPFailure) {
        transfer = try CurlTransfer()
        guard let multi = curl_multi_init() else {
            throw HTTPFailure(kind: .unusable, reason: "libcurl cannot be initialised")
        }
        self.multi = multi
    }

    deinit { tarn_curl_multi_free(multi) }

    func run(
        _ request: HTTPRequest, hedge: Hedge?, caFile: String?, userAgent: String
    ) throws(HTTPFailure) -> HTTPExchange {
        let race = Race(request, transfer, hedge, caFile: caFile, userAgent: userAgent)
        let body = request.body ?? []
        let prepared: Result<CURLMcode, HTTPFailure> = body.withUnsafeBytes { bytes in
            Result { () throws(HTTPFailure) in
                try transfer.prepare(
                    request, body: request.body == nil ? nil : bytes, caFile: caFile, userAgent: userAgent)
                var calls = tarn_curl_race(
                    finished: raceFinished, late: raceIsLate, context: Unmanaged.passUnretained(race).toOpaque())
                return withExtendedLifetime(race) {
                    tarn_curl_race(multi, transfer.easy, Int64(hedge?.lateMilliseconds ?? -1), &calls)
                }
            }
        }
        let code = try prepared.get()
        guard code == CURLM_OK else {
            throw HTTPFailure(kind: .unusable, reason: String(cString: curl_multi_strerror(code)))
        }
        return race.exchange
    }
}

/// The state of one exchange while libcurl runs it. Used by the thread that runs it.
private final class Race {
    private let request: HTTPRequest
    private let first: CurlTransfer
    private var second: CurlTransfer?
    private let hedge: Hedge?
    private let caFile: String?
    private let userAgent: String
    private(set) var exchange = HTTPExchange()

    init(_ request: HTTPRequest, _ first: CurlTransfer, _ hedge: Hedge?, caFile: String?, userAgent: String) {
        self.request = request
        self.first = first
        self.hedge = hedge
        self.caFile = caFile
        self.userAgent = userAgent
    }

    /// The handle of a second transfer; `nil` when there is to be none.
    func beginSecond() -> UnsafeMutableRawPointer? {
        // Made before it is asked for, so that leave to send one is not used up for nothing.
        guard let hedge, let transfer = try? CurlTransfer(),
            (try? transfer.prepare(request, body: nil, caFile: caFile, userAgent: userAgent)) != nil, hedge.begin()
        else { return nil }
        second = transfer
        return transfer.easy
    }

    /// Whether what has ended is the answer.
    func finished(isSecond: Bool, _ code: CURLcode) -> Bool {
        guard let transfer = isSecond ? second : first else { return false }
        let outcome = transfer.outcome(code, caFile: caFile)
        if isSecond { exchange.second = outcome } else { exchange.first = outcome }
        guard let hedge, second != nil, case .success(let response) = outcome else { return second == nil }
        if (200..<300).contains(response.status) ? hedge.accepts(response) : !isSecond && !response.mayPass {
            exchange.secondWon = isSecond
            return true
        }
        return false
    }
}

extension HTTPResponse {
    /// Whether the server says that it cannot now, rather than that it will not.
    var mayPass: Bool { status == 429 || status >= 500 }
}

private func raceFinished(_ context: UnsafeMutableRawPointer?, _ isSecond: Int32, _ code: CURLcode) -> Int32 {
    guard let context else { return 1 }
    return Unmanaged<Race>.fromOpaque(context).takeUnretainedValue().finished(isSecond: isSecond != 0, code) ? 1 : 0
}

private func raceIsLate(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let context else { return nil }
    return Unmanaged<Race>.fromOpaque(context).takeUnretainedValue().beginSecond()
}
