import ProllyTree
import TestSupport
import Testing

@Suite struct ByteCodingTests {
    private static let numbers: [UInt64] = [0, 1, 127, 128, 16_383, 16_384, 1 << 32, 1 << 63 - 1, 1 << 63, .max]

    @Test(arguments: numbers)
    func varintComesBack(number: UInt64) throws {
        var bytes: [UInt8] = []
        appendVarint(number, to: &bytes)
        #expect(bytes.count == varintSize(number))
        let (value, isAtEnd) = try bytes.withUnsafeBytes { raw in
            var reader = ByteReader(raw)
            return (try reader.varint(), reader.isAtEnd)
        }
        #expect(value == number)
        #expect(isAtEnd)
    }

    @Test func varintOfMoreThan64BitsIsRefused() {
        for bytes in [[UInt8](repeating: 0xff, count: 9) + [2], [UInt8](repeating: 0x80, count: 11) + [1]] {
            #expect(throws: DecodingFault.self) {
                try bytes.withUnsafeBytes { raw in
                    var reader = ByteReader(raw)
                    _ = try reader.varint()
                }
            }
        }
    }

    /// A number has one form: what decodes encodes to the same bytes again, and so keeps its id.
    @Test(arguments: [[0x80, 0], [0x81, 0], [0xff, 0x80, 0], [UInt8](repeating: 0x80, count: 9) + [0]] as [[UInt8]])
    func varintThatIsLongerThanNeedBeIsRefused(bytes: [UInt8]) {
        #expect(throws: DecodingFault.self) {
            try bytes.withUnsafeBytes { raw in
                var reader = ByteReader(raw)
                _ = try reader.varint()
            }
        }
    }

    @Test(arguments: [0, 1, -1, 2, -2, Int64.max, .min])
    func zigzagComesBack(number: Int64) {
        #expect(unzigzag(zigzag(number)) == number)
    }

    @Test func zigzagKeepsSmallNumbersSmall() {
        #expect([0, -1, 1, -2, 2].map(zigzag) == [0, 1, 2, 3, 4])
    }

    @Test func prefixIsBeforeWhatItBegins() {
        #expect(compareBytes([1], [1, 0]) < 0)
        #expect(compareBytes([], [0]) < 0)
        #expect(compareBytes([0x80], [0x7f, 0xff]) > 0)
        #expect(compareBytes([5, 6], [5, 6]) == 0)
    }

    @Test func identifierComesBackFromHex() throws {
        let id = NodeID(hashing: [])
        #expect(id.hex == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(NodeID(hex: id.hex) == id)
        #expect(NodeID(hex: id.hex.uppercased()) == id)
        #expect(NodeID(hex: id.hex.dropLast()) == nil)
        #expect(NodeID(hex: "g" + id.hex.dropFirst()) == nil)
        #expect(NodeID(bytes: id.bytes) == id)
        #expect(NodeID(bytes: id.bytes.dropLast()) == nil)
    }
}
