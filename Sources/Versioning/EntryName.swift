import ProllyTree

/// The name of an entry in its directory: 1 to 255 bytes, none of them `/` or NUL, and not `.` or `..`.
package struct EntryName: Hashable, Sendable {
    package let bytes: [UInt8]

    package static let maximumBytes = 255

    /// Throws when the bytes cannot be a name.
    package init(checking bytes: [UInt8]) throws(PathFault) {
        if let reason = Self.fault(in: bytes) { throw PathFault(path: bytes, reason: reason) }
        self.bytes = bytes
    }

    /// Bytes that are known to be a name, as parts of a path are.
    package init(unchecked bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// Why these bytes cannot be a name; `nil` when they can.
    package static func fault(in name: [UInt8]) -> String? {
        if name.isEmpty { return "a name is empty" }
        if name.count > maximumBytes { return "a name is longer than \(maximumBytes) bytes" }
        if name == [UInt8(ascii: ".")] || name == Array("..".utf8) { return "'.' and '..' are no names" }
        if name.contains(0) || name.contains(UInt8(ascii: "/")) { return "a name holds NUL or '/'" }
        return nil
    }
}

extension EntryName: CustomStringConvertible {
    package var description: String { printableName(bytes) }
}

extension EntryName: Comparable {
    /// In the order of bytes.
    package static func < (left: Self, right: Self) -> Bool { compareBytes(left.bytes, right.bytes) < 0 }
}
