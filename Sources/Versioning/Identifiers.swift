import BlockingIO
package import ProllyTree

package enum BlockKind {}
package enum ContentKind {}
package enum CommitKind {}
package enum RefUpdateKind {}
package enum HookRecordKind {}

/// SHA-256 of a block's plain bytes.
package typealias BlockID = Identifier<BlockKind>
/// What a file's bytes are: the block's id for a file of one block, else the SHA-256 of the encoded block list.
package typealias ContentID = Identifier<ContentKind>
/// SHA-256 of a commit's JSON.
package typealias CommitID = Identifier<CommitKind>
/// SHA-256 of a ref update's JSON.
package typealias RefUpdateID = Identifier<RefUpdateKind>

/// SHA-256 of the JSON that says what a hook did.
package typealias HookRecordID = Identifier<HookRecordKind>

/// The random name of a pack: 16 bytes.
package struct PackID: Hashable, Sendable {
    package let high: UInt64
    package let low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    package static func random() -> PackID {
        var random = HostRandom()
        return PackID(high: random.next(), low: random.next())
    }

    package var hex: String {
        withUnsafeBytes(of: high.bigEndian) { hexEncoded($0) } + withUnsafeBytes(of: low.bigEndian) { hexEncoded($0) }
    }

    package init?(hex: some StringProtocol) {
        guard let bytes = hexDecoded(hex), bytes.count == 16 else { return nil }
        func word(_ slice: ArraySlice<UInt8>) -> UInt64 { slice.reduce(0) { $0 << 8 | UInt64($1) } }
        self.init(high: word(bytes[..<8]), low: word(bytes[8...]))
    }
}
