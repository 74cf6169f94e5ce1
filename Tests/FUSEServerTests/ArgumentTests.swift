import FUSEServer
import Glibc
import Testing
import VFS

/// What a program passes becomes a checked value at one door (W28).
@Suite struct ArgumentTests {
    private static let numbers: [Int64] = [
        .min, .min + 1, -4096, -1, 0, 1, 4096, 1 << 31, 1 << 32, 1 << 62, .max - 1, .max,
    ]

    @Test func negativeOffsetsAreRefused() throws {
        for number in Self.numbers {
            if number < 0 {
                #expect(throws: VFSError.invalidArgument) { try FileOffset(number) }
                #expect(throws: VFSError.noSuchOffset) { try seekOffset(Int(number)) }
            } else {
                #expect(try FileOffset(number).value == UInt64(number))
                #expect(try seekOffset(Int(number)).value == UInt64(number))
            }
        }
        #expect(throws: VFSError.fileTooLarge) { try FileOffset(within: 1 << 63) }
        #expect(throws: VFSError.fileTooLarge) { try FileOffset(within: .max) }
    }

    @Test func noRangeGoesBeyondWhatAFileCanHave() throws {
        for start in Self.numbers where start >= 0 {
            for count in Self.numbers.map(UInt64.init(bitPattern:)) {
                let offset = try FileOffset(start)
                let fits = count <= UInt64(Int64.max) - UInt64(start)
                let range = try? FileRange(from: offset, count: count)
                #expect((range != nil) == fits)
                #expect(range.map { $0.count == count && $0.start == UInt64(start) } ?? true)
                let clamped = FileRange(from: offset, atMost: count)
                #expect(clamped.start == UInt64(start) && clamped.end <= UInt64(Int64.max) && clamped.count <= count)
                #expect(!fits || clamped.count == count)
            }
        }
    }

    @Test func allocationsHaveALengthAndAKnownMode() throws {
        for length in Self.numbers where length <= 0 {
            #expect(throws: VFSError.invalidArgument) { try allocatedRange(0, Int(length)) }
        }
        #expect(throws: VFSError.fileTooLarge) { try allocatedRange(.max, 1) }
        #expect(try allocatedRange(.max - 1, 1).end == UInt64(Int64.max))
        for mode: Int32 in [8, 9, 32, 33, 64, 18, 0x7fff_ffff, .min, -1] {
            #expect(throws: VFSError.notSupported) { try allocation(mode) }
        }
    }

    @Test func copiesAnswerWhatAnAnswerCanTell() throws {
        for start in Self.numbers where start >= 0 {
            for count in Self.numbers { #expect(try copiedRange(Int(start), Int(count)).count <= 0x7fff_f000) }
        }
        #expect(throws: VFSError.invalidArgument) { try copiedRange(-1, 1) }
    }

    @Test func flagsThatNobodyKnowsAreRefused() {
        for flags: UInt32 in [3, 4, 8, .max] { #expect(throws: VFSError.invalidArgument) { try renameMode(flags) } }
        for whence: Int32 in [.min, -1, 0, 1, 2, 5, .max] {
            #expect(throws: VFSError.invalidArgument) { try seekTarget(whence) }
        }
        for mode: mode_t in [S_IFDIR, S_IFLNK, 0o170000, 0, 0o7777] {
            #expect(throws: VFSError.invalidArgument) { try nodeKind(mode, 0) }
        }
    }

    @Test func namesAreComponents() {
        for name in ["", ".", "..", "/", "a/b", "/a"] {
            #expect(throws: VFSError.notFound) { try entryName(name) }
        }
        #expect(throws: VFSError.notFound) { try entryName(nil) }
        #expect(throws: VFSError.nameTooLong) { try entryName(String(repeating: "n", count: 256)) }
        #expect(throws: Never.self) { try entryName(String(repeating: "n", count: 255)) }
    }

    @Test func noReplyIsLongerThanTheKernelAsksFor() {
        for size in [Int.min, -1, 0, 1, 1 << 20, 1 << 40, .max] { #expect((0...1 << 20).contains(replyLimit(size))) }
    }

    @Test func attributesAreChecked() throws {
        var status = stat()
        status.st_size = -1
        #expect(throws: VFSError.invalidArgument) { try AttributeChanges(status, 1 << 3) }
        status.st_mtim.tv_nsec = 1_000_000_000
        #expect(throws: VFSError.invalidArgument) { try AttributeChanges(status, 1 << 5) }
        status.st_mode = .max
        #expect(try AttributeChanges(status, 1).mode == 0o7777)
        #expect(try AttributeChanges(status, .max & ~(1 << 3 | 1 << 4 | 1 << 5)).size == nil)
    }
}
