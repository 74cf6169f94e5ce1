import BlockingIO
import Crypto

/// A SHA-256 digest that names one kind of thing. `Kind` keeps a node's id from being passed where a commit's is meant.
package struct Identifier<Kind>: Hashable, Sendable {
    // The digest's 32 bytes as four big-endian words: compared, hashed and copied without a heap allocation.
    private let words: (UInt64, UInt64, UInt64, UInt64)

    package static var byteCount: Int { 32 }

    /// The id made of exactly 32 bytes; `nil` for any other count.
    package init?(bytes: some Collection<UInt8>) {
        guard bytes.count == Self.byteCount else { return nil }
        var storage = [UInt8](bytes)
        self = storage.withUnsafeMutableBytes { Identifier(raw: UnsafeRawBufferPointer($0)) }
    }

    /// The id at the start of `raw`, which holds at least 32 bytes.
    package init(raw: UnsafeRawBufferPointer) {
        precondition(raw.count >= Self.byteCount)
        func word(_ index: Int) -> UInt64 {
            UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self))
        }
        words = (word(0), word(1), word(2), word(3))
    }

    /// The id of `bytes`: their SHA-256.
    package init(hashing bytes: UnsafeRawBufferPointer) {
        var hasher = SHA256()
        hasher.update(bufferPointer: bytes)
        self = hasher.finalize().withUnsafeBytes { Identifier(raw: $0) }
    }

    package init(hashing bytes: [UInt8]) {
        self = bytes.withUnsafeBytes { Identifier(hashing: $0) }
    }

    /// The id whose lower-case or upper-case hexadecimal form is `hex`; `nil` unless it is 64 hexadecimal digits.
    package init?(hex: some StringProtocol) {
        guard let bytes = hexDecoded(hex) else { return nil }
        self.init(bytes: bytes)
    }

    package var bytes: [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(Self.byteCount)
        append(to: &result)
        return result
    }

    package func append(to output: inout [UInt8]) {
        for word in [words.0, words.1, words.2, words.3] {
            withUnsafeBytes(of: word.bigEndian) { output.append(contentsOf: $0) }
        }
    }

    package var hex: String { hexEncoded(bytes) }

    /// The first eight bytes as a number: enough to spread ids over buckets, never enough to tell them apart.
    package var prefixWord: UInt64 { words.0 }
    package var secondWord: UInt64 { words.1 }

    package static func == (left: Self, right: Self) -> Bool {
        left.words == right.words
    }

    package func hash(into hasher: inout Hasher) {
        // A SHA-256 digest is uniform already, so one word is as good as four.
        hasher.combine(words.0)
    }
}

extension Identifier: CustomStringConvertible {
    package var description: String { hex }
}

extension Identifier: Comparable {
    package static func < (left: Self, right: Self) -> Bool {
        left.words < right.words
    }
}
