/// The rules that keys keep, and their order. Bytes throughout: Swift's `String` compares by canonical equivalence, so
/// that two keys which differ only in Unicode normalisation would be one, and its order is not that of S3.
package enum ObjectKey {
    package static let maximumBytes = 1024

    /// Throws `.invalidKey` when `key` breaks the rules above `ObjectStore`.
    package static func check(_ key: String, prefixBytes: Int = 0) throws(StoreError) {
        if let reason = fault(in: key, prefixBytes: prefixBytes) {
            throw .invalidKey(key: key, reason: reason)
        }
    }

    private static func fault(in key: String, prefixBytes: Int) -> String? {
        let bytes = key.utf8
        if bytes.isEmpty { return "it is empty" }
        if bytes.count + prefixBytes > maximumBytes { return "it is longer than \(maximumBytes) bytes" }
        if bytes.contains(0) { return "it holds a NUL byte" }
        for component in bytes.split(separator: slash, omittingEmptySubsequences: false) {
            if !isComponent(component) {
                return component.isEmpty
                    ? "it has an empty component" : "it has the component `\(String(Substring(component)))`"
            }
        }
        return nil
    }

    /// Not empty, `.` or `..`.
    package static func isComponent(_ component: some Collection<UInt8>) -> Bool {
        !component.isEmpty && !(component.count <= 2 && component.allSatisfy { $0 == UInt8(ascii: ".") })
    }

    package static func precedes(_ left: String, _ right: String) -> Bool {
        left.utf8.lexicographicallyPrecedes(right.utf8)
    }

    package static func has(_ key: String, prefix: String) -> Bool {
        key.utf8.starts(with: prefix.utf8)
    }

    package static let slash = UInt8(ascii: "/")
}

/// A key as its bytes, for dictionaries.
package struct KeyBytes: Hashable, Sendable {
    package let bytes: [UInt8]

    package init(_ key: String) { bytes = Array(key.utf8) }

    package var text: String { String(decoding: bytes, as: UTF8.self) }
}

extension Range<UInt64> {
    /// What an object of `size` bytes has of this range; `nil` when the range begins at or past its end.
    package func cut(to size: UInt64) -> Range<UInt64>? {
        lowerBound < size ? lowerBound..<Swift.min(upperBound, size) : nil
    }
}
