/// Any bytes as a text: a byte that is not part of valid UTF-8 becomes the private-use character U+10FF00 + byte, so
/// that a path on a command line keeps the bytes it has. So do the bytes of such a character itself: different bytes have
/// different texts.
package func escapedText(_ bytes: some Sequence<UInt8>) -> String {
    var text = String.UnicodeScalarView()
    var rest = Array(bytes)[...]
    while !rest.isEmpty {
        var decoder = UTF8()
        var iterator = rest.makeIterator()
        if case .scalarValue(let scalar) = decoder.decode(&iterator), !isEscapedByte(scalar) {
            text.append(scalar)
            rest = rest.dropFirst(UTF8.width(scalar))
        } else if let byte = rest.popFirst(), let scalar = Unicode.Scalar(escapeBase + UInt32(byte)) {
            text.append(scalar)
        }
    }
    return String(text)
}

/// The bytes that `escapedText` was made from.
package func unescapedBytes(_ text: String) -> [UInt8] {
    var bytes: [UInt8] = []
    for scalar in text.unicodeScalars {
        if isEscapedByte(scalar) {
            bytes.append(UInt8(scalar.value - escapeBase))
        } else {
            bytes += UTF8.encode(scalar).map(Array.init) ?? []
        }
    }
    return bytes
}

/// Whether it stands for a byte that was not UTF-8.
func isEscapedByte(_ scalar: Unicode.Scalar) -> Bool {
    (escapeBase + 0x80...escapeBase + 0xff).contains(scalar.value)
}

private let escapeBase: UInt32 = 0x10ff00

extension UTF8 {
    fileprivate static func width(_ scalar: Unicode.Scalar) -> Int { encode(scalar)?.count ?? 1 }
}
