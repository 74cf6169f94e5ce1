import Glibc

/// Appends `value` as an unsigned LEB128 varint: seven bits a byte, lowest first, 1...10 bytes.
package func appendVarint(_ value: UInt64, to output: inout [UInt8]) {
    var rest = value
    while rest >= 0x80 {
        output.append(UInt8(truncatingIfNeeded: rest) | 0x80)
        rest >>= 7
    }
    output.append(UInt8(rest))
}

/// The bytes `appendVarint` would write for `value`.
package func varintSize(_ value: UInt64) -> Int {
    max(1, (UInt64.bitWidth - value.leadingZeroBitCount + 6) / 7)
}

/// Maps a signed number to an unsigned one so that small magnitudes stay small: 0, -1, 1, -2 … → 0, 1, 2, 3 …
package func zigzag(_ value: Int64) -> UInt64 {
    UInt64(bitPattern: (value << 1) ^ (value >> 63))
}

package func unzigzag(_ value: UInt64) -> Int64 {
    Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
}

/// Why bytes could not be decoded: `reason` says what was expected, `offset` where, in bytes from the start.
package struct DecodingFault: Error, Hashable, Sendable {
    package let reason: String
    package let offset: Int

    package init(reason: String, offset: Int) {
        self.reason = reason
        self.offset = offset
    }
}

/// Reads numbers and byte runs one after another; never reads past the end, never traps on bad input.
package struct ByteReader {
    private let buffer: UnsafeRawBufferPointer
    package private(set) var offset: Int

    /// `buffer` must stay valid while the reader is used.
    package init(_ buffer: UnsafeRawBufferPointer, at offset: Int = 0) {
        self.buffer = buffer
        self.offset = offset
    }

    package var isAtEnd: Bool { offset >= buffer.count }
    package var remaining: Int { buffer.count - offset }

    package mutating func byte() throws(DecodingFault) -> UInt8 {
        guard offset < buffer.count else { throw fault("a byte") }
        defer { offset += 1 }
        return buffer[offset]
    }

    package mutating func varint() throws(DecodingFault) -> UInt64 {
        var result: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let next = try byte()
            guard shift < 63 || next <= 1 else { throw fault("a varint of at most 64 bits") }
            result |= UInt64(next & 0x7f) << shift
            if next < 0x80 {
                // Else a number had several forms, and what was decoded another encoding, and another id.
                guard next > 0 || shift == 0 else { throw fault("a varint that is as short as can be") }
                return result
            }
            shift += 7
        }
    }

    /// A varint that must fit `limit`.
    package mutating func count(limit: Int) throws(DecodingFault) -> Int {
        let value = try varint()
        guard value <= UInt64(limit) else { throw fault("a number of at most \(limit), not \(value)") }
        return Int(value)
    }

    package mutating func raw(_ count: Int) throws(DecodingFault) -> UnsafeRawBufferPointer {
        guard count >= 0, count <= remaining else { throw fault("\(count) more bytes") }
        defer { offset += count }
        return UnsafeRawBufferPointer(rebasing: buffer[offset..<offset + count])
    }

    package mutating func bytes(_ count: Int) throws(DecodingFault) -> [UInt8] {
        [UInt8](try raw(count))
    }

    package mutating func identifier<Kind>() throws(DecodingFault) -> Identifier<Kind> {
        Identifier(raw: try raw(Identifier<Kind>.byteCount))
    }

    package func fault(_ expected: String) -> DecodingFault {
        DecodingFault(reason: "expected \(expected)", offset: offset)
    }
}

/// Compares as unsigned bytes, a prefix before what it begins: the order of keys.
/// Negative, zero or positive, as `memcmp`.
package func compareBytes(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Int {
    let shared = min(left.count, right.count)
    if shared > 0, let leftBase = left.baseAddress, let rightBase = right.baseAddress {
        let order = memcmp(leftBase, rightBase, shared)
        if order != 0 { return Int(order) }
    }
    return left.count - right.count
}

package func compareBytes(_ left: [UInt8], _ right: [UInt8]) -> Int {
    left.withUnsafeBytes { leftRaw in right.withUnsafeBytes { compareBytes(leftRaw, $0) } }
}
