package import ProllyTree

/// The value of an entry in the tree (docs/reference/FORMAT.md, "Entries"):
/// ```
/// 1       kind: 1 file, 2 directory, 3 symbolic link
/// 1       flags: 1 owner recorded, 2 attributes follow
/// varint  mode
/// varint  zigzag seconds, varint nanoseconds of the modification time
/// varint, varint              user id, group id             (flag 1)
/// varint n, then n times      length, name, length, value   (flag 2)
/// file:   varint size, 1 form: 0 inline: varint n, then n block records of 36 bytes · 1 list: content id, 32 bytes
/// link:   varint length, target
/// ```
extension Entry {
    private enum Flags {
        static let owner: UInt8 = 1
        static let attributes: UInt8 = 2
    }

    package func encoded() -> [UInt8] {
        var output: [UInt8] = [
            kindCode, (owner == nil ? 0 : Flags.owner) | (attributes.isEmpty ? 0 : Flags.attributes),
        ]
        appendVarint(UInt64(mode), to: &output)
        appendVarint(zigzag(modified.seconds), to: &output)
        appendVarint(UInt64(modified.nanoseconds), to: &output)
        if let owner {
            appendVarint(UInt64(owner.userID), to: &output)
            appendVarint(UInt64(owner.groupID), to: &output)
        }
        if !attributes.isEmpty {
            appendVarint(UInt64(attributes.count), to: &output)
            for attribute in attributes {
                appendRun(attribute.name, to: &output)
                appendRun(attribute.value, to: &output)
            }
        }
        switch kind {
        case .file(let content): content.append(to: &output)
        case .directory: break
        case .symlink(let target): appendRun(target, to: &output)
        }
        return output
    }

    private var kindCode: UInt8 {
        switch kind {
        case .file: 1
        case .directory: 2
        case .symlink: 3
        }
    }

    package init(decoding value: [UInt8]) throws(DecodingFault) {
        let result: Result<Entry, DecodingFault> = value.withUnsafeBytes { raw in
            Result { () throws(DecodingFault) in
                var reader = ByteReader(raw)
                return try Entry(&reader)
            }
        }
        self = try result.get()
    }

    private init(_ reader: inout ByteReader) throws(DecodingFault) {
        let code = try reader.byte()
        let flags = try reader.byte()
        guard flags & ~(Flags.owner | Flags.attributes) == 0 else { throw reader.fault("known entry flags") }
        mode = UInt16(try reader.count(limit: 0o7777))
        let seconds = unzigzag(try reader.varint())
        modified = Timestamp(seconds: seconds, nanoseconds: UInt32(try reader.count(limit: 999_999_999)))
        if flags & Flags.owner != 0 {
            let userID = UInt32(try reader.count(limit: Int(UInt32.max)))
            owner = Owner(userID: userID, groupID: UInt32(try reader.count(limit: Int(UInt32.max))))
        }
        attributes = []
        if flags & Flags.attributes != 0 {
            attributes = try Self.attributes(&reader)
            guard !attributes.isEmpty else { throw reader.fault("an attribute where they are announced") }
        }
        switch code {
        case 1: kind = .file(try FileContent(&reader))
        case 2: kind = .directory
        case 3:
            let target = try run(&reader, limit: Self.maximumTargetBytes)
            guard !target.isEmpty, !target.contains(0) else { throw reader.fault("a target without NUL") }
            kind = .symlink(target: target)
        default: throw reader.fault("a known kind of entry, not \(code)")
        }
        guard reader.isAtEnd else { throw reader.fault("the end of the entry") }
    }

    private static func attributes(_ reader: inout ByteReader) throws(DecodingFault) -> [ExtendedAttribute] {
        var attributes: [ExtendedAttribute] = []
        var bytes = 0
        for _ in 0..<(try reader.count(limit: maximumAttributeBytes)) {
            let name = try run(&reader, limit: ExtendedAttribute.maximumNameBytes)
            guard !name.isEmpty, !name.contains(0) else { throw reader.fault("a name of an attribute") }
            if let last = attributes.last, compareBytes(last.name, name) >= 0 {
                throw reader.fault("names of attributes in ascending order")
            }
            let value = try run(&reader, limit: ExtendedAttribute.maximumValueBytes)
            attributes.append(ExtendedAttribute(name: name, value: value))
            bytes += name.count + value.count
            guard bytes <= maximumAttributeBytes else {
                throw reader.fault("attributes of at most \(maximumAttributeBytes) bytes")
            }
        }
        return attributes
    }
}

extension FileContent {
    fileprivate func append(to output: inout [UInt8]) {
        appendVarint(sizeBytes, to: &output)
        switch blocks {
        case .inline(let blocks):
            output.append(0)
            appendVarint(UInt64(blocks.count), to: &output)
            output += encodeBlocks(blocks)
        case .list(let id):
            output.append(1)
            id.append(to: &output)
        }
    }

    fileprivate init(_ reader: inout ByteReader) throws(DecodingFault) {
        let size = try reader.varint()
        switch try reader.byte() {
        case 0:
            let count = try reader.count(limit: Self.maximumInlineBlocks)
            let blocks = try decodeBlocks(try reader.bytes(count * BlockReference.encodedBytes))
            guard blocks.reduce(0, { $0 + UInt64($1.length) }) == size else {
                throw reader.fault("blocks of \(size) bytes")
            }
            self.init(sizeBytes: size, blocks: .inline(blocks))
        case 1:
            // The kernel's numbers hold no more.
            guard size <= UInt64(Int64.max) else { throw reader.fault("a file of at most 2^63 - 1 bytes") }
            self.init(sizeBytes: size, blocks: .list(try reader.identifier()))
        default: throw reader.fault("a known form of content")
        }
    }
}

extension LocatedEntry {
    package func item(at path: TreePath) -> Item {
        Item(key: path.key, value: entry.encoded(), location: encodeExtents(extents))
    }

    package init(_ item: Item) throws(DecodingFault) {
        let entry = try Entry(decoding: item.value)
        guard case .inline(let blocks) = entry.file?.blocks else {
            self.init(entry)
            return
        }
        self.init(entry, extents: try decodePlacedBlocks(blocks, location: item.location).extents)
    }
}

private func appendRun(_ bytes: [UInt8], to output: inout [UInt8]) {
    appendVarint(UInt64(bytes.count), to: &output)
    output += bytes
}

private func run(_ reader: inout ByteReader, limit: Int) throws(DecodingFault) -> [UInt8] {
    try reader.bytes(try reader.count(limit: limit))
}
