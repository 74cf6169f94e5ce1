import Glibc
import Logging

@testable import BlockCache

/// A cache directory that somebody else, or a power loss, wrote to.
let cacheTargets: [FuzzTarget] = [
    FuzzTarget(name: "cache-object", seeds: { [ObjectFile.encode([1, 2, 3]), []] }) { input in
        if let bytes = ObjectFile.decode(input) { require(ObjectFile.encode(bytes) == input, "one encoding") }
        require(ObjectFile.decode(ObjectFile.encode(input)) == input, "an object comes back")
    },
    FuzzTarget(name: "cache-table", seeds: { [tableSeed(), []] }) { input in
        let segment = block.segment
        var table = SegmentTable()
        input.withUnsafeBytes { raw in
            for start in stride(from: 0, through: raw.count - SegmentTable.Record.encodedBytes, by: 32) {
                let part = UnsafeRawBufferPointer(rebasing: raw[start..<start + SegmentTable.Record.encodedBytes])
                guard let record = SegmentTable.Record(decoding: part, in: segment) else { continue }
                require(record.encoded == Array(part), "a record has one encoding")
                let isFree = !table.conflicts(with: record)
                require(table.insert(record) == isFree, "a block goes where no other lies")
                require(table.holds(record) == isFree, "what was taken is there")
            }
        }
    },
    FuzzTarget(name: "cache-directory", seeds: { [indexSeed(used: 4096), indexSeed(used: .max), []] }) { input in
        CacheScratch.shared.tryIndex(input)
    },
]

private let block = BlockAddress(
    key: CacheKey(high: 1, low: 2), offset: 0, length: 5, proof: BlockProof(high: 3, low: 4))

private func tableSeed() -> [UInt8] {
    let second = BlockAddress(key: block.key, offset: 5, length: 1 << 20, proof: block.proof)
    return SegmentTable.Record(block).encoded + SegmentTable.Record(second).encoded
}

/// The words of a header behind the magic and version, then a slot for the block's segment, then one for an object.
private func indexSeed(used: UInt64) -> [UInt8] {
    let words: [UInt64] = [
        1, SegmentID.sizeBytes, 1 << 30, used, 0, 0,
        2, 1, 2, 1 << 32, used, 0, 4096, 5,
        2, 1, 2, 2 << 32, used, 0, 0, 6,
    ]
    return words.flatMap { word in withUnsafeBytes(of: word.littleEndian) { Array($0) } } + tableSeed()
}

/// A directory that is filled with an input and opened as a cache, again and again.
private final class CacheScratch: Sendable {
    static let shared = CacheScratch()

    private let path: String
    private let logger: Logger

    private init() {
        var template = Array("/tmp/tarn-fuzz-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { fatalError("no scratch directory") }
        path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
        var quiet = Logger(label: "fuzz") { _ in SwiftLogNoOpLogHandler() }
        quiet.logLevel = .critical
        logger = quiet
        for name in ["data", "objects", "tables"] { mkdir("\(path)/\(name)", 0o700) }
        write("CACHEDIR.TAG", [1])
    }

    private func write(_ name: String, _ bytes: [UInt8]) {
        guard let file = fopen("\(path)/\(name)", "w") else { return }
        fwrite(bytes, 1, bytes.count, file)
        fclose(file)
    }

    func tryIndex(_ input: [UInt8]) {
        let headerBytes = 48
        var index = [UInt64](arrayLiteral: CacheIndex.magic, CacheIndex.version)
            .flatMap { word in withUnsafeBytes(of: word) { Array($0) } }
        index += input.prefix(headerBytes)
        index += [UInt8](repeating: 0, count: CacheIndex.headerBytes - index.count)
        index += input.dropFirst(headerBytes).prefix(CacheIndex.bucketBytes)
        index += [UInt8](repeating: 0, count: CacheIndex.fileBytes(1) - index.count)
        write("index", index)
        let segment = block.segment
        for (folder, name) in [
            ("data", block.key.fileName), ("objects", block.key.fileName), ("tables", segment.fileName),
        ] {
            mkdir("\(path)/\(folder)/\(name.prefix(2))", 0o700)
            write("\(folder)/\(name.prefix(2))/\(name)", Array(input.suffix(64)))
        }
        guard let cache = try? BlockCache(directory: path, limitBytes: nil, logger: logger, slotCapacity: 64) else {
            return
        }
        use(cache)
    }

    private func use(_ cache: BlockCache) {
        let content = Array("hello".utf8)
        var read = [UInt8](repeating: 0, count: 5)
        let outcome = read.withUnsafeMutableBytes { buffer in
            cache.read(block, within: 0, into: buffer, verify: { $0.elementsEqual(content) }, fetch: { content })
        }
        require(outcome != .fetchedBytesDoNotVerify && read == content, "a block that is read is the right one")
        _ = cache.status()
    }
}
