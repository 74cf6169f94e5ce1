import BlockingIO
import Crypto
import Foundation
import ProllyTree
import TestSupport
import Testing
import Versioning

@Suite struct CodingTests {
    private static let block = BlockReference(id: BlockID(hashing: [1]), length: 1)
    private static let extent = Extent(
        pack: PackID(high: 1, low: 2), offset: 300, storedLength: 4, codec: .zstd, plainOffset: 500)

    /// A block that can lie where it is said to lie.
    private func randomBlock(_ random: inout SeededRandom) -> PlacedBlock {
        let length = UInt32(1 + random.below(maximumBlockBytes))
        if random.oneIn(5) {
            let short = 1 + length % 1000
            return PlacedBlock(
                block: BlockReference(id: ZeroBlocks.id(length: Int(short)), length: short), extent: .zeros)
        }
        let isRaw = random.oneIn(2)
        return PlacedBlock(
            block: BlockReference(id: BlockID(hashing: random.bytes(4)), length: length),
            extent: Extent(
                pack: .random(), offset: random.next() % maximumPackBytes,
                storedLength: isRaw ? length : UInt32(1 + random.below(maximumBlockBytes)),
                codec: isRaw ? .raw : .zstd, plainOffset: random.next() % maximumPackBytes))
    }

    /// Location parts are in no hash: a place that a block cannot have is refused where it is decoded (B1).
    @Test(arguments: [
        Extent.zeros,
        Extent(pack: PackID(high: 1, low: 2), offset: 0, storedLength: 3, codec: .raw, plainOffset: 0),
        Extent(pack: PackID(high: 1, low: 2), offset: 0, storedLength: 0, codec: .zstd, plainOffset: 0),
        Extent(pack: PackID(high: 1, low: 2), offset: .max, storedLength: 4, codec: .raw, plainOffset: 0),
        Extent(
            pack: PackID(high: 1, low: 2), offset: maximumPackBytes + 1, storedLength: 4, codec: .raw, plainOffset: 0),
        Extent(pack: PackID(high: 1, low: 2), offset: 0, storedLength: 4, codec: .raw, plainOffset: .max),
    ])
    func impossibleLocationIsRefused(extent: Extent) {
        let list = BlockList(
            blocks: [BlockReference(id: BlockID(hashing: [1, 2, 3, 4]), length: 4)], extents: [extent])
        #expect(throws: DecodingFault.self) {
            try BlockList(logical: list.encodedLogical(), location: list.encodedLocation())
        }
        let entry = LocatedEntry(
            Entry(kind: .file(FileContent(list)), mode: 0o644, modified: Timestamp(seconds: 0, nanoseconds: 0)),
            of: list)
        #expect(throws: DecodingFault.self) { try LocatedEntry(entry.item(at: .root)) }
    }

    /// A commit is JSON that anybody can put: what it counts can be added up all the same.
    @Test(arguments: [
        (#""generation":1"#, #""generation":18446744073709551615"#), (#""generation":1"#, #""generation":0"#),
        (#""files":2"#, #""files":9223372036854775808"#), (#""bytes":3"#, #""bytes":18446744073709551615"#),
        (#""directories":1"#, #""directories":18446744073709551615"#),
    ])
    func commitOutOfRangeIsRefused(field: String, forged: String) throws {
        let commit = Commit(
            tree: NodeID(hashing: [1]), parents: [], author: "a", committer: "a",
            time: Timestamp(seconds: 0, nanoseconds: 0), message: "", metadata: [:], generation: 1,
            counts: Commit.Counts(files: 2, directories: 1, bytes: 3))
        let text = String(decoding: encodeRecord(commit), as: UTF8.self)
        #expect(text.contains(field))
        #expect(try decodeRecord(Commit.self, from: Array(text.utf8)) == commit)
        let parts = text.components(separatedBy: field)
        #expect(throws: RecordFault.self) {
            try decodeRecord(Commit.self, from: Array(parts.joined(separator: forged).utf8))
        }
    }

    /// What the kernel's numbers cannot hold.
    @Test func sizeOfAListBeyondTheKernelsNumbersIsRefused() {
        for size in [UInt64(Int64.max) + 1, .max] {
            let content = FileContent(sizeBytes: size, blocks: .list(ContentID(hashing: [1])))
            let entry = LocatedEntry(
                Entry(kind: .file(content), mode: 0o644, modified: Timestamp(seconds: 0, nanoseconds: 0)))
            #expect(throws: DecodingFault.self) { try LocatedEntry(entry.item(at: .root)) }
        }
    }

    private func randomEntry(_ random: inout SeededRandom) -> LocatedEntry {
        let count = random.below(9)
        let list = BlockList((0..<count).map { _ in randomBlock(&random) })
        let kinds: [Entry.Kind] = [
            .directory, .symlink(target: [1] + random.bytes(random.below(300)).map { max(1, $0) }),
            .file(FileContent(list)),
            .file(FileContent(sizeBytes: random.next() >> 1, blocks: .list(ContentID(hashing: random.bytes(3))))),
        ]
        let kind = kinds[random.below(4)]
        let entry = Entry(
            kind: kind, mode: UInt16(random.below(0o10000)),
            modified: Timestamp(
                seconds: Int64(bitPattern: random.next()), nanoseconds: UInt32(random.below(1_000_000_000))),
            owner: random.oneIn(2) ? nil : Owner(userID: .max, groupID: UInt32(random.below(70_000))),
            attributes: (0..<random.below(3)).map {
                ExtendedAttribute(name: [UInt8($0 + 1)], value: random.bytes(random.below(500)))
            })
        if case .file(let content) = kind, case .inline = content.blocks {
            return LocatedEntry(entry, extents: list.blocks.extents)
        }
        return LocatedEntry(entry)
    }

    @Test func entryComesBack() throws {
        var random = SeededRandom(seed: 1)
        for _ in 0..<500 {
            let entry = randomEntry(&random)
            #expect(try LocatedEntry(entry.item(at: .root)) == entry)
        }
    }

    /// Every range of an entry is held where it is decoded.
    @Test func whatNoEntryHasIsRefused() {
        func attribute(_ name: String, _ count: Int) -> ExtendedAttribute {
            ExtendedAttribute(name: Array(name.utf8), value: [UInt8](repeating: 1, count: count))
        }
        func refuses(_ kind: Entry.Kind = .directory, _ attributes: [ExtendedAttribute] = []) -> Bool {
            let entry = Entry(
                kind: kind, mode: 0, modified: Timestamp(seconds: 0, nanoseconds: 0), attributes: attributes)
            return (try? Entry(decoding: entry.encoded())) == nil
        }
        #expect(!refuses(.symlink(target: [UInt8](repeating: 0x61, count: 4095))))
        #expect(refuses(.symlink(target: [UInt8](repeating: 0x61, count: 4096))))
        #expect(refuses(.symlink(target: [])) && refuses(.symlink(target: [0x61, 0])))
        let many = (0..<15).map { attribute("user.\($0 + 10)", 65_536) }
        #expect(!refuses(.directory, many) && refuses(.directory, many + [attribute("user.z", 65_536)]))
        #expect(refuses(.directory, [attribute("user.a", 65_537)]))
        #expect(refuses(.directory, [attribute("", 1)]) && refuses(.directory, [attribute("user.\0", 1)]))
        #expect(refuses(.directory, [attribute(String(repeating: "x", count: 256), 1)]))
        #expect(refuses(.directory, [attribute("user.b", 1), attribute("user.a", 1)]))
        #expect(refuses(.directory, [attribute("user.a", 1), attribute("user.a", 1)]))
    }

    @Test func entryInAnotherEncodingIsRefused() throws {
        var bytes = Entry.test.encoded()
        #expect(try Entry(decoding: bytes).encoded() == bytes)
        // Attributes are announced, and there are none.
        bytes[1] |= 2
        #expect(throws: DecodingFault.self) { try Entry(decoding: bytes + [0]) }
    }

    @Test func pathsHaveALimit() {
        let deep = String(repeating: "d/", count: TreePath.maximumBytes / 2)
        #expect((try? TreePath(parsing: deep)) != nil && (try? TreePath(parsing: deep + "x")) == nil)
        let key = Array(deep.dropLast(3).utf8) + [0, 0x78]
        #expect((try? TreePath(key: key)) != nil && (try? TreePath(key: key + [0x78, 0x78])) == nil)
    }

    @Test func damagedEntryNeverCrashes() throws {
        var random = SeededRandom(seed: 2)
        for _ in 0..<3000 {
            var item = randomEntry(&random).item(at: .root)
            if random.oneIn(3) { item.value = Array(item.value.prefix(random.below(item.value.count + 1))) }
            if random.oneIn(2), !item.value.isEmpty {
                item.value[random.below(item.value.count)] ^= UInt8(1 << random.below(8))
            }
            if random.oneIn(2), !item.location.isEmpty {
                item.location[random.below(item.location.count)] ^= UInt8(1 << random.below(8))
            }
            do { _ = try LocatedEntry(item) } catch {}
        }
        for _ in 0..<3000 {
            let (value, location) = (random.bytes(random.below(80)), random.bytes(random.below(40)))
            do { _ = try LocatedEntry(Item(key: [], value: value, location: location)) } catch {}
            do { _ = try BlockList(logical: value, location: location) } catch {}
        }
    }

    @Test func encodingsAreThoseOfTheFormat() {
        let file = Entry(
            kind: .file(FileContent(BlockList(blocks: [Self.block], extents: [Self.extent]))), mode: 0o644,
            modified: Timestamp(seconds: 1_700_000_000, nanoseconds: 5), owner: Owner(userID: 1000, groupID: 300),
            attributes: [ExtendedAttribute(name: Array("user.a".utf8), value: [7])])
        #expect(
            hexEncoded(file.encoded())
                == "0103a40380c49fd50c05e807ac020106757365722e610107010001"
                + "4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a01000000")
        let link = Entry(kind: .symlink(target: [0x78]), mode: 0o777, modified: Timestamp(seconds: -1, nanoseconds: 0))
        #expect(hexEncoded(link.encoded()) == "0300ff0301000178")
        #expect(hexEncoded(Entry.test.encoded()) == "0200ed030202")
        let list = BlockList(blocks: [Self.block, Self.block], extents: [Self.extent, .zeros])
        #expect(hexEncoded(list.encodedLocation()) == "0100000000000000010000000000000002ac0204f40302")
        #expect(list.encodedLogical() == Self.block.id.bytes + [1, 0, 0, 0] + Self.block.id.bytes + [1, 0, 0, 0])
    }

    @Test func contentOfOneBlockHasTheSHA256OfItsBytes() {
        let bytes: [UInt8] = Array("hello".utf8)
        let list = BlockList(
            blocks: [BlockReference(id: BlockID(hashing: bytes), length: 5)], extents: [.zeros])
        #expect(list.contentID.hex == SHA256.hash(data: bytes).map { hexEncoded([$0]) }.joined())
        #expect(FileContent.empty.contentID == ContentID(hashing: []))
        let two = BlockList(blocks: [Self.block, Self.block], extents: [.zeros, .zeros])
        #expect(two.contentID == ContentID(hashing: two.encodedLogical()))
    }

    @Test func moreThanEightBlocksNeedAList() {
        for (count, needsList) in [(0, false), (8, false), (9, true)] {
            let list = BlockList(
                blocks: Array(repeating: Self.block, count: count), extents: Array(repeating: .zeros, count: count))
            #expect(FileContent.needsList(list) == needsList)
            #expect(FileContent(list).contentID == list.contentID)
            #expect(FileContent(list).sizeBytes == UInt64(count))
        }
    }

    @Test func commitIsCanonicalJSON() throws {
        let commit = Commit(
            tree: NodeID(hashing: []), parents: [], author: "A <a@b>", committer: "C",
            time: Timestamp(seconds: 0, nanoseconds: 1),
            message: "über\n\"x/y\"", metadata: ["b": "1", "a": "2"], generation: 1, counts: Commit.Counts(files: 2))
        let text = String(decoding: encodeRecord(commit), as: UTF8.self)
        #expect(
            text
                == #"{"author":"A <a@b>","committer":"C","counts":{"bytes":0,"directories":0,"files":2},"format":1,"generation":1,"#
                + #""message":"über\n\"x/y\"","metadata":{"a":"2","b":"1"},"parents":[],"time":"1970-01-01T00:00:00.000000001Z","#
                + #""tree":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}"#)
        #expect(try decodeRecord(Commit.self, from: Array(text.utf8)) == commit)
    }

    @Test func recordOfANewerFormatIsRefused() {
        #expect(throws: RecordFault.newerFormat(2)) {
            try decodeRecord(RefState.self, from: Array(#"{"format":2}"#.utf8))
        }
        #expect(throws: RecordFault.self) { try decodeRecord(RefState.self, from: Array(#"{"format":1}"#.utf8)) }
        #expect(throws: RecordFault.self) { try decodeRecord(RefState.self, from: [0xff, 0]) }
    }
}
