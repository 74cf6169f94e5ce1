import BlockingIO
import Crypto
import Foundation

extension MultipartUpload {
    package static let minimumPartBytes = 5 << 20
    package static let partNumbers = 1...10_000
}

extension [UploadedPart] {
    /// Sorted by number. Throws `.refused` unless the numbers are 1...n.
    package func inOrder(key: String) throws(StoreError) -> [UploadedPart] {
        let sorted = sorted { $0.number < $1.number }
        guard !sorted.isEmpty, sorted.enumerated().allSatisfy({ $0.offset + 1 == $0.element.number }) else {
            throw .refused(
                key: key, status: 400, code: "InvalidPartOrder", message: "parts must be numbered 1...n without gaps")
        }
        return sorted
    }
}

extension ETag {
    /// What S3 gives an object made of parts whose ETags are MD5s: the MD5 of the MD5s and the number of parts.
    package init(multipartMD5 parts: [ETag]) {
        let digests = parts.flatMap { hexDecoded($0.value) ?? [] }
        self.init("\(hexEncoded(Array(Insecure.MD5.hash(data: digests))))-\(parts.count)")
    }

    /// As HTTP headers and XML carry it: `"…"`, also with `W/` before it.
    init(quoted text: String) {
        var value = Substring(text)
        if value.hasPrefix("W/") { value = value.dropFirst(2) }
        if value.count >= 2, value.first == "\"", value.last == "\"" { value = value.dropFirst().dropLast() }
        self.init(String(value))
    }

    var quoted: String { "\"\(value)\"" }
}

extension WriteCondition {
    /// Whether a write may replace what the key holds now; `nil` is nothing.
    package func holds(for current: ETag?) -> Bool {
        switch self {
        case .none: true
        case .absent: current == nil
        case .matches(let expected): current == expected
        }
    }
}
