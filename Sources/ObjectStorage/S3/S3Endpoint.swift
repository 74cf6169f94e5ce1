/// Where a bucket answers: scheme, host and the way the bucket is named in the URL.
struct S3Endpoint: Hashable, Sendable {
    enum Addressing: Hashable, Sendable {
        /// `https://host/bucket/key`
        case path
        /// `https://bucket.host/key`
        case virtualHost
    }

    let scheme: String
    /// With the port, unless it is the scheme's own: as libcurl writes the `Host` header.
    let host: String
    /// Empty, or with a leading and without a trailing slash.
    let basePath: String

    /// `http://host[:port][/path]`. `nil` when it is not that.
    init?(_ text: String) {
        guard let mark = text.firstRange(of: "://") else { return nil }
        let scheme = text[..<mark.lowerBound].lowercased()
        guard let standardPort = ["http": ":80", "https": ":443"][scheme] else { return nil }
        let rest = text[mark.upperBound...]
        var host = String(rest.prefix { $0 != "/" })
        var path = rest.dropFirst(host.count)
        while path.last == "/" { path = path.dropLast() }
        guard !host.isEmpty, !rest.contains(where: { "?#@ \t\r\n".contains($0) }) else { return nil }
        if host.hasSuffix(standardPort) { host.removeLast(standardPort.count) }
        self.scheme = scheme
        self.host = host
        basePath = PercentEncoding.encode(String(path), keepsSlash: true)
    }

    /// AWS's own endpoint of a service in a region.
    static func aws(_ service: String, region: String) -> S3Endpoint? {
        let domain = region.hasPrefix("cn-") ? "amazonaws.com.cn" : "amazonaws.com"
        return S3Endpoint("https://\(service).\(region).\(domain)")
    }

    /// Host and encoded path of a bucket's object, or of the bucket itself.
    func address(bucket: String, key: String?, _ addressing: Addressing) -> (host: String, path: String) {
        let object = key.map { PercentEncoding.encode($0, keepsSlash: true) } ?? ""
        switch addressing {
        case .path: return (host, "\(basePath)/\(bucket)" + (key == nil ? "" : "/\(object)"))
        case .virtualHost: return ("\(bucket).\(host)", "\(basePath)/\(object)")
        }
    }
}

/// What an `S3Store` is told about its bucket.
struct S3Configuration: Sendable {
    var bucket: String
    /// Empty, or without leading and trailing slash; put before every key.
    var prefix = ""
    var region = "us-east-1"
    /// `nil` is AWS.
    var endpoint: S3Endpoint?
    /// `nil` decides: path style with an endpoint of one's own and for buckets with a dot, whose name no wildcard
    /// certificate covers; else virtual hosts.
    var pathStyle: Bool?
    var quirks = S3Quirks()
    var limits = HTTPLimits()

    var addressing: S3Endpoint.Addressing {
        let isPath = pathStyle ?? (endpoint != nil || bucket.contains("."))
        return isPath ? .path : .virtualHost
    }

    /// A reason when `name` cannot be a bucket. Source: "General purpose bucket naming rules", S3 User Guide.
    static func fault(inBucket name: String) -> String? {
        guard (3...63).contains(name.utf8.count) else { return "a bucket name has 3 to 63 characters" }
        let isPlain = name.utf8.allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".")
        }
        guard isPlain else { return "a bucket name has only a-z, 0-9, `-` and `.`" }
        guard let first = name.first, let last = name.last, first.isLetter || first.isNumber,
            last.isLetter || last.isNumber, !name.contains("..")
        else { return "a bucket name begins and ends with a letter or digit and has no `..`" }
        return nil
    }
}
