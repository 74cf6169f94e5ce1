import Glibc

/// Tells a web address something, once.
///
/// - Returns: the HTTP status, and the beginning of the answer.
/// - Throws: a sentence in `WebhookFailure` when there is no answer. Blocks up to `timeoutSeconds`.
package func postJSON(
    _ body: [UInt8], to url: String, headers: [(name: String, value: String)], timeoutSeconds: Double
) throws(WebhookFailure) -> (status: Int, answer: String) {
    let caFile = getenv("AWS_CA_BUNDLE").map { String(cString: $0) }
    let milliseconds = Int(timeoutSeconds * 1000)
    let request = HTTPRequest(
        method: "POST", url: url,
        headers: [HTTPHeader("Content-Type", "application/json")] + headers.map { HTTPHeader($0.name, $0.value) },
        body: body, bodyLimitBytes: 1 << 20,
        limits: HTTPLimits(
            connectMilliseconds: min(10_000, milliseconds), totalMilliseconds: milliseconds,
            stallSeconds: max(1, milliseconds / 1000)))
    do {
        let response = try HTTPClient(caFile: caFile?.isEmpty == false ? caFile : nil).send(request)
        return (response.status, String(response.text.prefix(4096)))
    } catch {
        throw WebhookFailure(reason: error.reason)
    }
}

package struct WebhookFailure: Error {
    package let reason: String
}
