import CCurl

/// One request on a libcurl easy handle, and what comes of it.
final class CurlTransfer: @unchecked Sendable {
    // SAFETY: owned by the one thread that made it or took it from the pool, until it is given back; libcurl calls back
    // on that thread only.

    let easy: UnsafeMutableRawPointer
    private let errorBuffer: UnsafeMutablePointer<CChar>
    private var headers: UnsafeMutablePointer<curl_slist>?
    private var reception = HTTPReception(limitBytes: 0, expectsBody: false)

    /// - Throws: `.unusable` when libcurl cannot be initialised.
    init() throws(HTTPFailure) {
        guard tarn_curl_global_init() == 0, let easy = tarn_curl_new() else {
            throw HTTPFailure(kind: .unusable, reason: "libcurl cannot be initialised")
        }
        self.easy = easy
        errorBuffer = .allocate(capacity: Int(CURL_ERROR_SIZE))
        errorBuffer.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    }

    deinit {
        tarn_curl_free(easy)
        curl_slist_free_all(headers)
        errorBuffer.deallocate()
    }

    /// Sets all options anew. `body` is borrowed until the transfer is over.
    func prepare(
        _ request: HTTPRequest, body: UnsafeRawBufferPointer?, caFile: String?, userAgent: String
    ) throws(HTTPFailure) {
        tarn_curl_reset(easy)
        errorBuffer[0] = 0
        try setHeaders(request)
        reception = HTTPReception(limitBytes: request.bodyLimitBytes, expectsBody: request.method != "HEAD")
        let context = Unmanaged.passUnretained(reception).toOpaque()
        var codes = [
            tarn_curl_set_error_buffer(easy, errorBuffer), tarn_curl_set_url(easy, request.url),
            tarn_curl_set_user_agent(easy, userAgent), tarn_curl_set_headers(easy, headers),
            tarn_curl_set_write(easy, receiveBody, context), tarn_curl_set_header_sink(easy, receiveHeader, context),
            tarn_curl_set_timeouts(
                easy, request.limits.connectMilliseconds, request.limits.totalMilliseconds,
                request.limits.stallSeconds),
        ]
        if let caFile { codes.append(tarn_curl_set_ca_file(easy, caFile)) }
        if request.bypassesProxy { codes.append(tarn_curl_set_no_proxy(easy)) }
        if let body { codes.append(tarn_curl_set_body(easy, body.baseAddress, Int64(body.count))) }
        codes.append(
            request.method == "HEAD" ? tarn_curl_set_no_body(easy) : tarn_curl_set_method(easy, request.method))
        if let refused = codes.first(where: { $0 != CURLE_OK }) {
            throw HTTPFailure(kind: .unusable, reason: errorText(refused))
        }
    }

    private func setHeaders(_ request: HTTPRequest) throws(HTTPFailure) {
        curl_slist_free_all(headers)
        headers = nil
        // An empty value takes out what libcurl would add by itself.
        for line in request.headers.map({ "\($0.name): \($0.value)" }) + ["Expect:", "Accept:"] { try append(line) }
        if !request.headers.contains(where: { $0.name.lowercased() == "content-type" }) {
            try append("Content-Type:")
        }
    }

    private func append(_ line: String) throws(HTTPFailure) {
        // A line break would smuggle in another header.
        guard !line.utf8.contains(where: { $0 == 10 || $0 == 13 || $0 == 0 }) else {
            throw HTTPFailure(kind: .unusable, reason: "a header value holds a line break")
        }
        headers = curl_slist_append(headers, line) ?? headers
    }

    /// What a transfer that ended with `code` has brought. Asked once.
    func outcome(_ code: CURLcode, caFile: String?) -> Result<HTTPResponse, HTTPFailure> {
        if code == CURLE_OK {
            return .success(
                HTTPResponse(
                    status: tarn_curl_status(easy), headers: reception.headers, body: reception.takeBody(),
                    newConnections: tarn_curl_new_connections(easy)))
        }
        return .failure(failure(code, caFile: caFile))
    }

    private func failure(_ code: CURLcode, caFile: String?) -> HTTPFailure {
        let reason = errorText(code)
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

    private func errorText(_ code: CURLcode) -> String {
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
