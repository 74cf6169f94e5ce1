/// Where a store is, as a person writes it.
package enum StoreLocation: Hashable, Sendable {
    /// Absolute, or relative to the working directory.
    case directory(String)
    /// `prefix` has no slash at its ends, and may be empty.
    case s3(bucket: String, prefix: String)

    /// A directory, `file:///dir`, or `s3://bucket[/prefix]`. Nothing is looked at. Throws `.invalidLocation`.
    package static func parse(_ text: String) throws(StoreError) -> StoreLocation {
        func invalid(_ reason: String) -> StoreError { .invalidLocation(location: text, reason: reason) }
        guard !text.isEmpty, !text.utf8.contains(0) else { throw invalid("it is empty or holds a NUL byte") }
        guard let mark = text.firstRange(of: "://") else { return .directory(text) }
        let rest = text[mark.upperBound...]
        switch text[..<mark.lowerBound].lowercased() {
        case "file":
            let path = rest.hasPrefix("localhost/") ? rest.dropFirst("localhost".count) : rest
            guard path.hasPrefix("/") else { throw invalid("a file URL names an absolute path: file:///dir") }
            // `+` is an ordinary character in a path.
            let escaped = path.replacing("+", with: "%2B")
            guard let decoded = PercentEncoding.decode(String(escaped)), !decoded.utf8.contains(0) else {
                throw invalid("it has a broken %-escape")
            }
            return .directory(decoded)
        case "s3":
            let bucket = String(rest.prefix { $0 != "/" })
            if let reason = S3Configuration.fault(inBucket: bucket) { throw invalid(reason) }
            let prefix = rest.dropFirst(bucket.count).split(separator: "/", omittingEmptySubsequences: true)
            guard prefix.allSatisfy({ ObjectKey.isComponent($0.utf8) }) else {
                throw invalid("a prefix has no `.` or `..` in it")
            }
            return .s3(bucket: bucket, prefix: prefix.joined(separator: "/"))
        case let scheme:
            // A directory may be called `a://b`; it is written `./a://b`.
            if scheme.contains("/") { return .directory(text) }
            throw invalid("`\(scheme)://` is not supported; use a directory, file:// or s3://")
        }
    }
}

extension StoreLocation: CustomStringConvertible {
    package var description: String {
        switch self {
        case .directory(let path): path
        case .s3(let bucket, ""): "s3://\(bucket)"
        case .s3(let bucket, let prefix): "s3://\(bucket)/\(prefix)"
        }
    }
}
