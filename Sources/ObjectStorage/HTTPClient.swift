import CCurl
import Dispatch
import Synchronization

/// Blocking HTTP over a bounded pool of libcurl handles. Each handle keeps its connection, so a warm pool opens none.
final class HTTPClient: Sendable {
    /// Exchanges at the same time; one more waits for a handle.
    static let maximumExchanges = 64
    /// Handles kept, with their connections, when nothing is under way.
    static let maximumIdleHandles = 32

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

    /// Sends one request, once, and waits for the whole answer, whatever its status. Blocks up to `request.limits`.
    func send(_ request: HTTPRequest) throws(HTTPFailure) -> HTTPResponse {
        guard slots.wait(timeout: .now() + .milliseconds(request.limits.totalMilliseconds)) == .success else {
            throw HTTPFailure(kind: .transport, reason: "all \(Self.maximumExchanges) connections stayed busy")
        }
        defer { slots.signal() }
        let handle = try takeHandle()
        let reception = HTTPReception(
            limitBytes: request.bodyLimitBytes, expectsBody: request.method != "HEAD")
        let code = try handle.perform(request, into: reception, caFile: caFile, userAgent: userAgent)
        if code == CURLE_OK {
            let status = tarn_curl_status(handle.raw)
            let opened = tarn_curl_new_connections(handle.raw)
            giveBack(handle)
            return HTTPResponse(
                status: status, headers: reception.headers, body: reception.takeBody(), newConnections: opened)
        }
        // The handle is dropped with its connection, whose state is unknown.
        throw failure(code, handle, reception)
    }

    private func takeHandle() throws(HTTPFailure) -> CurlHandle {
        if let handle = idle.withLock({ $0.popLast() }) { return handle }
        guard tarn_curl_global_init() == 0, let raw = tarn_curl_new() else {
            throw HTTPFailure(kind: .unusable, reason: "libcurl cannot be initialised")
        }
        return CurlHandle(raw)
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

    private func failure(_ code: CURLcode, _ handle: CurlHandle, _ reception: HTTPReception) -> HTTPFailure {
        let reason = handle.errorText(code)
        switch code {
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_ISSUER_ERROR,
            CURLE_SSL_PINNEDPUBKEYNOTMATCH:
            let trusted = caFile.map { " (trusting \($0))" } ?? ""
            return HTTPFailure(kind: .certificate, reason: reason + trusted)
        case CURLE_PARTIAL_FILE:
            return HTTPFailure(kind: .shortBody, reason: reason)
        case CURLE_WRITE_ERROR where reception.isTooLong:
            return HTTPFailure(kind: .bodyTooLong, reason: "the answer is longer than \(reception.limitBytes) bytes")
        case CURLE_URL_MALFORMAT, CURLE_OUT_OF_MEMORY, CURLE_BAD_FUNCTION_ARGUMENT:
            return HTTPFailure(kind: .unusable, reason: reason)
        default:
            // With them CURLE_UNSUPPORTED_PROTOCOL: the URL's scheme has been checked, so the answer was not HTTP.
            return HTTPFailure(kind: .transport, reason: reason)
        }
    }
}

/// A libcurl easy handle with its error text.
// SAFETY: a handle is owned by the one thread that took it from the pool until it is given back.
private final class CurlHandle: @unchecked Sendable {
    let raw: UnsafeMutableRawPointer
    private let errorBuffer: UnsafeMutablePointer<CChar>

    init(_ raw: UnsafeMutableRawPointer) {
        self.raw = raw
        errorBuffer = .allocate(capacity: Int(CURL_ERROR_SIZE))
        errorBuffer.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    }

    deinit {
        tarn_curl_free(raw)
        errorBuffer.deallocate()
    }

    func perform(
        _ request: HTTPRequest, into reception: HTTPReception, caFile: String?, userAgent: String
    ) throws(HTTPFailure) -> CURLcode {
        tarn_curl_reset(raw)
        errorBuffer[0] = 0
        var headers: UnsafeMutablePointer<curl_slist>?
        defer { curl_slist_free_all(headers) }
        // An empty value takes out what libcurl would add by itself.
        for line in request.headers.map({ "\($0.name): \($0.value)" }) + ["Expect:", "Accept:"] {
            headers = try append(line, to: headers)
        }
        if !request.headers.contains(where: { $0.name.lowercased() == "content-type" }) {
            headers = try append("Content-Type:", to: headers)
        }
        let context = Unmanaged.passUnretained(reception).toOpaque()
        var codes = [
            tarn_curl_set_error_buffer(raw, errorBuffer), tarn_curl_set_url(raw, request.url),
            tarn_curl_set_user_agent(raw, userAgent), tarn_curl_set_headers(raw, headers),
            tarn_curl_set_write(raw, receiveBody, context), tarn_curl_set_header_sink(raw, receiveHeader, context),
            tarn_curl_set_timeouts(
                raw, request.limits.connectMilliseconds, request.limits.totalMilliseconds,
                request.limits.stallSeconds),
        ]
        if let caFile { codes.append(tarn_curl_set_ca_file(raw, caFile)) }
        if request.bypassesProxy { codes.append(tarn_curl_set_no_proxy(raw)) }
        let body = request.body ?? []
        return withExtendedLifetime(reception) {
            body.withUnsafeBytes { bytes in
                if request.body != nil { codes.append(tarn_curl_set_body(raw, bytes.baseAddress, Int64(bytes.count))) }
                if request.method == "HEAD" {
                    codes.append(tarn_curl_set_no_body(raw))
                } else {
                    codes.append(tarn_curl_set_method(raw, request.method))
                }
                if let refused = codes.first(where: { $0 != CURLE_OK }) { return refused }
                return tarn_curl_perform(raw)
            }
        }
    }

    private func append(
        _ line: String, to list: UnsafeMutablePointer<curl_slist>?
    ) throws(HTTPFailure) -> UnsafeMutablePointer<curl_slist>? {
        // A line break would smuggle in another header.
        guard !line.utf8.contains(where: { $0 == 10 || $0 == 13 || $0 == 0 }) else {
            throw HTTPFailure(kind: .unusable, reason: "a header value holds a line break")
        }
        return curl_slist_append(list, line) ?? list
    }

    func errorText(_ code: CURLcode) -> String {
        let detail = String(cString: errorBuffer)
        return detail.isEmpty ? String(cString: curl_easy_strerror(code)) : detail
    }
}

private func receiveBody(
    _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    guard let context else { return 0 }
    let reception = Unmanaged<HTTPReception>.fromOpaque(context).takeUnretainedValue()
    return reception.receiveBody(UnsafeRawBufferPointer(start: bytes, count: size * count))
}

private func receiveHeader(
    _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    guard let context else { return 0 }
    let reception = Unmanaged<HTTPReception>.fromOpaque(context).takeUnretainedValue()
    return reception.receiveHeader(UnsafeRawBufferPointer(start: bytes, count: size * count))
}
