/// The blocks that were written into one segment, in the order of their offsets, none over another.
package struct SegmentTable: Sendable {
    package struct Record: Hashable, Sendable {
        package let offset: UInt64
        let length: Int
        let proof: BlockProof

        package var end: UInt64 { offset + UInt64(length) }

        package init(_ block: BlockAddress) {
            offset = block.offset
            length = block.length
            proof = block.proof
        }
    }

    private var records: [Record] = []

    package init() {}

    package func holds(_ record: Record) -> Bool {
        let index = firstIndex(endingAfter: record.offset)
        return index < records.count && records[index] == record
    }

    /// Whether a block lies here over bytes of `record` and is not the same.
    package func conflicts(with record: Record) -> Bool {
        let index = firstIndex(endingAfter: record.offset)
        return index < records.count && records[index].offset < record.end && records[index] != record
    }

    /// Adds a block, or nothing if it is here. False if it lies over another.
    package mutating func insert(_ record: Record) -> Bool {
        let index = firstIndex(endingAfter: record.offset)
        if index < records.count {
            if records[index] == record { return true }
            if records[index].offset < record.end { return false }
        }
        records.insert(record, at: index)
        return true
    }

    private func firstIndex(endingAfter offset: UInt64) -> Int {
        // Most blocks come in order.
        if records.last.map({ $0.end <= offset }) ?? true { return records.count }
        var (low, high) = (0, records.count)
        while low < high {
            let middle = (low + high) / 2
            if records[middle].end <= offset { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

extension SegmentTable.Record {
    /// ```
    /// 0   8   offset in the pack's plain bytes   8   8   length
    /// 16  16  proof                              (all little-endian)
    /// ```
    static let encodedBytes = 32

    var encoded: [UInt8] {
        var bytes: [UInt8] = []
        for word in [offset, UInt64(length), proof.high, proof.low] {
            withUnsafeBytes(of: word.littleEndian) { bytes += $0 }
        }
        return bytes
    }

    /// `nil` for what cannot be a block that begins in the segment. Reads `encodedBytes` bytes.
    init?(decoding raw: UnsafeRawBufferPointer, in segment: SegmentID) {
        func word(_ index: Int) -> UInt64 {
            UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self))
        }
        let start = UInt64(segment.number) * SegmentID.sizeBytes
        guard (start..<start + SegmentID.sizeBytes).contains(word(0)),
            (1...UInt64(BlockAddress.lengthLimitBytes)).contains(word(1))
        else { return nil }
        self.init(offset: word(0), length: Int(word(1)), proof: BlockProof(high: word(2), low: word(3)))
    }

    private init(offset: UInt64, length: Int, proof: BlockProof) {
        self.offset = offset
        self.length = length
        self.proof = proof
    }
}
